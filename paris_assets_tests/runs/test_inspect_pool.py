"""`paris inspect` of a uid: whether the pool's selection chose its row, and why."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from paris_assets.runs.inspect import print_history
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot

UIDS = [f"{'0' * 8}{row:024x}" for row in range(4)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MadeUpRoot:
    """Four rows: one arrived, one failed, two are not selected; the source has no uid of the last."""
    settings = {"pool.subsets": {"everything": []}, "pool.concepts": {}, "pool.judge": {}}
    store = made_up.flat_root(tmp_path_factory.mktemp("pool"), **settings)
    registry = pl.DataFrame({"shard": [SHARD], "file": "", "rows": 4, "source_row": [0]})
    made_up.put_registry(Path(store.root.url), registry)
    rows = pl.DataFrame({"source_row": range(4), "url": [f"http://photos.example/{row}" for row in range(4)]})
    rows = rows.with_columns(uid=pl.Series([*UIDS[:3], None]), text=pl.lit("x"), locator=pl.lit(None, pl.String))
    store.put("source_rows", rows)
    chosen = pl.DataFrame(
        {
            "source_row": range(4),
            "uid": UIDS,
            "selected": [True, True, False, False],
            "reason": [None, None, "clip_score", "judge"],
            "value": [None, None, 0.125, None],
            "rank": [0, 1, 2, None],
        }
    )
    store.put("pool_scores", chosen.with_columns(shard=pl.lit(SHARD), random_0=pl.col("source_row") == 2))
    store.put("pool_selection", chosen)
    store.put("concept_assignments", pl.DataFrame({"source_row": range(4), "concept": [5, 5, 5, 6]}))
    verdicts = {"concept": [5, 6], "verdict": ["keep", "drop"], "reason": ["photos of boats", "names of cameras"]}
    store.put("concept_verdicts", pl.DataFrame(verdicts))
    ledger = rows.select("source_row", "uid", "url", "text").with_columns(
        image_id=pl.Series(["a" * 32, None, None, None]),
        status=pl.Series(["ok", "failed", "skipped", "skipped"]),
        reason=pl.Series([None, "http_404", "not_selected", "not_selected"]),
        http_status=pl.Series([200, 404, None, None]),
        attempts=pl.Series([1, 1, 0, 0]),
    )
    store.put("raw_images", ledger)
    return store


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (UIDS[0], ["selected from the pool, rank 0 (0 is the best)", "its concept 5 is judged keep: photos of boats"]),
        (UIDS[1], ["selected from the pool, rank 1", "not fetched: http_404 (HTTP 404, 1 attempt)"]),
        (
            UIDS[2],
            [
                "not selected from the pool, so not fetched: left out by clip_score, which saw 0.125, rank 2",
                "random_0: True",
            ],
        ),
        (UIDS[3], ["left out by judge\n", "its concept 6 is judged drop: names of cameras", "source row 3"]),
    ],
)
def test_a_uid_tells_why(store: MadeUpRoot, wanted: str, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert print_history(store.tables, wanted) == 0
    printed = capsys.readouterr().out
    for line in said:
        assert line in printed


def test_rows_that_wait_are_known_by_uid_too(store: MadeUpRoot, capsys: pytest.CaptureFixture[str]) -> None:
    store.root.delete(f"raw_images/{SHARD}.parquet")
    assert print_history(store.tables, UIDS[1]) == 0
    assert "=> not fetched yet" in capsys.readouterr().out
    assert print_history(store.tables, UIDS[2]) == 0
    assert "left out by clip_score" in capsys.readouterr().out
