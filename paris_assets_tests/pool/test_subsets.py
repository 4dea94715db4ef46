from __future__ import annotations

import bisect
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.pool.pool_table import uid_halves
from paris_assets.pool.subsets import uid_list, written
from paris_assets.storage.shards import Shards
from paris_assets_tests.pool.choosing import known, pool, scores, table

ENDS = ["0" * 32, "f" * 32, "0" * 15 + "1" + "0" * 16, "0" * 31 + "1", "0" * 16 + "f" * 16]
ROWS = table(100).with_columns(uid=pl.concat([pl.Series(ENDS), table(100)["uid"][len(ENDS) :]]))
SUBSETS = {
    "english": [{"rule": "bounds", "column": "language", "values": ["en"]}],
    "clip": [{"rule": "clip_score", "top": 0.3}],
}


def held(uids: np.ndarray, key: str) -> bool:
    """As DataComp's resharder looks a sample up: two 64-bit halves of its key, by binary search in the sorted list."""
    wanted = divmod(int(key, 16), 2**64)
    at = bisect.bisect_left(range(len(uids)), wanted, key=lambda i: tuple(int(half) for half in uids[i]))
    return at < len(uids) and tuple(int(half) for half in uids[at]) == wanted


class Written:
    """What `subset_files` made, with an image for every third row that was asked for."""

    def __init__(self, folder: Path, fetch_all: bool) -> None:
        self.settings = pool({"rule": "clip_score", "arch": "b32", "top": 0.29}, subsets=SUBSETS, controls=2)
        self.rows, facts = scores(known(ROWS), self.settings, folder)
        skipped = ~self.rows["selected"] if not fetch_all else pl.repeat(False, 100, eager=True)
        status = pl.when(skipped).then(pl.lit("skipped")).when(pl.col("source_row") % 3 == 0).then(pl.lit("ok"))
        ledger = self.rows.select("source_row", status=status.otherwise(pl.lit("failed")))
        ledger = ledger.with_columns(reason=pl.when(pl.col("status") == "skipped").then(pl.lit("not_selected")))
        output = written(self.rows.lazy(), Shards.of({"00000": ledger}), self.settings, 0, facts)
        output.scratch = folder
        (self.table,) = output.rows  # type: ignore[misc]
        self.files = {path: local.read_bytes() for path, local in output.files.items()}

    def uids(self, name: str) -> np.ndarray:
        return np.load(io.BytesIO(self.files[f"subsets/{name}.npy"]), allow_pickle=False)

    def said(self, name: str) -> dict[str, Any]:
        return json.loads(self.files[f"subsets/{name}.json"])


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("subsets"), fetch_all=True)


def test_each_subset_has_its_list_its_description_and_its_control(every: Written) -> None:
    names = ["selection", "random-0", "random-1", "english", "english-random-0", "clip", "clip-random-0"]
    assert every.table["subset"].to_list() == names
    assert set(every.files) == {f"subsets/{name}.{kind}" for name in names for kind in ("npy", "json")}
    sizes = dict(every.table.select("subset", "rows").iter_rows())
    assert sizes["selection"] == sizes["random-0"] == sizes["random-1"] == 29
    assert sizes["english"] == sizes["english-random-0"] == ROWS.filter(pl.col("language") == "en").height
    assert set(every.uids("clip").tolist()) != set(every.uids("clip-random-0").tolist())


@pytest.mark.parametrize(
    ("name", "column"), [("selection", "selected"), ("english", "english"), ("random-0", "random-0")]
)
def test_the_resharders_search_finds_what_was_chosen_and_nothing_else(every: Written, name: str, column: str) -> None:
    uids = every.uids(name)
    assert uids.dtype == np.dtype([("f0", "<u8"), ("f1", "<u8")])
    for uid, chosen in every.rows.select("uid", column).iter_rows():
        assert held(uids, uid) == chosen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**128 - 1), max_size=30), st.lists(st.integers(0, 2**128 - 1), max_size=5))
def test_any_uids_are_sorted_unique_and_found(inside: list[int], others: list[int]) -> None:
    keys = [f"{number:032x}" for number in inside] + ENDS + ENDS[:2]
    uids = uid_list(*uid_halves(pl.Series("uid", keys, dtype=pl.String)))
    numbers = [(int(high) << 64) + int(low) for high, low in uids.tolist()]
    assert numbers == sorted({int(key, 16) for key in keys})
    assert all(held(uids, key) for key in keys)
    assert all(held(uids, f"{number:032x}") == (f"{number:032x}" in keys) for number in others)


def test_the_description_holds_rule_thresholds_counts_hash_and_the_share_found(every: Written) -> None:
    said = every.said("clip")
    assert said["rule"] == [{"rule": "clip_score", "arch": "l14", "top": 0.3, "of": "pool"}]
    assert said["steps"][0]["threshold"] == ROWS["clip_l14"].sort(descending=True)[29]
    assert said["dropped"] == {"clip_score": 70}
    assert said["sha256"] == hashlib.sha256(every.files["subsets/clip.npy"]).hexdigest()
    found = every.rows.filter("clip", pl.col("source_row") % 3 == 0).height
    assert said["images"] == {"asked_for": 30, "found": found, "share_found": found / 30}
    assert every.table.filter(subset="clip")["found"].item() == found


def test_what_was_not_asked_for_is_not_called_lost(tmp_path: Path) -> None:
    some = Written(tmp_path, fetch_all=False)
    assert some.table.filter(subset="english")["found"].item() is None
    assert some.said("english")["images"]["asked_for"] == some.rows.filter("english", "selected").height
    assert some.table.filter(subset="selection")["found"].item() is not None


def test_an_empty_subset_is_an_empty_list() -> None:
    uids = uid_list(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    assert len(uids) == 0
    assert not held(uids, "0" * 32)
