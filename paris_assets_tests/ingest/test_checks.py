"""Each check of the ingest stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag.store import Store
from paris_assets.ingest.checks import fetched, ledger_complete
from paris_assets_tests import worlds
from paris_assets_tests.worlds import SHARD


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = worlds.flat_store(tmp_path)
    names = worlds.ids(10)
    worlds.put(store, "source_rows", pl.DataFrame({"source_row": range(10), "url": ["u"] * 10}))
    ledger = pl.DataFrame({"source_row": range(10), "image_id": names}).with_columns(
        status=pl.lit("ok"), reason=pl.lit(None, pl.String)
    )
    worlds.put(store, "raw_images", ledger)
    assert ledger_complete(store, SHARD).passed
    assert fetched(store, SHARD).passed
    return store


def test_a_lost_row(store: Store) -> None:
    worlds.put(store, "raw_images", store.read("raw_images", SHARD)[1:])
    assert ledger_complete(store, SHARD).figures == {"missing": 1, "repeated": 0, "unexplained": 0}
    assert not ledger_complete(store, SHARD).passed


def test_a_repeated_row(store: Store) -> None:
    rows = store.read("raw_images", SHARD)
    worlds.put(store, "raw_images", pl.concat([rows, rows[:1]]))
    assert ledger_complete(store, SHARD).figures["repeated"] == 1
    assert not ledger_complete(store, SHARD).passed


def test_a_failure_without_reason(store: Store) -> None:
    worlds.replace(
        store, "raw_images", status=pl.when(pl.col("source_row") == 0).then(pl.lit("failed")).otherwise("status")
    )
    assert ledger_complete(store, SHARD).figures["unexplained"] == 1
    assert not ledger_complete(store, SHARD).passed
    assert fetched(store, SHARD).passed


def test_a_dead_server(store: Store) -> None:
    dead = pl.col("source_row") < 6
    worlds.replace(
        store,
        "raw_images",
        status=pl.when(dead).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(dead).then(pl.lit("connection")),
    )
    judged = fetched(store, SHARD)
    assert not judged.passed
    assert "connection 6" in judged.said
    assert ledger_complete(store, SHARD).passed
