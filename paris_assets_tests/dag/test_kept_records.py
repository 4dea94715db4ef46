"""Records are read once, again when their table is another, and are kept no longer than their shard is worked on."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from paris_assets.dag import kept_records
from paris_assets.dag.catalog import Catalog
from paris_assets.dag.graph import TableSpec
from paris_assets.dag.kept_records import KeptRecords
from paris_assets.dag.records import ALL
from paris_assets.profiles import load_profile
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets_tests.fixtures.made_up import MadeUpRoot

GRAPH = {name: TableSpec(name, True, "1") for name in ("first", "second")}


def test_what_was_read_is_read_again_when_it_changed_or_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, read = Location(tmp_path), Counter[str]()
    store = MadeUpRoot(Catalog(root, load_profile("demo"), lambda profile: GRAPH))
    rows = pl.DataFrame({"number": [1]})
    made = {
        (asset, shard): store.commit(asset, shard, Output(rows=[rows]))
        for asset in GRAPH
        for shard in ("00000", "00001")
    }
    original = kept_records.read_record

    def counted(location: Location, asset: str, shard: str) -> object:
        read[f"{asset}/{shard}"] += 1
        return original(location, asset, shard)

    monkeypatch.setattr(kept_records, "read_record", counted)
    kept = KeptRecords(root)
    for _ in range(2):
        assert {key: kept.at(*key, stamp=1) for key in made} == made
    assert set(read.values()) == {1}
    kept.forget(GRAPH, "00000")
    assert len(kept) == 2
    assert kept.at("first", "00000", stamp=1) == made["first", "00000"]
    assert kept.at("first", "00001", stamp=2) == made["first", "00001"]
    assert kept.at("second", "00001", stamp=None) is None
    assert read == {"first/00000": 2, "first/00001": 2, "second/00000": 1, "second/00001": 1}
    kept.forget(GRAPH, ALL)
    assert len(kept) == 0
