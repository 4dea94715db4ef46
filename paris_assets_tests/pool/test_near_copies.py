from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.pool import leaders, near_copies
from paris_assets.pool.leaders import Cells, keepers
from paris_assets.pool.near_copies import neighbours
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.vectors.cells import placed
from paris_assets.vectors.cosine import cosines
from paris_assets.vectors.pairs import ClosePairs
from paris_assets_tests.pool.choosing import DIM, known, pool, scores, table, uids


def cosine(vectors: np.ndarray, left: int, right: int) -> float:
    return float(cosines(vectors[[left]], vectors[[right]])[0])


def one_by_one(vectors: np.ndarray, cells: Cells, least: float) -> list[int]:
    """The rule once more: the best row that stays, of the same cell or a near one, and is close."""
    found = list(range(len(vectors)))
    standing: list[int] = []
    for row in np.argsort(cells.rank):
        cell = int(cells.cell[row])
        close = [
            other
            for other in standing
            if int(cells.cell[other]) in {cell, *cells.near[cell]} and cosine(vectors, other, row) >= least
        ]
        if close:
            found[row] = close[0]
        else:
            standing.append(int(row))
    return found


def found_keepers(vectors: np.ndarray, cells: Cells, least: float) -> list[int]:
    return keepers(vectors, ClosePairs(vectors, least), cells).tolist()


def one_concept(count: int) -> Cells:
    return Cells(np.zeros(count, np.int32), np.arange(count), [set()])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 0.9, 0.99]), st.integers(1, 40), st.integers(1, 5))
def test_a_row_stays_unless_a_better_one_that_stays_is_close(seed: int, least: float, count: int, k: int) -> None:
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(6, 4))[draw.integers(0, 6, count)] + draw.normal(0, 0.2, (count, 4))
    vectors = vectors.astype(np.float16)
    vectors[draw.random(count) < 0.1] = 0
    again = draw.random(count) < 0.3
    vectors[again] = vectors[draw.integers(0, count, again.sum())]  # the very same vector, here or in another concept
    concept = np.sort(draw.integers(0, k, count))
    rank = draw.permutation(count)
    rank = rank[np.lexsort((rank, concept))]
    cells = Cells(concept, rank, neighbours(draw.normal(size=(k, 2)), 1))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FIRST": 3, "MOST": 4, "ROWS": 2}.items():  # many chunks, halved often
            patch.setattr(leaders, name, value)
        found = found_keepers(vectors, cells, least)
    assert found == one_by_one(vectors, cells, least) == found_keepers(vectors, cells, least)


def test_a_chain_loses_only_what_is_close_to_its_keeper() -> None:
    angles = np.radians([0, 15, 30, 45, 60])  # neighbours have a cosine of .966, the next but one of .866
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert found_keepers(vectors, one_concept(5), 0.95) == [0, 0, 2, 2, 4]  # SemDeDup keeps one of the five


def test_vectors_that_share_a_hash_are_no_copies_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaders, "_hashes", lambda vectors: np.zeros(len(vectors), np.uint64))
    assert found_keepers(np.eye(3, dtype=np.float16)[[0, 1, 0, 2]], one_concept(4), 0.9) == [0, 1, 0, 3]


@pytest.mark.parametrize("cells", [1, 5])
@pytest.mark.parametrize(("keep", "leaves"), [("near", 0), ("far", 1)])
def test_copies_go_whatever_concept_they_are_in_and_the_better_row_stays(
    keep: str, leaves: int, cells: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_copies, "placed", lambda *args: placed(*args, cells=cells))
    rows = table(60).sort("concept").with_columns(source_row=pl.int_range(60))
    image, distance = rows["image"].to_numpy().copy(), np.full(60, 0.5, np.float32)
    pair = [int(rows["concept"].search_sorted(concept)) for concept in (0, 1)]
    image[pair[1]], distance[pair[1]] = image[pair[0]], 0.1  # one of concept 1 shows what one of concept 0 does
    rows = rows.with_columns(image=pl.Series(image), distance=pl.Series(distance))
    step = {"rule": "dedup", "cosine": 0.999, "keep": keep, "neighbours": 0}
    got, _ = scores(known(rows), pool(step), tmp_path)
    assert got.filter(~pl.col("selected"))["source_row"].to_list() == [pair[leaves]]
    assert got["value"][pair[leaves]] == pytest.approx(1)


