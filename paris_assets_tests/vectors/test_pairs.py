from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from paris_assets.vectors import cosine
from paris_assets.vectors import pairs as module
from paris_assets.vectors.cosine import cosines
from paris_assets.vectors.pairs import ClosePairs


def groups(seed: int, count: int, dims: int, noise: float) -> np.ndarray:
    """(count, dims) vectors around a tenth as many centres, some of them zero."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((count // 10, dims)) + 1
    vectors = centres[random.integers(0, len(centres), count)] * random.uniform(0.5, 2, (count, 1))
    vectors += noise * random.standard_normal((count, dims))
    vectors[::97] = 0
    return vectors.astype(np.float16)


def by_hand(vectors: np.ndarray, least: float) -> set[tuple[int, int]]:
    pairs = set()
    for at in range(len(vectors)):
        later = vectors[at + 1 :]
        near = np.flatnonzero(cosines(np.broadcast_to(vectors[at], later.shape), later) >= least)
        pairs |= {(at, at + 1 + other) for other in near.tolist()}
    return pairs


def found(vectors: np.ndarray, least: float) -> list[tuple[int, int]]:
    return [tuple(pair) for block in ClosePairs(vectors, least) for pair in block.tolist()]


@pytest.mark.parametrize("crowded", [0.0, 1 / 400, 1.1], ids=["whole products", "as it is", "one by one"])
@pytest.mark.parametrize("dims", [8, 64, 200])
@pytest.mark.parametrize("least", [0.6, 0.9, 0.99])
def test_no_pair_is_missed_and_none_comes_twice(
    least: float, dims: int, crowded: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CROWDED", crowded)
    monkeypatch.setattr(module, "ROWS", 100)
    monkeypatch.setattr(module, "COLUMNS", 170)
    vectors = groups(dims, 600, dims, 0.15)
    pairs = found(vectors, least)
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == by_hand(vectors, least)
    assert len(pairs) > 10


@pytest.mark.parametrize("crowded", [0.0, 1.1], ids=["whole products", "one by one"])
def test_pairs_between_some_rows_are_those_of_all_with_bounds_in_a_file_too(
    crowded: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "CROWDED", crowded)
    monkeypatch.setattr(module, "COLUMNS", 70)
    vectors, least = groups(5, 300, 8, 0.3), 0.9
    vectors[1], vectors[250] = [1, 2, 2, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0]  # a cosine of a third
    left, right = np.arange(0, 140), np.arange(140, 300)
    wanted = {pair for pair in by_hand(vectors, least) if pair[0] < 140 <= pair[1]}
    close = ClosePairs(vectors, least, tmp_path / "bounds")
    assert sorted(map(tuple, np.concatenate([*close.between(left, right)]).tolist())) == sorted(wanted)
    for bound, is_close in ((np.nextafter(1 / 3, 1), False), (1 / 3, True)):
        pairs = np.concatenate([*ClosePairs(vectors, float(bound), tmp_path / "bounds").between(left, right)])
        assert ([1, 250] in pairs.tolist()) == is_close


def test_order_changes_no_pair() -> None:
    vectors = groups(0, 400, 128, 0.2)
    order = np.random.default_rng(2).permutation(len(vectors))
    shuffled = {tuple(sorted((int(order[a]), int(order[b])))) for a, b in found(vectors[order], 0.95)}
    assert shuffled == set(found(vectors, 0.95))


@pytest.mark.slow
def test_few_dimensions_rule_out_nearly_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,500 vectors are a million pairs."""
    random = np.random.default_rng(0)
    spread = 1 / np.arange(1, 513)
    vectors = (random.standard_normal((1500, 512)) * spread).astype(np.float16)
    computed: list[int] = []

    def counted(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        computed.append(len(left))
        return cosines(left, right)

    monkeypatch.setattr(cosine, "cosines", counted)
    assert set(found(vectors, 0.95)) == by_hand(vectors, 0.95)
    assert sum(computed) < 20_000


def test_a_single_vector_and_none_have_no_pair() -> None:
    assert found(groups(0, 10, 4, 0)[1:2], 0.5) == []
    assert found(np.zeros((0, 4), np.float16), 0.5) == []
    assert found(np.zeros((3, 4), np.float16), 0.5) == []
