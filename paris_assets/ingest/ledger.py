"""The ledger of a shard: what became of every source row, beside a tar of the images that arrived."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import polars as pl

from paris_assets.config import Ingest
from paris_assets.images.decode import NotAnImage, read_header
from paris_assets.images.reader import ImageTars, ShardImages, tar_path
from paris_assets.images.tars import write_tar
from paris_assets.ingest.fetched import ASKED_AGAIN, Fetched
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.ingest.web.urls import parse_url
from paris_assets.storage.output import Output

_OUTCOME = pl.Schema(
    {name: kind for name, kind in RAW_IMAGES.polars().items() if name not in ("url", "text", "offset")}
)


class Spool:
    """Bodies on disk in the order they came, each distinct image once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = 0
        self.places: dict[str, tuple[str, int, int]] = {}

    def add(self, image_id: str, extension: str, body: bytes) -> None:
        """Keep an image unless it is there already."""
        if image_id not in self.places:
            self._file.write(body)
            self.places[image_id] = (f"{image_id}.{extension}", self._end, len(body))
            self._end += len(body)

    def members(self) -> Iterator[tuple[str, bytes]]:
        """(member name, body) sorted by image_id."""
        self._file.flush()
        for image_id in sorted(self.places):
            name, start, size = self.places[image_id]
            yield name, os.pread(self._file.fileno(), size, start)


def fetched_images(
    shard: str,
    rows: pl.DataFrame,
    images: ImageTars,
    fetch: Callable[[pl.DataFrame], Iterable[Fetched]],
    settings: Ingest,
) -> Output:
    """A shard's images in one tar, and its ledger; see ``fetch_shard``.

    Args:
        shard: key of the shard, which names the tar.
        rows: its `source_rows`.
        images: reads the tar as it stands, where its rows are kept.
        fetch: source rows -> one result for each, in any order.
    """
    output = Output(rows_in=rows.height)

    def ledgers(before: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        local = output.scratch / "images.tar"
        kept = Kept.of(before, images.of(shard, before)) if before is not None else Kept()
        missing = rows.join(kept.rows, on="source_row", how="anti")
        ledger = fetch_shard(rows, fetch(missing), settings, local, kept)
        images.files.forget(tar_path(shard))
        failed = ledger.filter(pl.col("status") == "failed")
        output.rejects |= dict(failed.group_by("reason").len().iter_rows())
        output.facts["fetched_bytes"] = int(ledger["size_bytes"].sum())
        output.facts["kept"] = ledger.height - failed.height
        if hosts := _private_hosts(failed):
            output.facts["private_hosts"] = hosts
        output.files[tar_path(shard)] = local
        yield ledger

    output.rows = ledgers
    return output


@dataclass(frozen=True)
class Kept:
    """What an earlier ledger says for good: everything but the rows that are asked again for.

    Attributes:
        rows: its rows.
        bodies: the images of those that are ``ok``, sorted by image_id.
    """

    rows: pl.DataFrame = field(default_factory=RAW_IMAGES.frame)
    bodies: Iterable[tuple[str, bytes]] = ()

    @classmethod
    def of(cls, ledger: pl.LazyFrame, images: ShardImages) -> Kept:
        """Of a ledger and the tar beside it."""
        again = (pl.col("status") == "failed") & pl.col("reason").str.contains(ASKED_AGAIN)
        rows = ledger.filter(~again).collect()
        return cls(rows, images.read(rows["image_id"].drop_nulls().unique()))


def fetch_shard(
    rows: pl.DataFrame, bodies: Iterable[Fetched], settings: Ingest, tar_path: Path, kept: Kept | None = None
) -> pl.DataFrame:
    """Write a shard's tar and make its ledger; neither depends on the order in which bodies arrive.

    Args:
        rows: `source_row` i64 (unique), `url` and `text` Str; one row per source row of the shard.
        bodies: one result per source row that is not kept, in any order. Bodies are spooled to disk beside the tar,
            never collected.
        settings: `max_bytes` and `max_pixels`.
        tar_path: local file to write; its folder must exist.
        kept: rows that an earlier ledger has for good.

    Returns:
        One row per source row, sorted by `source_row`, columns of `raw_images`. `image_id` is the first 32 hex
        digits of `sha256`; `offset` is the position of the body in the tar. Both are null for rows that failed.

    Raises:
        ValueError: a source row without a result, or with more than one.
    """
    with tempfile.TemporaryFile(dir=tar_path.parent, prefix="spool-") as file:
        spool = Spool(file)
        outcomes = [_outcome(fetched, settings, spool) for fetched in bodies]
        known = (kept or Kept()).rows.select(_OUTCOME.names())
        for image_id, body in kept.bodies if kept else ():
            spool.add(image_id, read_header(body).extension, body)
        offsets = write_tar(tar_path, spool.members())
    results = pl.concat([known, pl.DataFrame(outcomes, schema=_OUTCOME)])
    _check_complete(rows, results)
    schema = {"image_id": pl.String, "offset": pl.Int64}
    positions = pl.DataFrame({"image_id": sorted(spool.places), "offset": offsets}, schema=schema)
    ledger = rows.select("source_row", "url", "text").join(results, on="source_row", validate="1:1")
    ledger = ledger.join(positions, on="image_id", how="left", validate="m:1")
    return ledger.select(RAW_IMAGES.keys()).sort("source_row").rechunk()


def _outcome(fetched: Fetched, settings: Ingest, spool: Spool) -> dict[str, Any]:
    """One row of the ledger's own columns; the body, if it is an image that is accepted, goes to the spool."""
    row: dict[str, Any] = {
        "source_row": fetched.source_row,
        "status": "failed",
        "reason": fetched.reason,
        "http_status": fetched.http_status,
        "attempts": fetched.attempts,
    }
    body = fetched.body
    if body is None:
        return row
    row["size_bytes"] = len(body)
    if not body or len(body) > settings.max_bytes:
        return row | {"reason": "too_large" if body else "empty_body"}
    try:
        header = read_header(body, settings.max_pixels)
    except NotAnImage:
        return row | {"reason": "not_an_image"}
    row |= {"width": header.width, "height": header.height, "format": header.format}
    if header.width * header.height > settings.max_pixels:
        return row | {"reason": "too_many_pixels"}
    sha256 = hashlib.sha256(body).hexdigest()
    spool.add(sha256[:32], header.extension, body)
    return row | {"image_id": sha256[:32], "status": "ok", "reason": None, "sha256": sha256}


def _private_hosts(failed: pl.DataFrame, most: int = 5) -> list[str]:
    """Some hosts of the rows that were refused for where they lie, or lead."""
    urls = failed.filter(pl.col("reason") == "private_address")["url"].unique()
    return sorted({parse_url(url).host for url in urls})[:most]


def _check_complete(rows: pl.DataFrame, results: pl.DataFrame) -> None:
    expected, got = rows["source_row"], results["source_row"]
    repeated = got.filter(got.is_duplicated()).unique().sort().to_list()
    missing = sorted(set(expected.to_list()) - set(got.to_list()))
    unknown = sorted(set(got.to_list()) - set(expected.to_list()))
    if repeated or missing or unknown:
        raise ValueError(
            f"every source row needs exactly one result: {len(missing)} have none {missing[:5]}, "
            f"{len(repeated)} have several {repeated[:5]}, {len(unknown)} are not of this shard {unknown[:5]}"
        )
