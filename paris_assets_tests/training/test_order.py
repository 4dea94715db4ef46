from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paris_assets.errors import UsageError
from paris_assets.training.order import Batches, Order, Position


def batches(sizes: list[int], order: Order, weights: np.ndarray | None = None) -> Batches:
    """Samples of as many shapes as there are sizes, interleaved, in blocks of five."""
    shape = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return Batches(order, shape, np.arange(len(shape)) // 5, weights)


def taken(made: Batches, ranks: int, epochs: int, start: Position = Position(0, 0)) -> list[tuple[list, list]]:
    """(rows, their epochs) of the batches of all ranks in turn, over some epochs."""
    found, position = [], made.settled(start)
    for _ in range(epochs):
        steps = [made.steps(position, rank, ranks) for rank in range(ranks)]
        for step in range(max(steps)):
            for rank in range(ranks):
                if step < steps[rank]:
                    at = made.after(position, step, ranks)
                    rows, of_epochs = made.batch(Position(at.epoch, at.batches + rank))
                    found.append((rows.tolist(), of_epochs.tolist()))
        past = made.after(position, max(steps), ranks)
        position = made.settled(Position(past.epoch, max(past.batches, made.count(position.epoch))))
    return found


sizes_of = st.lists(st.integers(1, 40), min_size=1, max_size=4)
orders = st.builds(Order, st.integers(1, 9), st.integers(0, 3), st.sampled_from(["samples", "blocks", "none"]))


@given(sizes=sizes_of, order=orders, ranks=st.sampled_from([1, 2, 3, 8]), epochs=st.integers(1, 4))
def test_what_is_carried_over_is_neither_lost_nor_repeated(
    sizes: list[int], order: Order, ranks: int, epochs: int
) -> None:
    made = batches(sizes, order)
    found = taken(made, ranks, epochs)
    assert all(len(rows) == order.batch_size for rows, _ in found)
    assert all(len(set(made.shape[rows])) == 1 for rows, _ in found)
    assert len(found) % ranks == 0
    pairs = Counter(pair for rows, of_epochs in found for pair in zip(rows, of_epochs, strict=True))
    assert not pairs or max(pairs.values()) == 1
    for shape in range(len(sizes)):
        members = np.flatnonzero(made.shape == shape).tolist()
        waiting = [(row, epoch) for row in members for epoch in range(epochs) if (row, epoch) not in pairs]
        assert len(waiting) < order.batch_size  # for what fills their batch


@given(sizes=sizes_of, order=orders, ranks=st.sampled_from([1, 2, 8]), epochs=st.integers(1, 3))
def test_with_short_batches_an_epoch_has_each_sample_once(
    sizes: list[int], order: Order, ranks: int, epochs: int
) -> None:
    made = batches(sizes, Order(order.batch_size, order.seed, order.shuffle, remainder="short"))
    found = taken(made, ranks, epochs)
    for epoch in range(epochs):
        rows = [row for rows, of_epochs in found if of_epochs[0] == epoch for row in rows]
        assert sorted(rows) == list(range(sum(sizes)))


@given(sizes=sizes_of, order=orders, before=st.sampled_from([1, 2, 8]), after=st.sampled_from([1, 3, 8]), cut=st.data())
def test_other_ranks_go_on_in_the_same_order(
    sizes: list[int], order: Order, before: int, after: int, cut: st.DataObject
) -> None:
    made = batches(sizes, order)
    whole = taken(made, 1, 8)
    steps = cut.draw(st.integers(0, len(whole) // before))
    rest = taken(made, after, 1, Position(0, steps * before))
    known = whole[steps * before :]
    length = min(len(rest), len(known))
    assert rest[:length] == known[:length]


def test_orders_differ_by_epoch_and_seed_and_are_the_same_again() -> None:
    orders = [taken(batches([64], Order(8, seed)), 1, 2) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:8] != orders[0][8:]


def test_shapes_take_turns() -> None:
    made = batches([400, 400], Order(8))
    kinds = [int(made.shape[rows[0]]) for rows, _ in taken(made, 1, 1)]
    assert sorted(kinds) == [0] * 50 + [1] * 50
    assert 30 < sum(before != after for before, after in pairwise(kinds)) < 70


def test_blocks_stay_together_within_a_window() -> None:
    rows = np.concatenate([rows for rows, _ in taken(batches([100], Order(10, 0, "blocks", window=1)), 1, 1)])
    runs = rows.reshape(20, 5)
    assert (np.diff(runs, axis=1) == 1).all()
    assert (np.diff(runs[:, 0]) != 5).any()
    within = np.concatenate([rows for rows, _ in taken(batches([100], Order(10, 0, "blocks", window=20)), 1, 1)])
    assert all(len(set(part // 5)) == 4 for part in within.reshape(5, 20))
    assert (np.sort(within.reshape(5, 20)) != within.reshape(5, 20)).any()


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.5]), min_size=3, max_size=30).filter(any), st.integers(0, 5))
def test_draws_are_shares_rounded_up_or_down(weights: list[float], seed: int) -> None:
    given_weights = np.array(weights)
    made = Batches(Order(1, seed), np.zeros(len(weights)), np.zeros(len(weights)), given_weights)
    counts = Counter(rows[0] for rows, _ in taken(made, 1, 1))
    expected = given_weights / given_weights.sum() * len(weights)
    assert sum(counts.values()) == len(weights)
    for row, share in enumerate(expected):
        assert np.floor(share - 1e-9) <= counts[row] <= np.ceil(share + 1e-9)


def test_draws_over_shapes_follow_their_weights() -> None:
    made = batches([50, 50], Order(1), np.ones(100))
    made = Batches(made.order, made.shape, made.block, np.where(made.shape == 0, 3.0, 1.0))
    shapes = Counter(int(made.shape[rows[0]]) for rows, _ in taken(made, 1, 1))
    assert shapes == {0: 75, 1: 25}


def test_a_copy_is_in_the_same_order() -> None:
    made = batches([30, 7], Order(4))
    assert taken(deepcopy(made), 2, 3) == taken(made, 2, 3)


@pytest.mark.parametrize(
    "wrong", [{"shuffle": "all"}, {"remainder": "drop"}, {"batch_size": 0}, {"window": 0}, {"seed": -1}], ids=str
)
def test_orders_that_there_are_not(wrong: dict) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Order(**{"batch_size": 4, **wrong})


def test_no_samples_and_no_weights() -> None:
    with pytest.raises(UsageError, match="no sample"):
        batches([], Order(4)).settled(Position(0, 0))
    with pytest.raises(UsageError, match="sum above 0"):
        batches([5], Order(4), np.zeros(5))
