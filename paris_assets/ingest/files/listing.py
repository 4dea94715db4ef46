"""Which of the files at a place belong to the source, what lies beside them, and what is left out."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.looked_into import images_among
from paris_assets.ingest.files.names import (
    IMAGE,
    PARQUET,
    TAR,
    alike,
    extension_of,
    hidden_table,
    is_metadata,
    is_named_for_image,
    is_stats,
    kind_in_words,
    kind_of,
    leftover,
    stem_of,
)  # fmt: skip
from paris_assets.ingest.files.places import Place, locate
from paris_assets.ingest.files.source_file import Info, reached
from paris_assets.ingest.files.walk import SECOND_NAMES, TARGET, found_files, is_inside
from paris_assets.ingest.lists import text_tables
from paris_assets.ingest.lists.columns import SourceError

OPEN_ENDED = (*text_tables.FORMATS, TAR)
MOST_DOCUMENTS, LARGEST_DOCUMENT = 32, 64 << 20  # JSON and texts beside images that are looked into, and their bytes
QUIET_S = 60.0  # a file whose end nothing marks is taken as whole when it has not changed for so long
TABLE, JSON, TEXT, LINKED = "table", "JSON file", "list of urls", "linked folders elsewhere"
Files = dict[str, Info]


@dataclass(frozen=True)
class Listing:
    """What a place holds; paths are below its base, sorted.

    Attributes:
        kind: `image`, `tar` or `table`.
        files: those that become rows, with what the listing says of each.
        beside: captions and JSON with the name of an image.
        tables: those that may describe images of a folder; JSON and texts among them may turn out to be no tables.
        left_out: all else.
    """

    kind: str
    files: Files
    beside: Files = field(default_factory=dict)
    tables: Files = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)


def list_files(place: Place, known: Collection[str] = ()) -> Listing:
    """The files of a source, all of one kind, from one listing.

    A file whose name does not tell is looked into where there are no tables and tars. A `.json` file, and a `.txt` of
    urls, is a table where there is nothing else. Of tars and folders of images that img2dataset made, the tables beside
    them are left out: they hold the same rows.

    Args:
        known: files that are registered and need not be looked into.

    Raises:
        SourceError: no usable file, files of more than one kind, a name that is no UTF-8, a link out of a folder of
            images, or a remote place that cannot be reached.
        FileError: a folder cannot be read.
    """
    left_out = LeftOut()
    groups = _grouped(place, found_files(place, left_out), left_out)
    _without_tables_of_shards(groups, left_out)
    described = {file for file in groups[TABLE] if is_metadata(file)}
    if not groups[TAR] and described == groups[TABLE].keys():
        for file in images_among(place, groups[""], known, left_out):
            groups[IMAGE][file] = groups[""].pop(file)
    beside = _beside(groups) if groups[IMAGE] else {}
    tables = _tables(groups) if groups[IMAGE] and not groups[TAR] else {}
    kind = _only_kind(place, groups, left_out)
    files = dict(sorted(groups.pop(kind).items()))
    for group in (TEXT, JSON, ""):
        for file in groups.get(group, ()):
            left_out.add(kind_in_words(file), file)
    if groups[LINKED]:
        left_out.add(LINKED, *groups[LINKED])
    for file in sorted([*files, *beside, *tables]):
        if not _is_text(file):
            raise SourceError(f"{f'{place.base}/{file}'!a}: the name is no UTF-8: rename the file")
    if kind == IMAGE:
        _refuse_links_out({**files, **beside, **tables}, place)
    files = _without_second_names(files, place, known, left_out)
    kind = kind if kind in (IMAGE, TAR) else TABLE
    return Listing(kind, files, dict(sorted(beside.items())), dict(sorted(tables.items())), left_out)


def half_written(path: str, known: Collection[str]) -> list[str]:
    """New files of a source that were changed a moment ago, and whose end nothing marks, as it does in parquet.

    One that is registered while it is still written is another file from then on, and every later look is refused.

    Args:
        path: `source.path` of the profile; `known` are the files that are registered.
    """
    listing = list_files(locate(path), known)
    open_ended = ((file, info) for file, info in listing.files.items() if kind_of(file) in OPEN_ENDED)
    changed = {file: info.get("mtime") for file, info in open_ended if file not in known}
    return [file for file, at in changed.items() if isinstance(at, float) and abs(time.time() - at) < QUIET_S]


def _grouped(place: Place, found: Files, left_out: LeftOut) -> dict[str, Files]:
    groups: dict[str, Files] = {name: {} for name in (IMAGE, TAR, TABLE, JSON, TEXT, LINKED, "")}
    for file, info in sorted(found.items()):
        group = LINKED if info["type"] == "directory" else _group(file)
        why = None if place.file else _why_not(file, group)
        if why:
            left_out.add(why, file)
        else:
            groups[group][file] = info
    return groups


def _why_not(file: str, group: str) -> str | None:
    """What a file is that no kind of source is made of."""
    if group == TABLE and hidden_table(file):
        return leftover(file) or "tables that begin with an underscore"
    return leftover(file) or (kind_in_words(file) if is_stats(file) else None)


def _is_text(name: str) -> bool:
    """Whether a name was UTF-8 on disk; tables hold nothing else."""
    return name == name.encode(errors="replace").decode()


def _group(file: str) -> str:
    kind = kind_of(file)
    if kind in (IMAGE, TAR):
        return kind
    if extension_of(file) == "txt":
        return TEXT
    return JSON if kind == "json" else TABLE if kind else ""


def _without_tables_of_shards(groups: dict[str, Files], left_out: LeftOut) -> None:
    """Take out the tables that img2dataset writes beside each tar and each folder of images: `00000.parquet`."""
    folders = {file.rpartition("/")[0] for file in groups[IMAGE]}
    for file in [file for file in groups[TABLE] if kind_of(file) == PARQUET]:
        stem = file.rpartition(".")[0]
        if f"{stem}.tar" in groups[TAR] or (stem in folders and stem.rpartition("/")[2].isdecimal()):
            del groups[TABLE][file]
            left_out.add("tables of shards whose images are read", file)


def _beside(groups: dict[str, Files]) -> Files:
    """Take out captions and JSON with an image's name."""
    images = {alike(name) for file in groups[IMAGE] for name in (file, stem_of(file))}
    found: Files = {}
    for group in (TEXT, JSON, ""):
        for file in list(groups[group]):
            if is_named_for_image(file) and alike(stem_of(file)) in images:
                found[file] = groups[group].pop(file)
    return found


