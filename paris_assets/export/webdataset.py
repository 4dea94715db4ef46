"""`paris export --format webdataset`: the images of a subset as tars by uid, as DataComp's own trainer reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.code_version import code_version
from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.errors import UsageError, did_you_mean
from paris_assets.export import folder
from paris_assets.images.reader import ImageTars
from paris_assets.images.tars import write_tar
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location

SAMPLES = 10_000
"""Most samples of a tar."""
EXTENSIONS = {"jpeg": "jpg"}
MISSING = "missing.csv"
_SCORES = ("source_width", "source_height", "clip_b32", "clip_l14", "similarity", "aesthetic", "face_bboxes")


@dataclass(frozen=True)
class Subset:
    """The rows of a subset whose images are there, in the order in which they are written, and the others."""

    samples: pl.DataFrame
    missing: pl.DataFrame


def webdataset_command(catalog: Catalog, out: Location, name: str) -> int:
    """Write `{:08d}.tar` of at most 10,000 samples and `{:08d}_stats.json`, and say what was written; 0.

    Rows without an image are listed in `missing.csv`, by reason. A tar whose statistics are there is left as it is, so
    an export that was stopped goes on.

    Raises:
        UsageError: no such subset, or the folder cannot be used.
        MissingInput: a table has not been made.
    """
    if "pool_scores" not in catalog.graph:
        raise UsageError("--format webdataset writes subsets of a pool, which this root's profile does not have")
    tables, shards = Tables(catalog), catalog.shards()
    subset = read_subset(tables, shards, name)
    hashed = hashlib.sha256(_identity(catalog, shards).encode()).hexdigest()
    statement = {"format": "webdataset", "subset": name, "samples": subset.samples.height, "of": hashed}
    folder.begin(out, statement, catalog.location)
    files = LocalFiles(catalog.location)
    try:
        written = list(_tars(tables, out, subset.samples, files))
        out.put_bytes(subset.missing.write_csv().encode(), MISSING)
    finally:
        files.close()
        folder.tidy(out)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"{subset.samples.height:,} samples in {len(written)} tars: {out.uri('{:08d}.tar')}")
    if subset.missing.height:
        console.print(f"{subset.missing.height:,} rows of {name} have no image, listed in {out.uri(MISSING)}")
    return 0


def read_subset(tables: Tables, shards: list[str], name: str) -> Subset:
    """The rows of a subset, by shard, image and uid.

    Raises:
        UsageError: no such subset.
    """
    scores = tables.scan("pool_scores", [ALL])
    column = "selected" if name == "selection" else name
    schema = scores.collect_schema()
    known = ["selection", *(each for each, kind in schema.items() if kind == pl.Boolean and each != "selected")]
    if name not in known:
        raise UsageError(f"--subset {name}{did_you_mean(name, known)}: this root has {', '.join(known)}")
    wanted = scores.filter(pl.col(column)).select("shard", "source_row", "uid")
    places = ("source_row", "image_id", "status", "reason", "stored_format")
    ledger = tables.scan("raw_images", shards).select(*places)
    rows = wanted.join(ledger, on="source_row", how="left").collect()
    rows = rows.sort("source_row").unique("uid", keep="first", maintain_order=True)
    there = pl.col("status") == "ok"
    missing = rows.filter(~there.fill_null(False)).select("uid", reason=pl.coalesce("reason", pl.lit("not_fetched")))
    samples = rows.filter(there).select("shard", "source_row", "uid", "image_id", "stored_format")
    return Subset(samples.sort("shard", "image_id", "uid"), missing.sort("uid"))


def _tars(tables: Tables, out: Location, samples: pl.DataFrame, files: LocalFiles) -> Iterator[str]:
    for number, part in enumerate(samples.iter_slices(SAMPLES)):
        tar, statistics = f"{number:08d}.tar", f"{number:08d}_stats.json"
        if out.size(statistics) is None:
            with out.scratch() as scratch:
                local = scratch / tar
                write_tar(local, _members(tables, part, files))
                out.put(local, tar)
            said = {"successes": part.height, "count": part.height, "failed_to_download": 0, "failed_to_resize": 0}
            out.put_bytes(json.dumps(said, sort_keys=True).encode() + b"\n", statistics)
        yield tar


def _members(tables: Tables, samples: pl.DataFrame, files: LocalFiles) -> Iterator[tuple[str, bytes]]:
    """Image, text and JSON of each sample, the samples sorted by shard, image and uid."""
    for (shard,), rows in samples.group_by("shard", maintain_order=True):
        known = _known(tables, str(shard), rows)
        images = ImageTars(files).of(str(shard), tables.scan("raw_images", [str(shard)]))
        at = 0
        for image_id, data in images.read(rows.select("image_id").unique()):
            while at < len(known) and known[at]["image_id"] == image_id:
                yield from _sample(known[at], data)
                at += 1


def _known(tables: Tables, shard: str, rows: pl.DataFrame) -> list[dict[str, Any]]:
    """What is told of each row, in their order."""
    source = tables.scan("source_rows", [shard])
    told = [name for name in ("url", "text", *_SCORES) if name in source.collect_schema()]
    sizes = tables.scan("raw_images", [shard]).select("source_row", "width", "height", "sha256")
    joined = rows.lazy().join(source.select("source_row", *told), on="source_row", how="left", maintain_order="left")
    return joined.join(sizes, on="source_row", how="left", maintain_order="left").collect().to_dicts()


def _sample(row: dict[str, Any], data: bytes) -> Iterator[tuple[str, bytes]]:
    key, form = row["uid"], row["stored_format"] or "jpeg"
    renamed = {"source_width": "original_width", "source_height": "original_height"}
    told = {renamed.get(name, name): value for name, value in row.items() if name not in ("stored_format", "text")}
    told = {name: value for name, value in told.items() if value is not None}
    yield f"{key}.{EXTENSIONS.get(form, form)}", data
    yield f"{key}.json", json.dumps({"key": key, "caption": row["text"] or "", **told}, sort_keys=True).encode()
    yield f"{key}.txt", (row["text"] or "").encode()


def _identity(catalog: Catalog, shards: list[str]) -> str:
    """What the files depend on: tables and code."""
    keys = [("pool_scores", ALL), *((name, shard) for name in ("raw_images", "source_rows") for shard in shards)]
    records = [catalog.record(name, key) for name, key in keys]
    return json.dumps([code_version(_tars), [record.content if record else None for record in records]])
