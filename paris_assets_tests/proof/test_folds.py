"""Hold-outs keep duplicate groups together and leave every expert something to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from paris_assets.proof.folds import ALWAYS_TRAINED, folds_of, too_few


def images(groups: list[str], experts: list[int]) -> tuple[list[str], np.ndarray]:
    return groups, np.array(experts)


@pytest.mark.parametrize("folds", [1, 3])
def test_a_group_is_on_one_side(folds: int) -> None:
    groups = [f"g{number // 3}" for number in range(90)]
    experts = np.arange(90) % 2  # groups are of two experts
    found = folds_of(groups, experts, 0.3, folds, 0)
    for group in set(groups):
        assert len({fold for fold, of in zip(found.tolist(), groups, strict=True) if of == group}) == 1
    assert set(found.tolist()) == ({ALWAYS_TRAINED, 0} if folds == 1 else {0, 1, 2})


def test_each_expert_gives_its_share() -> None:
    groups, experts = [f"g{number}" for number in range(110)], np.repeat([0, 1, 2], [100, 8, 2])
    found = folds_of(groups, experts, 0.3, 1, 0)
    assert [int((found[experts == expert] == 0).sum()) for expert in range(3)] == [30, 2, 1]
    assert not np.array_equal(found, folds_of(groups, experts, 0.3, 1, 1))
    order = np.random.default_rng(0).permutation(110)
    moved = folds_of([groups[at] for at in order], experts[order], 0.3, 1, 0)
    np.testing.assert_array_equal(moved, found[order])


def test_something_is_held_out_and_something_left_whatever_the_share() -> None:
    groups, experts = [f"g{number}" for number in range(23)], np.repeat([0, 1], [20, 3])
    for share, held_out in ((0.01, [1, 1]), (0.9, [18, 2]), (0.99, [19, 2])):
        found = folds_of(groups, experts, share, 1, 0)
        assert [int((found[experts == expert] == 0).sum()) for expert in range(2)] == held_out


@pytest.mark.parametrize("folds", [1, 2])
def test_an_expert_is_never_left_without_anything_to_train_on(folds: int) -> None:
    groups, experts = images(["a", "b", "c", "d", "shared", "shared", "alone"], [0, 0, 0, 0, 0, 1, 2])
    for seed in range(20):
        found = folds_of(groups, experts, 0.9, folds, seed)
        for fold in range(folds):
            assert set(experts[found != fold].tolist()) == {0, 1, 2}


def test_too_few_groups_are_said() -> None:
    groups, experts = [f"g{number}" for number in range(40)], np.repeat([0, 1], [24, 16])
    assert too_few(groups, experts) == ""
    assert too_few(groups[:-1], experts[:-1]) == "1 experts have 16 duplicate groups or more, and 2 are needed"
    assert too_few(["copy"] * 40, experts).startswith("0 experts")
