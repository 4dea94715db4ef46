"""Copies by stored vectors, beside those by pHash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from paris_assets.config import Duplicates
from paris_assets.curation.decided import SCHEMA
from paris_assets.curation.near_vectors import Groups, NearVectors, Vectors
from paris_assets.errors import BrokenInvariant
from paris_assets.vectors.cosine import cosines
from paris_assets.vectors.pairs import ClosePairs
from paris_assets_tests.curation.found import duplicates
from paris_assets_tests.curation.test_duplicates import flipped, groups, rows

BOUND = 0.9
SETTINGS = Duplicates()
RANDOM = np.random.default_rng(0)


def turned(*degrees: float) -> np.ndarray:
    """(N, 2) float16 vectors at these angles; a bound of 0.9 is 25.8 degrees."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)


def frame(names: Sequence[str], vectors: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"image_id": list(names), "vector": vectors})


def near(frames: Sequence[pl.DataFrame], **more: Any) -> Vectors:
    return Vectors(frames, BOUND, **more)


def pictures(*names: str, **more: object) -> list[dict[str, object]]:
    """Images whose pHashes and thumbnails have nothing in common."""
    far = RANDOM.integers(0, 2**63, len(names))
    return [
        {"image_id": name, "phash": int(hash_), "thumbnail": RANDOM.integers(0, 256, 384, dtype=np.uint8), **more}
        for name, hash_ in zip(names, far, strict=True)
    ]


def test_close_vectors_make_a_copy_and_say_so() -> None:
    table = rows(*pictures("a", "b", "c", "d"))
    found = duplicates(table, SETTINGS, vectors=near([frame("abd", turned(0, 20, 90))]))
    assert groups(found) == {"a": {"a", "b"}, "c": {"c"}, "d": {"d"}}
    assert dict(found.schema) == {**SCHEMA, "cosine": pl.Float32}
    assert found["method"].to_list() == [None, "vectors", None, None]
    assert found["cosine"].to_list() == [None, pytest.approx(np.cos(np.deg2rad(20)), abs=1e-3), None, None]


def test_a_chain_is_not_one_group() -> None:
    """b is near a and c, which are 40 degrees apart."""
    table = rows(*pictures("a", "b", "c"))
    found = duplicates(table, SETTINGS, vectors=near([frame("abc", turned(0, 20, 40))]))
    assert groups(found) == {"a": {"a", "b"}, "c": {"c"}}


def test_a_copy_agrees_with_its_keeper_by_thumbnail_or_by_vector() -> None:
    """a and b have one pHash and thumbnail, b and c one vector: c agrees with b alone, which is a copy of a."""
    same = {"phash": 0, "thumbnail": RANDOM.integers(0, 256, 384, dtype=np.uint8)}
    table = rows({"image_id": "a", **same}, {"image_id": "b", **same, "phash": flipped(0, 1)}, *pictures("c"))
    found = duplicates(table, SETTINGS, vectors=near([frame("abc", turned(0, 60, 62))]))
    assert groups(found) == {"a": {"a", "b"}, "c": {"c"}}
    assert found["method"].to_list() == [None, "phash", None]
    closer = duplicates(table, SETTINGS, vectors=near([frame("abc", turned(40, 60, 62))]))
    assert groups(closer) == {"a": {"a", "b", "c"}}
    assert closer["method"].to_list() == [None, "phash", "vectors"]


def by_hand(names: list[str], vectors: np.ndarray) -> dict[str, set[str]]:
    """Each image in order of rank: a copy of the first keeper that it is near to, else a keeper."""
    keepers: dict[int, set[str]] = {}
    for at in range(len(names)):
        near = [k for k in keepers if cosines(vectors[k : k + 1], vectors[at : at + 1])[0] >= BOUND]
        keepers.setdefault(near[0] if near else at, set()).add(names[at])
    return {names[keeper]: members for keeper, members in keepers.items()}


