"""The ledger of a shard: what became of every source row, beside a tar of the images that arrived."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, starmap
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Ingest
from paris_assets.errors import BrokenInvariant
from paris_assets.images.blur import Box
from paris_assets.images.decode import NotAnImage, read_header
from paris_assets.images.reader import ImageTars, tar_path
from paris_assets.images.tars import write_tar
from paris_assets.ingest.faces import blurred_as, face_boxes, unblurrable
from paris_assets.ingest.fetched import SKIPPED, Fetched
from paris_assets.ingest.kept import Kept
from paris_assets.ingest.refused import NOTHING, TAKEN_DOWN, Refused
from paris_assets.ingest.schema import RAW_IMAGES
from paris_assets.ingest.spool import STORED, Arrival, Spool, Stored
from paris_assets.ingest.verify import HASH_MISMATCH, Expected, differs, expected_hashes
from paris_assets.ingest.web.opt_out import OPTED_OUT, opt_outs
from paris_assets.ingest.web.urls import parse_url
from paris_assets.storage.output import MADE_AS, Output

_JOINED = ("uid", "url", "text", "offset", *STORED)  # by source_row, and by image_id
_OUTCOME = pl.Schema({name: kind for name, kind in RAW_IMAGES.polars().items() if name not in _JOINED})


def fetched_images(
    shard: str,
    rows: pl.DataFrame,
    images: ImageTars,
    fetch: Callable[[pl.DataFrame], Iterable[Fetched]],
    settings: Ingest,
    selection: pl.LazyFrame | None = None,
    refused: Refused = NOTHING,
) -> Output:
    """A shard's images in one tar, and its ledger; see ``fetch_shard``.

    Args:
        shard: key of the shard, which names the tar.
        rows: its `source_rows`.
        images: reads the tar as it stands, where its rows are kept.
        fetch: source rows -> one result for each, in any order. Rows whose faces cannot be blurred are not asked for.
        selection: its `pool_selection`; rows that it leaves out are not asked for either.
        refused: what was taken down.
    """
    output, skipped, left_out = Output(rows_in=rows.height), not_selected(rows, selection), refused.rows(rows)
    opted_out = opt_outs(settings.opt_out).rows(rows)

    def ledgers(before: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        local = output.scratch / "images.tar"
        gone = RAW_IMAGES.frame() if before is None else refused.standing(before.collect(), left_out)
        kept = Kept() if before is None else Kept.of(before, images.of(shard, before), gone)
        missing = rows.join(kept.rows, on="source_row", how="anti")
        taken_down, missing = _without(missing, [*left_out, *gone["source_row"]])
        left, missing = _without(missing, skipped)
        unwanted, missing = _without(missing, opted_out)
        faces = unblurrable(missing) if settings.blurs_faces else []
        _, asked = _without(missing, [fetched.source_row for fetched in faces])
        gone_for = [*((row, TAKEN_DOWN) for row in taken_down), *((row, OPTED_OUT) for row in unwanted)]
        without_asking = chain(starmap(Fetched.refused, gone_for), map(Fetched.skipped, left), faces)
        ledger = fetch_shard(rows, chain(without_asking, fetch(asked)), settings, local, kept, refused)
        images.files.forget(tar_path(shard))
        failed = ledger.filter(pl.col("status") != "ok")
        output.rejects |= dict(failed.group_by("reason").len().iter_rows())
        output.facts["fetched_bytes"] = int(ledger["size_bytes"].sum())
        output.facts["kept"] = ledger.height - failed.height
        if settings.encode is not None:
            output.facts["stored_bytes"] = int(ledger.unique("image_id")["stored_bytes"].sum())
            output.facts[MADE_AS] = blurred_as(rows, ledger)
        if hosts := _private_hosts(failed):
            output.facts["private_hosts"] = hosts
        output.files[tar_path(shard)] = local
        yield ledger

    output.rows = ledgers
    return output


def not_selected(rows: pl.DataFrame, selection: pl.LazyFrame | None) -> list[int]:
    """Source rows that are not to be fetched; none without a selection.

    Raises:
        BrokenInvariant: rows of which the selection says nothing.
    """
    if selection is None:
        return []
    said = rows.select("source_row").join(selection.select("source_row", "selected").collect(), "source_row", "left")
    if unknown := said["selected"].null_count():
        raise BrokenInvariant(f"{unknown} of {rows.height} source rows are not in pool_selection")
    return said.filter(~pl.col("selected"))["source_row"].to_list()


def _without(rows: pl.DataFrame, left_out: Sequence[int]) -> tuple[list[int], pl.DataFrame]:
    """Those of some source rows that are among the rows, and the others."""
    out = pl.col("source_row").is_in(pl.Series(left_out, dtype=pl.Int64).implode())
    return rows.filter(out)["source_row"].to_list(), rows.filter(~out)


def fetch_shard(
    rows: pl.DataFrame,
    bodies: Iterable[Fetched],
    settings: Ingest,
    tar_path: Path,
    kept: Kept | None = None,
    refused: Refused = NOTHING,
) -> pl.DataFrame:
    """Write a shard's tar and make its ledger; neither depends on the order in which bodies arrive.

    Args:
        rows: `source_row` i64 (unique), `uid`, `url` and `text` Str, `face_bboxes` where faces are blurred, and
            `source_sha256` and `source_phash` where they are verified; one row per source row of the shard.
        bodies: one result per source row that is not kept, in any order. Bodies are spooled to disk beside the tar,
            never collected.
        settings: `max_bytes`, `max_pixels`, `encode` and `opt_out`.
        tar_path: local file to write; its folder must exist.
        kept: rows that an earlier ledger has for good.
        refused: bytes that are not kept.

    Returns:
        One row per source row, sorted by `source_row`, columns of `raw_images`. `image_id` is the first 32 hex
        digits of `sha256`; `offset` is the position in the tar of what is stored. Both are null for rows that failed.

    Raises:
        ValueError: a source row without a result, or with more than one.
    """
    kept = kept or Kept()
    with tempfile.TemporaryFile(dir=tar_path.parent, prefix="spool-") as file:
        spool = Spool(file)
        for image_id, stored in kept.stored():
            spool.put(image_id, stored)
        outcomes = [_kept(spool, *each) for each in _as_stored(bodies, rows, settings, kept, refused)]
        positions = spool.ledger(write_tar(tar_path, spool.members()))
    results = pl.concat([kept.rows.select(_OUTCOME.names()), pl.DataFrame(outcomes, schema=_OUTCOME)])
    _check_complete(rows, results)
    ledger = rows.select("source_row", "uid", "url", "text").join(results, on="source_row", validate="1:1")
    ledger = ledger.join(positions, on="image_id", how="left", validate="m:1")
    return ledger.select(RAW_IMAGES.keys()).sort("source_row").rechunk()


def _as_stored(
    bodies: Iterable[Fetched], rows: pl.DataFrame, settings: Ingest, kept: Kept, refused: Refused
) -> Iterator[tuple[dict[str, Any], Stored | None]]:
    """(row of the ledger, what is to be stored of it) of everything that arrived."""
    expected, unwanted = expected_hashes(rows, settings), opt_outs(settings.opt_out).sha256
    arrivals = (_arrival(fetched, settings, expected, refused, unwanted) for fetched in bodies)
    if settings.encode is None:
        for row, body, header in arrivals:
            yield row, None if body is None or header is None else Stored(body, header, row["sha256"])
        return
    from paris_assets.ingest.encoding import encoded  # which loads numba

    boxes = face_boxes(rows) if settings.blurs_faces else {}
    known = dict[str, frozenset[Box]]()
    for source_row, image_id in kept.rows.drop_nulls("image_id").select("source_row", "image_id").iter_rows():
        known[image_id] = known.get(image_id, frozenset()) | boxes.get(source_row, frozenset())
    yield from encoded(arrivals, settings.encode, settings.max_pixels, boxes, known)


def _kept(spool: Spool, row: dict[str, Any], stored: Stored | None) -> dict[str, Any]:
    """The row; what is to be stored of it goes to the spool."""
    if stored is not None:
        spool.put(row["image_id"], stored)
    return row


def _arrival(
    fetched: Fetched, settings: Ingest, expected: Mapping[int, Expected], refused: Refused, unwanted: Collection[str]
) -> Arrival:
    """One row of the ledger's own columns, with the body if it is an image that is accepted."""
    row: dict[str, Any] = {
        "source_row": fetched.source_row,
        "image_id": None,
        "status": SKIPPED if fetched.status == SKIPPED else "failed",
        "reason": fetched.reason,
        "http_status": fetched.http_status,
        "attempts": fetched.attempts,
    }
    body = fetched.body
    if body is None:
        return Arrival(row)
    sha256 = hashlib.sha256(body).hexdigest()
    if sha256[:32] in refused.image_ids:
        return Arrival(row | {"reason": TAKEN_DOWN})
    if sha256 in unwanted:
        return Arrival(row | {"reason": OPTED_OUT})
    row["size_bytes"] = len(body)
    if not body or len(body) > settings.max_bytes:
        return Arrival(row | {"reason": "too_large" if body else "empty_body"})
    try:
        header = read_header(body, settings.max_pixels)
    except NotAnImage:
        return Arrival(row | {"reason": "not_an_image"})
    row |= {"width": header.width, "height": header.height, "format": header.format}
    if header.width * header.height > settings.max_pixels:
        return Arrival(row | {"reason": "too_many_pixels"})
    if fetched.source_row in expected and differs(body, sha256, expected[fetched.source_row], settings):
        return Arrival(row | {"reason": HASH_MISMATCH})
    accepted = {"image_id": sha256[:32], "status": "ok", "reason": None, "sha256": sha256}
    return Arrival(row | accepted, body, header)


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
