"""Only rows that the pool selects are fetched; the others are accounted for, and are no failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from paris_assets.config import Ingest
from paris_assets.dag.flow import account
from paris_assets.errors import BrokenInvariant
from paris_assets.images.reader import ImageTars
from paris_assets.ingest.checks import fetched, ledger_complete
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.ledger import fetched_images
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import Location
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD
from paris_assets_tests.ingest.pictures import picture

ROWS = pl.DataFrame({"source_row": range(8), "url": [f"http://a.example/{row}" for row in range(8)]}).with_columns(
    uid=pl.format("uid {}", "source_row"), text=pl.lit("x")
)
SELECTION = pl.LazyFrame({"source_row": reversed(range(8)), "selected": [row % 2 == 0 for row in reversed(range(8))]})


def made(folder: Path, before: pl.DataFrame | None = None, fails: int = -1) -> tuple[pl.DataFrame, list[int], dict]:
    """The ledger, the rows that were asked for, and what the output counts."""
    root, asked = Location(folder), []

    def fetch(rows: pl.DataFrame) -> Iterator[Fetched]:
        for row in rows["source_row"]:
            asked.append(row)
            failed = Fetched(row, "failed", "timeout", None, 3, None)
            yield failed if row == fails else Fetched(row, "ok", None, 200, 1, picture(row))

    output = fetched_images(SHARD, ROWS, ImageTars(LocalFiles(root)), fetch, Ingest(), SELECTION)
    output.scratch = folder
    assert callable(output.rows)
    (ledger,) = output.rows(None if before is None else before.lazy())
    for path, local in output.files.items():
        root.put(local, path)
    return ledger, asked, {"in": output.rows_in, "out": output.facts["kept"], "rejects": output.rejects}


def test_nothing_is_asked_for_what_is_not_selected(tmp_path: Path) -> None:
    ledger, asked, counts = made(tmp_path)
    assert asked == [0, 2, 4, 6]
    assert ledger["status"].to_list() == ["ok", "skipped"] * 4
    assert ledger["reason"].to_list() == [None, "not_selected"] * 4
    skipped = ledger.filter(status="skipped")
    assert skipped["attempts"].to_list() == [0] * 4
    assert skipped["image_id"].null_count() == 4
    assert ledger["uid"].to_list() == ROWS["uid"].to_list()
    (step,) = account({"raw_images": counts})
    assert step.whole
    assert str(step) == "8 rows = 4 fetched + 4 not_selected"


def test_a_retry_asks_for_what_failed_and_for_nothing_else(tmp_path: Path) -> None:
    before, _, counts = made(tmp_path, fails=4)
    assert counts["rejects"] == {"not_selected": 4, "timeout": 1}
    ledger, asked, counts = made(tmp_path, before)
    assert asked == [4]
    assert counts["rejects"] == {"not_selected": 4}
    assert ledger.equals(made(tmp_path)[0])


def test_a_row_that_the_selection_does_not_know(tmp_path: Path) -> None:
    output = fetched_images
    with pytest.raises(BrokenInvariant, match="1 of 8 source rows are not in pool_selection"):
        output(SHARD, ROWS, ImageTars(LocalFiles(Location(tmp_path))), lambda _: (), Ingest(), SELECTION.head(7))


def test_checks_do_not_count_them(tmp_path: Path) -> None:
    store = made_up.flat_root(tmp_path)
    status = ["ok"] * 2 + ["skipped"] * 8
    ledger = pl.DataFrame({"source_row": range(10), "status": status}).with_columns(
        image_id=pl.when(pl.col("status") == "ok").then(pl.lit("a" * 32)),
        reason=pl.when(pl.col("status") == "skipped").then(pl.lit("not_selected")),
    )
    store.put("source_rows", pl.DataFrame({"source_row": range(10)}))
    store.put("raw_images", ledger)
    judged = store.check(fetched, SHARD)
    assert (judged.passed, judged.figures["fetched"]) == (True, 1.0)
    assert judged.said == "2 of 2 rows fetched (100.0%); 8 more are not selected"
    assert store.check(ledger_complete, SHARD).passed
    dead = pl.when(pl.col("source_row") == 0).then(pl.lit("failed")).otherwise("status")
    late = pl.when(pl.col("source_row") == 0).then(pl.lit("timeout")).otherwise("reason")
    bad = pl.when(pl.col("source_row") == 0).then(None).otherwise("image_id")
    store.replace("raw_images", status=dead, reason=late, image_id=bad)
    assert store.check(fetched, SHARD).figures["fetched"] == 0.5
    one = pl.when(pl.col("source_row") == 1).then(pl.lit("failed")).otherwise("status")
    store.replace("raw_images", status=one)
    assert not store.check(fetched, SHARD).passed
