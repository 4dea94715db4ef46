"""A fit whose parts are done elsewhere is that of this process, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets import compute
from paris_assets.clusters import features
from paris_assets.clusters.fitting import fitted
from paris_assets.compute import Compute
from paris_assets.config import Clusters
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards
from paris_assets.vectors import lloyd, rows
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.rows import Some, UnitHalves
from paris_assets_tests.fixtures.elsewhere import Pickling
from paris_assets_tests.vectors.test_lloyd import noisy_groups


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "LOOK_S", 0.001)
    monkeypatch.setattr(rows, "BLOCK_ROWS", 64)
    monkeypatch.setattr(lloyd, "SEED_ROWS", 100)
    monkeypatch.setattr(lloyd, "SAMPLE_ROWS", 100)


def shards(width: int) -> Shards:
    """2,000 vectors of 30 groups in tables of a hundred, in no order."""
    halves = noisy_groups(2000, width, 30).astype(np.float16)
    ids = [f"{number * 7919 % 2003:032x}" for number in range(2000)]
    starts = range(0, 2000, 100)
    tables = {
        f"{at:05}": pl.DataFrame({"image_id": ids[at : at + 100], "embedding": halves[at : at + 100]}) for at in starts
    }
    tables["empty"] = tables["00000"].clear()
    return Shards.of({**tables})


def made(output: Output) -> pl.DataFrame:
    return pl.concat(output.rows(None) if callable(output.rows) else output.rows)


@pytest.mark.parametrize(
    "given",
    [
        {"k": 5},
        {"k": 5, "fine": 40, "assignment": "inherit"},
        {"k": 4, "reduce": "pca", "dims": 6, "max_share": 0.4},
        {"k": 5, "max_train": 1200},
    ],
    ids=["direct", "two stages", "reduced and capped", "some of the images"],
)
@pytest.mark.parametrize("in_file", [False, True], ids=["in memory", "in a file"])
def test_a_cluster_model(
    given: dict[str, object], in_file: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(features, "IN_MEMORY", 0 if in_file else 1 << 30)
    settings, others = Clusters.model_validate({"restarts": 2, **given}), Pickling(3, lost=0.1)
    found = []
    for who in (Compute(2), Compute(1, others, alone_s=0)):
        output = fitted(shards(12), None, settings, 0, who)
        output.scratch = tmp_path
        found.append((made(output), output.facts, output.rows_in))
    assert others.did > 5
    assert found[0][0].equals(found[1][0])
    assert found[0][1:] == found[1][1:]


def test_rows_of_half_precision() -> None:
    halves = noisy_groups(3000, 24, 30).astype(np.float16)
    chosen = Some(UnitHalves(halves, [8, 24]), np.arange(0, 3000, 2))
    others = Pickling(3)
    here, there = (k_means_of_rows(chosen, 20, None, 10, 1, [0], who) for who in (Compute(2), Compute(1, others, 0)))
    assert others.did > 5
    np.testing.assert_array_equal(here, there)
