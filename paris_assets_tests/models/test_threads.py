from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from paris_assets.models.threads import each_on_its_own, ordered_map, side_by_side
from paris_assets.process import cores
from paris_assets_tests.models.fakes import MeanColour


def _network(in_flight: int) -> MeanColour:
    network = MeanColour()
    network.in_flight = in_flight  # type: ignore[attr-defined]
    return network


def test_results_come_in_order_and_work_stays_a_few_items_ahead() -> None:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for index in range(200):
            read += 1
            yield index

    got = []
    for count, item in enumerate(ordered_map(lambda index: index % 7, items(), 4, 16, "decode")):
        got.append(item)
        assert read - count <= 16 + 1
    assert got == [index % 7 for index in range(200)]


def test_an_abandoned_map_leaves_no_thread_and_closes_its_source() -> None:
    closed: list[bool] = []

    def items() -> Iterator[int]:
        try:
            yield from range(100)
        finally:
            closed.append(True)

    turns = ordered_map(lambda index: index, items(), 3, 4, "decode")
    assert next(turns) == 0
    turns.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_failures_arrive() -> None:
    def work(item: int) -> int:
        if item == 2:
            raise ValueError("no more")
        return item

    turns = side_by_side([_network(2)], work, range(9))
    assert [next(turns), next(turns)] == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        next(turns)


@pytest.mark.parametrize(("limits", "expected"), [((3,), 3), ((3, 2), 2), ((), 1)])
def test_as_many_batches_run_at_once_as_all_networks_allow(limits: tuple[int, ...], expected: int) -> None:
    lock, running, most = threading.Lock(), 0, 0
    full = threading.Semaphore(0)

    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
            if running == expected:
                full.release(expected)
        full.acquire(timeout=10)
        with lock:
            running -= 1
        return item

    networks = [_network(limit) for limit in limits] or [MeanColour()]
    assert list(side_by_side(networks, work, range(4 * expected))) == list(range(4 * expected))
    assert most == expected


def test_torch_uses_one_thread_in_each_and_the_callers_number_is_kept() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert set(side_by_side([_network(2)], lambda _: torch.get_num_threads(), range(6))) == {1}
        assert torch.get_num_threads() == 3
        later: list[int] = []
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert later == [3]
    finally:
        torch.set_num_threads(before)


def test_another_threads_number_does_not_undo_one_thread() -> None:
    """torch keeps the number that any thread set for threads that have not asked yet."""
    started, changed = threading.Event(), threading.Event()

    def work(_: int) -> int:
        started.set()
        assert changed.wait(10)
        (torch.ones(64, 64) @ torch.ones(64, 64)).relu()
        return torch.get_num_threads()

    def change() -> None:
        assert started.wait(10)
        torch.set_num_threads(2)
        changed.set()

    before, other = torch.get_num_threads(), threading.Thread(target=change)
    other.start()
    assert list(side_by_side([_network(1)], work, [0])) == [1]
    other.join()
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 3])
def test_tasks_have_a_thread_each_and_results_are_in_order(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(count))
    together, before = threading.Barrier(count, timeout=10), torch.get_num_threads()

    def task(number: int) -> tuple[int, int]:
        together.wait()
        return number, torch.get_num_threads()

    found = each_on_its_own(partial(task, number) for number in range(2 * count))
    assert found == [(number, 1) for number in range(2 * count)]
    assert torch.get_num_threads() == before


def test_cores_are_bounded_by_the_variable_of_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert cores() >= 1
