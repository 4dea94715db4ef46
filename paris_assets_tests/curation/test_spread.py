"""Steps over all shards whose parts are done elsewhere give what they give in this process, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets import compute
from paris_assets.compute import Compute
from paris_assets.curation import hamming
from paris_assets.curation.hamming import close_pairs
from paris_assets.curation.near_vectors import NearVectors, Vectors
from paris_assets.vectors import cells, pairs
from paris_assets_tests.benchmarks import bench_global
from paris_assets_tests.curation.test_hamming import clumped
from paris_assets_tests.fixtures.elsewhere import Pickling
from paris_assets_tests.vectors.test_cells import with_copies


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "LOOK_S", 0.001)


@pytest.fixture
def others() -> Pickling:
    return Pickling(3, lost=0.1)


@pytest.fixture
def spread(others: Pickling) -> Compute:
    return Compute(1, others, alone_s=0)


@pytest.mark.parametrize("block", [1000, 1 << 16], ids=["full blocks", "blocks"])
def test_pairs_of_hashes(block: int, spread: Compute, others: Pickling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "TASK_ROWS", 128)
    monkeypatch.setattr(hamming, "BLOCK_PAIRS", block)
    hashes = clumped(12_000, 30)
    here, there = (list(close_pairs(hashes, 8, who)) for who in (Compute(2), spread))
    assert others.did > 0
    for part, again in zip(zip(*here, strict=True), zip(*there, strict=True), strict=True):
        assert np.array_equal(np.concatenate(part), np.concatenate(again))


@pytest.mark.parametrize("probes", [None, 4], ids=["all meet", "cells"])
def test_pairs_of_vectors(
    probes: int | None, spread: Compute, others: Pickling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cells, "ALL_MEET", 100)
    monkeypatch.setattr(cells, "BLOCK", 64)
    monkeypatch.setattr(pairs, "TILE", 200)
    vectors = with_copies(3000, 80)
    vectors[:150] = vectors[0]  # a crowd
    names = pl.Series([f"{number:05}" for number in range(len(vectors))])
    frame = pl.DataFrame({"image_id": names, "vector": vectors})
    near = NearVectors(names, Vectors([frame], 0.75, probes=probes), tmp_path)
    here, there = near.ties(Compute(2)), near.ties(spread)
    assert others.did > 0
    assert np.array_equal(here, there)
    assert near.close(here).all()
    assert len(here) > 500
    if probes is None:
        every = np.concatenate([block[near.close(block)] for block in near._close.candidates()])
        assert np.array_equal(connected(here, len(vectors)), connected(every, len(vectors)))


def connected(edges: np.ndarray, count: int) -> np.ndarray:
    least = np.arange(count)
    while True:
        before = least.copy()
        for side, other in (edges.T, edges.T[::-1]):
            np.minimum.at(least, side, least[other])
        if np.array_equal(least, before):
            return least


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def made(step: str) -> Path:
        folder = tmp_path_factory.mktemp(step)
        bench_global.make(folder, 900, 30, step)
        return folder

    return made


@pytest.mark.parametrize("step", ["duplicates", "copies", "report"])
def test_tables_of_shards(step: str, tables: Callable[[str], Path], spread: Compute, others: Pickling) -> None:
    folder = tables(step)
    here, there = (pl.concat(bench_global.made_by(step, folder, who)) for who in (Compute(), spread))
    assert others.did > 0
    assert here.equals(there, null_equal=True)
    assert len(here) == (3 if step == "report" else 900)


@pytest.mark.parametrize("step", ["duplicates", "report"])
def test_a_table_that_cannot_be_read_is_the_same_error(
    step: str, tables: Callable[[str], Path], spread: Compute, others: Pickling
) -> None:
    folder = tables(step)
    (folder / "filtered_images" / "00017.parquet").write_bytes(b"PAR1 is what a table begins with")
    told = []
    for who in (Compute(), spread):
        with pytest.raises(pl.exceptions.ComputeError) as raised:
            list(bench_global.made_by(step, folder, who))
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert others.did > 0