@pytest.mark.parametrize(("keep", "stays"), [("near", "a"), ("far", "b"), ("clip_l14", "c")])
def test_the_keeper_is_the_best_by_the_ranking_that_is_asked_for(keep: str, stays: str, tmp_path: Path) -> None:
    rows = table(3).with_columns(
        uid=pl.Series(["a" * 32, "b" * 32, "c" * 32]),
        concept=pl.lit(0, pl.Int32),
        distance=pl.Series([0.1, 0.9, 0.5], dtype=pl.Float32),
        clip_l14=pl.Series([0.2, None, 0.3]),
        image=pl.Series(np.ones((3, DIM), np.float16)),
    )
    got, facts = scores(known(rows), pool({"rule": "dedup", "keep": keep}), tmp_path)
    assert uids(got) == {stays * 32}
    assert facts["subsets"]["selection"]["steps"][0]["copies"] == 2


def test_a_row_without_a_vector_is_dropped_by_name(tmp_path: Path) -> None:
    image = pl.when(pl.col("source_row") > 4).then("image")
    got, _ = scores(known(table(40).with_columns(image=image)), pool({"rule": "dedup", "cosine": 0.999}), tmp_path)
    assert got.filter(pl.col("reason") == "dedup_missing")["source_row"].to_list() == [0, 1, 2, 3, 4]
    with pytest.raises(UnusablePool, match="step dedup needs vectors of text, which the pool lacks"):
        scores(known(table(40)), pool({"rule": "dedup", "features": "text"}), tmp_path)


def test_rows_and_pools_without_concepts_are_compared_too(tmp_path: Path) -> None:
    image = pl.Series(np.ones((3, DIM), np.float16))
    rows = table(3).with_columns(image=image, concept=pl.lit(None, pl.Int32), clip_l14=pl.Series([0.2, 0.4, 0.3]))
    got, _ = scores(known(rows), pool({"rule": "dedup", "keep": "clip_l14"}), tmp_path)
    assert got["selected"].to_list() == [False, True, False]
    assert pool({"rule": "dedup", "keep": "clip_l14"}, concepts=None).concepts is None
    with pytest.raises(ValueError, match="dedup needs concepts"):
        pool("dedup", concepts=None)


def test_where_nothing_is_left_nothing_is_compared(tmp_path: Path) -> None:
    rows = table(5).with_columns(concept=pl.when(pl.col("source_row") == 0).then("concept"))
    nothing_left = {"rule": "prune", "fraction": 0, "prefer": "near"}
    got, facts = scores(known(rows), pool(nothing_left, {"rule": "dedup"}), tmp_path)
    assert not got["selected"].any()
    assert facts["subsets"]["selection"]["steps"][1]["copies"] == 0


def test_near_cells_are_near_from_both_sides() -> None:
    assert neighbours(np.array([[0.0], [1.0], [1.5], [9.0]]), 1) == [{1}, {0, 2}, {1, 3}, {2}]


def reference_step(tmp_path: Path, references: Any, centroids: Any) -> dict[str, Any]:
    np.save(tmp_path / "references.npy", references)
    np.save(tmp_path / "centroids.npy", centroids)
    files = {name: str(tmp_path / f"{name}.npy") for name in ("references", "centroids")}
    return {"rule": "image_based", **files, "language": None, "min_words": 0, "min_characters": 0}


def test_images_stay_where_references_lie_by_cosine(tmp_path: Path) -> None:
    rows, draw = table(100), np.random.default_rng(1)
    references, centroids = draw.normal(size=(3, DIM)), draw.normal(size=(9, DIM)) * draw.uniform(0.1, 9, (9, 1))
    got, facts = scores(known(rows), pool(reference_step(tmp_path, references, centroids)), tmp_path)

    def nearest(vector: np.ndarray) -> int:
        lengths = np.linalg.norm(centroids, axis=1) * np.linalg.norm(vector)
        return int(np.argmax(centroids @ vector / lengths))

    wanted = {nearest(vector) for vector in references}
    image = rows["image"].to_numpy().astype(np.float64)
    assert got["selected"].to_list() == [nearest(vector) in wanted for vector in image]
    assert facts["subsets"]["selection"]["steps"][0]["centroids_of_references"] == len(wanted)
    with pytest.raises(UnusablePool, match=r"centroids\.npy holds vectors of 5 dimensions, the pool of 8"):
        scores(known(rows), pool(reference_step(tmp_path, references, centroids[:, :5])), tmp_path)
