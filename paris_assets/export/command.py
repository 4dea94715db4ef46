"""`paris export`: what a root knows of its images, in a form that others load; nothing is computed again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.code_version import code_version
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.errors import MissingInput, UsageError
from paris_assets.export import folder
from paris_assets.export.fields import TABLE, profile_fields
from paris_assets.export.image_profiles import LATER, NEEDED, Contents, Only, plain, with_embeddings
from paris_assets.export.parquet import FINGERPRINT, footer, write_parquet
from paris_assets.export.table_card import write_table_card
from paris_assets.images.reader import ImageTars
from paris_assets.planning.waves import some
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location


@dataclass(frozen=True)
class Written:
    """A file of the export: its rows and bytes, and whether it was there before."""

    path: str
    rows: int
    size_bytes: int
    kept: bool


def export_command(catalog: Catalog, out: Location, only: Only, images: bool, license: str | None = None) -> int:
    """Write `image_profiles/SHARD.parquet` for every shard and say what was written; 0.

    A file that is there and holds the same is left as it is, so an export that was stopped goes on, and one of a root
    that has grown only adds files.

    Args:
        license: of a data set whose card is written beside the table; None: none is.

    Raises:
        MissingInput: a table of a shard has not been made, or was changed meanwhile.
        UsageError: the folder cannot be used, or there are no shards.
    """
    shards, left_out = exported_shards(catalog, only)
    assets, unfinished = usable_tables(catalog, shards, only)
    contents = Contents(catalog.profile, only, images, assets)
    statement = {
        "format": "parquet",
        "table": TABLE,
        "root": folder.address(catalog.location),
        "only": only,
        "images": images,
        "card": license is not None,
    }
    folder.begin(out, statement, catalog.location)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    files = LocalFiles(catalog.location)
    try:
        written = list(_export(catalog, out, contents, shards, files))
        if license is not None:
            write_table_card(catalog, out, [(each.path, each.kept) for each in written], license)
    finally:
        files.close()
        folder.tidy(out)
    for line in _said(catalog, out, written, left_out, unfinished, contents):
        console.print(line)
    return 0


def exported_shards(catalog: Catalog, only: Only) -> tuple[list[str], list[str]]:
    """Shards with all that an export needs, and those without, which the profile allows.

    Raises:
        MissingInput: a shard lacks a table, and the profile does not allow that.
        UsageError: no shard is registered.
    """
    shards = catalog.shards()
    if not shards:
        raise UsageError(f"there is no run under {catalog.location.url}: name another --root, or make one first")
    needed = [*NEEDED, *(["curated_images"] if only == "kept" else [])]
    lacking = {shard: name for shard in shards for name in needed if catalog.record(name, shard) is None}
    whole = [shard for shard in shards if shard not in lacking]
    if lacking and not (catalog.profile.allow_missing_shards and whole):
        names = [f"{name}/{shard}" for shard, name in lacking.items()]
        raise catalog.not_made(names)
    return whole, list(lacking)


def usable_tables(catalog: Catalog, shards: Sequence[str], only: Only) -> tuple[list[str], list[str]]:
    """Tables of the profile that every shard has, and those that some lack: these give no columns, or null ones."""
    wanted = [*NEEDED, "curated_images", "content_scores", "picture_embeddings", *LATER]
    there = [name for name in wanted if name in catalog.graph]
    made = {name: all(catalog.record(name, _key(catalog, name, shard)) for shard in shards) for name in there}
    return [name for name in there if made[name]], [name for name in there if not made[name]]


def _export(
    catalog: Catalog, out: Location, contents: Contents, shards: Sequence[str], files: LocalFiles
) -> Iterator[Written]:
    tables, first = Tables(catalog), None
    for shard in shards:
        path, wanted = f"{TABLE}/{shard}.parquet", _fingerprint(catalog, contents, shard)
        there = footer(out, path)
        kept = there is not None and (there.metadata or {}).get(FINGERPRINT) == wanted.encode()
        with out.scratch() as scratch:
            local = scratch / "shard.parquet"
            if there is None or not kept:
                _write(local, tables, contents, shard, files, wanted)
                there = pq.read_metadata(local)
            schema = there.schema.to_arrow_schema()
            first = first or schema
            _require_same(first, schema, shard)
            if not kept:
                _require_unchanged(catalog, contents, shard, wanted)
                out.put(local, path)
        yield Written(path, there.num_rows, out.size(path) or 0, kept)


def _write(local: Path, tables: Tables, contents: Contents, shard: str, files: LocalFiles, wanted: str) -> None:
    """One shard, to a local file."""
    scan = partial(tables.for_shard, shard=shard)
    rows = contents.rows(scan, shard)
    has_vectors = "picture_embeddings" in contents.assets
    table = with_embeddings(rows, scan("picture_embeddings"), contents.profile) if has_vectors else plain(rows)
    read = ImageTars(files).of(shard, scan("raw_images")).read if contents.images else None
    said = {field.name: field.said for field in profile_fields(())}
    write_parquet(local, table, said, {FINGERPRINT.decode(): wanted}, read)


def _require_unchanged(catalog: Catalog, contents: Contents, shard: str, before: str) -> None:
    """Rows of one image are of one time.

    Raises:
        MissingInput: a `paris run` has made one of the tables again since they were read.
    """
    catalog.refresh()
    if _fingerprint(catalog, contents, shard) != before:
        raise MissingInput(f"tables of shard {shard} were made again while it was exported: export again")


def _fingerprint(catalog: Catalog, contents: Contents, shard: str) -> str:
    """Hash of what a file of the export depends on: tables, choices and code."""
    read: dict[str, Any] = {}
    for name in contents.assets:
        record = catalog.record(name, _key(catalog, name, shard))
        read[name] = record and record.slices.get(shard, record.content)
    names = {name: str(model) for name, model in catalog.profile.picture_embeddings.items()}
    of = [read, contents.only, contents.images, names, code_version(_export)]
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()


def _key(catalog: Catalog, asset: str, shard: str) -> str:
    return shard if catalog.graph[asset].partitioned else ALL


def _require_same(first: pa.Schema, schema: pa.Schema, shard: str) -> None:
    """One table has one schema.

    Raises:
        MissingInput: a shard's columns are others, as when it was made under other settings.
    """
    if not schema.equals(first):
        names = sorted({field.name for field in first}.symmetric_difference({field.name for field in schema}))
        kinds = [field.name for field in schema if field.name in first.names and first.field(field.name) != field]
        raise MissingInput(
            f"shard {shard} has other columns than the first one ({', '.join([*names, *kinds])}): it was made under "
            "other settings. `paris run` makes it again"
        )


def _said(
    catalog: Catalog,
    out: Location,
    written: Sequence[Written],
    left_out: Sequence[str],
    unfinished: Sequence[str],
    contents: Contents,
) -> Iterator[str]:
    rows, size = sum(each.rows for each in written), sum(each.size_bytes for each in written)
    kept = sum(each.kept for each in written)
    there = f", {kept} of them there before" if kept else ""
    files = f"{len(written)} file{'s' * (len(written) != 1)}"
    yield f"{rows:,} images in {files}, {size / 1e6:,.1f} MB{there}: {out.uri(TABLE)}"
    if left_out:
        yield f"left out: {len(left_out)} shards that are not finished ({some(list(left_out))})"
    if unfinished:
        yield f"without columns of {', '.join(unfinished)}, not finished for every shard: `paris run` goes on with it"
    names = [name for name in contents.assets if not all(_is_done(catalog, name, each.path) for each in written)]
    if names:
        yield f"exported as it is, though settings or code have changed since it was made: {', '.join(names)}"
    yield f'datasets.load_dataset("parquet", data_files="{out.uri(f"{TABLE}/*.parquet")}")'


def _is_done(catalog: Catalog, asset: str, path: str) -> bool:
    return catalog.done(asset, _key(catalog, asset, Path(path).stem))