def _tables(groups: dict[str, Files]) -> Files:
    """Take out tables beside images; JSON and texts, if they are few: many are those of images that are not there."""
    found, groups[TABLE] = groups[TABLE], {}
    others = {file: group for group in (JSON, TEXT) for file in groups[group]}
    if len(others) <= MOST_DOCUMENTS:
        small = [file for file, group in others.items() if (groups[group][file]["size"] or 0) <= LARGEST_DOCUMENT]
        found = found | {file: groups[others[file]].pop(file) for file in small}
    return found


def _only_kind(place: Place, groups: dict[str, Files], left_out: LeftOut) -> str:
    where = place.pattern or f"{place.base}/{place.file or ''}"
    kinds = {kind: files for kind, files in groups.items() if kind in (IMAGE, TAR, TABLE) and files}
    if len(kinds) > 1:
        mixed = ", ".join(f"{len(files)} {kind}s ({next(iter(files))} ...)" for kind, files in kinds.items())
        raise SourceError(f"{where} holds more than one kind of file: {mixed}. Give a file, a subfolder or a glob")
    if kinds:
        return next(iter(kinds))
    if groups[JSON]:
        return JSON
    if groups[TEXT] and (place.file or _lists_urls(place, next(iter(groups[TEXT])))):
        return TEXT
    for file in (*groups[TEXT], *groups[""]):
        left_out.add(kind_in_words(file), file)
    only = f"; there is nothing else than {left_out.in_words()}" if left_out else ""
    raise SourceError(
        f"no source at {where.removesuffix('/')}: expected tables (parquet, csv, tsv, jsonl, json), lists of urls "
        f"(txt), WebDataset tars or a folder of images{only}"
    )


def _lists_urls(place: Place, file: str) -> bool:
    """Whether the first line of a text is an address."""
    with reached(place.fs, f"{place.base}/{file}"):
        start = cast(bytes, place.fs.cat_file(f"{place.base}/{file}", 0, 4096))
    return b"://" in next(iter(start.split()), b"")


def _refuse_links_out(files: Mapping[str, Info], place: Place) -> None:
    """A stranger's folder may link to anything on this machine, which would then be published."""
    inside = place.real_base
    for file, info in files.items():
        if TARGET in info and not is_inside(info[TARGET], inside):
            raise SourceError(
                f"{place.base}/{file} is a link out of the folder, to {info[TARGET]}: put a copy there, or remove it"
            )


def _without_second_names(files: Files, place: Place, known: Iterable[str], left_out: LeftOut) -> Files:
    """The files without links to others among them, which would be the same rows twice."""
    if not any(TARGET in info for info in files.values()):
        return files
    base, registered = place.real_base, set(known)
    taken = {f"{base}/{file}" for file, info in files.items() if TARGET not in info}
    kept: Files = {}
    for file, info in files.items():
        if TARGET in info and info[TARGET] in taken and file not in registered:
            left_out.add(SECOND_NAMES, file)
            continue
        taken.add(info.get(TARGET, ""))
        kept[file] = info
    return kept
