"""One WebDataset tar: its members, the samples that they make, and what is inside.

As the webdataset library reads it: the key of a member is its path up to the first dot of the file's name, the field
is the rest; a sample is a run of members with one key.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import NamedTuple

from paris_assets.lint.contents import KNOWN, NUMBERS, TEXT, Seen, faults
from paris_assets.lint.file_report import FileReport, array_of, hash_of
from paris_assets.lint.tar_headers import BLOCK, FOLDER, PLAIN, BrokenTar, Header, end_of, headers

LONG_NAME = 100  # bytes that the oldest tar headers have room for
MOST_MEMBERS = 32  # of one sample; more are names with dots
LARGEST_BYTES = 1 << 30  # of a member that is looked into
_SPLIT = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")  # webdataset's own rule
_EXPERT = re.compile(r"(?:^|/)cluster_(\d+)(?:/|$)")
_NOT_DATA = (*TEXT, *NUMBERS, "json", "jsonl")
Chosen = Callable[[int], bool]
"""Number of a sample -> whether its members are looked into."""


class Member(NamedTuple):
    """A member that belongs to a sample."""

    key: str
    field: str
    offset: int
    size: int


def key_of(header: Header) -> bytes | None:
    """The key of a member that belongs to a sample, else None."""
    name = header.name.decode("utf-8", "surrogateescape")
    split = _SPLIT.match(name) if header.kind == PLAIN else None
    base = PurePosixPath(name).name
    own = base.startswith("__") and base.endswith("__")
    return split[1].encode("utf-8", "surrogateescape") if split and not own else None


def every(_: int) -> bool:
    """Look into all samples."""
    return True


def lint_tar(view: mmap.mmap | bytes, report: FileReport, chosen: Chosen = every) -> None:
    """Everything that one tar shows by itself.

    Args:
        view: its bytes, not compressed.
        report: takes what is found.
        chosen: which samples' members are looked into; names of all are.
    """
    found: list[Member] = []
    keys, contents, number = list[int](), list[int](), 0
    fields: Counter[str] = Counter()
    for key, group in groupby(_members(view, report), key=lambda member: member.key):
        parts = list(group)
        found = _without_repeats(parts, report)
        report.saw_fields(key, frozenset(member.field for member in found))
        fields.update(member.field for member in found)
        keys.append(hash_of(key.encode("utf-8", "surrogateescape")))
        if len(parts) > MOST_MEMBERS:
            said = f"{len(parts)} members have this key, the first {key}.{parts[0].field}"
            report.problems.add("dotted_key", key, said)
        elif chosen(number):
            contents.append(_look_into(view, key, found, report))
        number += 1
    report.samples, report.keys, report.contents = number, array_of(keys), array_of(contents)
    _check_split(view, report)
    _check_dots(fields, report)


def _members(view: mmap.mmap | bytes, report: FileReport) -> Iterator[Member]:
    """Members that readers make samples of; what is wrong with the others is noted."""
    problems, last, count = report.problems, None, 0
    try:
        for header in headers(view):
            last, count = header, count + 1
            member = _member(header, report)
            if member is not None:
                yield member
    except BrokenTar as error:
        problems.add(error.kind, "", str(error))
        return
    if not count:
        problems.add("empty", "", "a tar without members")
    rest = len(view) - end_of(view, last)
    if view[end_of(view, last) :].strip(b"\0"):
        problems.add("trailing_bytes", "", f"data follow the end mark, somewhere in the last {rest} bytes")
    elif rest < 2 * BLOCK:
        problems.add("truncated", "", "half an end mark: it was cut off there")


def _member(header: Header, report: FileReport) -> Member | None:
    problems = report.problems
    name = header.name.decode("utf-8", "surrogateescape")
    shown = header.name.decode("utf-8", "backslashreplace")
    if name != shown and any("\udc80" <= sign <= "\udcff" for sign in name):
        problems.add("bad_name", shown, "a name that is no UTF-8")
    if header.name.startswith(b"/") or ".." in PurePosixPath(name).parts or "\\..\\" in name:
        problems.add("unsafe_name", shown, "a name that leads out of the folder")
    if header.kind == FOLDER:
        return None
    if header.kind != PLAIN:
        problems.add("not_a_file", shown, f"a {header.kind}")
        return None
    base = PurePosixPath(name).name
    if base.startswith("__") and base.endswith("__"):
        return None  # webdataset's own notes
    split = _SPLIT.match(name)
    if split is None:
        problems.add("no_key", shown, "a name without field" if "." not in base else "a name that begins with a dot")
        return None
    if len(header.name) > LONG_NAME:
        problems.add("long_name", shown, f"a name of {len(header.name)} bytes")
    return Member(split[1], split[2].lower(), header.offset, header.size)


def _without_repeats(parts: list[Member], report: FileReport) -> list[Member]:
    times = Counter(member.field for member in parts)
    if len(parts) <= MOST_MEMBERS:
        for name in (name for name, count in times.items() if count > 1):
            report.problems.add("repeated_member", parts[0].key, f"{times[name]} members {name}")
    return list({member.field: member for member in parts}.values())


def _look_into(view: mmap.mmap | bytes, key: str, members: list[Member], report: FileReport) -> int:
    """Hash of the data of a sample, which are all members but text and JSON; 0 where it has none."""
    parts: list[bytes] = []
    for member in sorted(members):
        if member.size > LARGEST_BYTES:
            continue
        data, seen = view[member.offset : member.offset + member.size], Seen()
        for kind, what in faults(member.field, data, seen):
            report.problems.add(kind, key, what)
        if seen.form is not None:
            report.saw_form(key, member.field, seen.form)
        if isinstance(seen.value, dict):
            check_metadata(key, seen.value, report)
        if member.field.rpartition(".")[2] not in _NOT_DATA:
            parts.append(data)
    return hash_of(b"".join(parts)) if any(parts) else 0


def check_metadata(key: str, metadata: dict[str, object], report: FileReport) -> None:
    """Whether what a sample says of itself agrees with where it lies."""
    # Subsets of a pool are keyed by uid, and several uids may have one image.
    ids = {name: metadata[name] for name in ("uid", "image_id") if isinstance(metadata.get(name), str)}
    if ids and PurePosixPath(key).name not in ids.values():
        said = " and ".join(f"{name} {value}" for name, value in ids.items())
        report.problems.add("key_mismatch", key, f"{said} in its metadata")
    expert, said = _EXPERT.search(report.problems.file), metadata.get("cluster")
    if expert and isinstance(said, int) and said != int(expert[1]):
        report.problems.add("wrong_expert", key, f"cluster {said} in its metadata, in a folder of expert {expert[1]}")


def _check_split(view: mmap.mmap | bytes, report: FileReport) -> None:
    """Keys whose members are not side by side."""
    hashes, counts = _repeated(report)
    if not hashes:
        return
    names: dict[int, str] = {}
    try:
        for header in headers(view):
            key = key_of(header)
            if key is not None and hash_of(key) in hashes:
                names.setdefault(hash_of(key), key.decode(errors="backslashreplace"))
    except BrokenTar:
        pass  # it was noted
    for found, name in names.items():
        report.problems.add("split_sample", name, f"its members lie in {counts[found]} places of the tar")


def _repeated(report: FileReport) -> tuple[set[int], Counter[int]]:
    counts = Counter(report.keys.tolist()) if len(set(report.keys.tolist())) < len(report.keys) else Counter[int]()
    return {found for found, count in counts.items() if count > 1}, counts


def _check_dots(fields: Counter[str], report: FileReport) -> None:
    """Fields that only one sample has, though their last part is that of many: the key has a dot."""
    alone: dict[str, list[str]] = {}
    for name, count in fields.items():
        start, dot, last = name.rpartition(".")
        if dot and count == 1 and last in KNOWN and start:
            alone.setdefault(last, []).append(name)
    single = {name for names in alone.values() if len(names) > 1 for name in names}
    dotted = [group for group in report.fields.items() if group[0] and group[0] <= single]
    keys = [key for _, group in dotted for key in group.keys]
    if len(keys) < 2 or 2 * len(keys) < report.samples:
        return
    name = min(dotted[0][0])
    said = f"{name} is read as its field, and as no other sample's: {len(keys)} samples are like this"
    report.problems.add("dotted_key", keys[0], said, times=len(keys))