def scattered(count: int) -> tuple[list[str], np.ndarray]:
    centres = RANDOM.standard_normal((count // 6, 40))
    vectors = centres[RANDOM.integers(0, len(centres), count)] + 0.3 * RANDOM.standard_normal((count, 40))
    return [f"{number:04}" for number in range(count)], vectors.astype(np.float16)


def test_groups_are_those_of_the_stated_rule_whatever_the_order() -> None:
    names, vectors = scattered(500)
    table = rows(*pictures(*names))
    expected = by_hand(names, vectors)
    assert 60 < len(expected) < 400
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(names))
        parts = [frame([names[at] for at in part], vectors[part]) for part in np.array_split(order, 3)]
        found = duplicates(table.sample(fraction=1, shuffle=True, seed=seed), SETTINGS, vectors=near(parts))
        assert groups(found) == expected


def test_a_crowd_of_one_vector_is_one_group() -> None:
    count = 3000
    names = [f"{number:04}" for number in range(count)]
    table = rows(*pictures(*names))
    vectors = np.tile(turned(10), (count, 1))
    found = duplicates(table, SETTINGS, vectors=near([frame(names, vectors)]))
    assert groups(found) == {"0000": set(names)}


def test_the_ties_of_a_crowd_are_few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """3,000 equal vectors are 4.5 million pairs."""
    names = pl.Series([f"{number:04}" for number in range(3000)])
    crowd = NearVectors(names, near([frame(names.to_list(), np.tile(turned(10), (3000, 1)))]), tmp_path)
    computed, close = [], ClosePairs.close

    def counted(self: ClosePairs, pairs: np.ndarray) -> np.ndarray:
        computed.append(len(pairs))
        return close(self, pairs)

    monkeypatch.setattr(ClosePairs, "close", counted)
    ties = crowd.ties()
    assert sum(computed) < 3 * 3000
    assert set(ties.ravel()) == set(range(3000))
    assert list(tmp_path.iterdir()) == [], "the file has no name"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60), st.integers(1, 7))
def test_groups_are_the_connected_parts_of_the_pairs(pairs: list[tuple[int, int]], step: int) -> None:
    edges = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), bool), tuple(edges.T)), shape=(31, 31))
    label = connected_components(graph, directed=False)[1]
    groups = Groups(31)
    for start in range(0, len(edges), step):
        groups.join(edges[start : start + step])
    every = np.stack(np.triu_indices(31, 1), axis=1)
    assert (groups.apart(every) == (label[every[:, 0]] != label[every[:, 1]])).all()


def test_a_published_keeper_stays_and_takes_new_copies() -> None:
    names = pictures("a", "b", "c")
    vectors = turned(0, 20, 21)
    before = duplicates(rows(*names[1:]), SETTINGS, vectors=near([frame("bc", vectors[1:])]))
    assert groups(before) == {"b": {"b", "c"}}
    table = rows({**names[0], "source_row": 9}, {**names[1], "source_row": 0}, {**names[2], "source_row": 1})
    grown = duplicates(table, SETTINGS, before, near([frame("abc", vectors)]))
    assert groups(grown) == {"b": {"a", "b", "c"}}
    assert grown.sort("source_row")["method"].to_list() == [None, "vectors", "vectors"]


def test_without_the_setting_vectors_are_not_looked_at() -> None:
    table = rows(*pictures("a", "b"))
    assert duplicates(table, Duplicates())["keeper"].all()
    nobody = duplicates(table, SETTINGS, vectors=near([]))
    assert nobody["keeper"].all()
    assert nobody["cosine"].null_count() == 2


def test_vectors_of_several_encoders_are_refused(tmp_path: Path) -> None:
    frames = [frame("a", turned(0)), frame("b", np.ones((1, 3), np.float16))]
    with pytest.raises(BrokenInvariant, match="vectors of 3 dimensions among those of 2"):
        NearVectors(pl.Series(["a", "b"]), near(frames), tmp_path)
