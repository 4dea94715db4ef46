from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from paris_assets.vectors import cosine
from paris_assets.vectors import nearest as module
from paris_assets.vectors.cosine import cosines
from paris_assets.vectors.nearest import Nearest
from paris_assets_tests.fixtures.made_up import ids

COUNT, DIMS = 700, 24
VECTORS = np.random.default_rng(0).standard_normal((COUNT, DIMS)).astype(np.float16)
QUERIES = np.concatenate([VECTORS[:3], -VECTORS[5:6]]).astype(np.float32)
NAMES = pl.Series("image_id", ids(COUNT))


def by_hand(count: int, least: float = -1) -> list[tuple[int, str, float]]:
    """Every cosine, sorted."""
    rows = []
    for number, query in enumerate(QUERIES):
        found = cosines(VECTORS, np.broadcast_to(query, VECTORS.shape))
        ranked = sorted(zip(-found, NAMES, strict=True))[:count]
        rows += [(number, name, -value) for value, name in ranked if -value >= least]
    return rows


def searched(order: np.ndarray, step: int, count: int, least: float = -1) -> list[tuple[int, str, float]]:
    nearest = Nearest(QUERIES, count, least)
    for place, start in enumerate(range(0, COUNT, step)):
        rows = order[start : start + step]
        nearest.add(NAMES.gather(rows), VECTORS[rows], place)
    return nearest.found().select("query", "image_id", "cosine").rows()


@pytest.mark.parametrize("count", [1, 20, COUNT + 5])
@pytest.mark.parametrize("step", [1000, 64, 7])
def test_the_nearest_are_those_of_all_cosines_in_whatever_order(
    count: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 50)
    monkeypatch.setattr(module, "PRODUCTS", 400)
    for order in (np.arange(COUNT), np.random.default_rng(1).permutation(COUNT)):
        assert searched(order, step, count) == by_hand(count)


def test_only_those_that_are_near_enough() -> None:
    found = searched(np.arange(COUNT), 100, 50, 0.4)
    assert found == by_hand(50, 0.4)
    assert 4 < len(found) < 200


def test_equal_vectors_stand_in_the_order_of_their_names_and_an_image_counts_once() -> None:
    nearest = Nearest(np.ones((1, 2), np.float32), 3)
    for place in (1, 0):
        nearest.add(pl.Series("image_id", ["d", "b", "a", "c"]), np.ones((4, 2), np.float16), place)
    found = nearest.found()
    assert found.select("image_id", "place").rows() == [("a", 0), ("b", 0), ("c", 0)]
    assert (found["cosine"] == 1).all()


def test_equal_vectors_take_no_more_memory_than_a_block_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    widened: list[int] = []

    def noted(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        widened.append(len(left))
        return cosines(left, right)

    monkeypatch.setattr(cosine, "cosines", noted)
    monkeypatch.setattr(cosine, "EXACT", 100)
    nearest = Nearest(np.ones((3, 2), np.float32), 5)
    nearest.add(NAMES, np.ones((COUNT, 2), np.float16))
    assert nearest.found()["image_id"].to_list() == sorted(NAMES)[:5] * 3
    assert sum(widened) == 3 * COUNT
    assert max(widened) == 100


def test_nothing_is_found_among_nothing() -> None:
    nearest = Nearest(QUERIES, 3)
    assert nearest.found().is_empty()
    nearest.add(NAMES.head(0), VECTORS[:0])
    assert nearest.found().is_empty()
