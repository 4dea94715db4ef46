from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from paris_assets import compute, under_way
from paris_assets.compute import Compute
from paris_assets.elsewhere import Held, Lost
from paris_assets.under_way import AHEAD, LOST, Work
from paris_assets_tests.fixtures.elsewhere import Pickling


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "LOOK_S", 0.001)


def times(factor: int, part: int) -> int:
    time.sleep(0.001 * (part % 3))
    return factor * part


def told(_: int, part: tuple[int, int]) -> tuple[int, int]:
    time.sleep(0.001)
    value, number = part
    return int(value), number


def refuses(bad: set[int], part: int) -> int:
    if part in bad:
        raise ValueError(f"part {part}: what is in it is no number")
    return part


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_parts(threads: int) -> None:
    assert list(Compute(threads).map(times, range(50), 7)) == [7 * part for part in range(50)]
    assert list(Compute(threads).map(times, [], 7)) == []


@pytest.mark.parametrize("lost", [0.0, 0.3, 1.0])
def test_they_do_so_whoever_does_them_and_whoever_is_lost(lost: float) -> None:
    others = Pickling(4, lost)
    found = list(Compute(1, others, alone_s=0).map(times, range(150), 7))
    assert found == [7 * part for part in range(150)]
    assert others.shares == 1
    assert (others.did > 0) == (lost < 1)


def test_what_is_held_is_an_array_elsewhere() -> None:
    held: list[Any] = [Held(number, lambda number=number: np.array([number, -1]), np.sum) for number in range(100)]
    others = Pickling(4)
    parts = ((one, number) for number, one in enumerate(held))
    found = list(Compute(1, others, alone_s=0).map(told, parts, 7))
    assert all(both in ((number, number), (number - 1, number)) for number, both in enumerate(found))
    assert 0 < sum(value < number for value, number in found) <= others.did


def test_where_there_is_no_room_for_what_parts_share_all_is_done_here() -> None:
    class Full(Pickling):
        def share(self, shared: Any) -> Any:
            raise Lost

    others = Full(2)
    assert list(Compute(1, others, alone_s=0).map(times, range(30), 7)) == [7 * part for part in range(30)]
    assert others.did == 0


def test_a_place_that_loses_all_is_given_no_more() -> None:
    asked: list[int] = []

    class Broken(Pickling):
        def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
            asked.append(part)
            raise Lost

    assert list(Compute(1, Broken(2), alone_s=0).map(times, range(100), 1)) == [*range(100)]
    assert len(asked) <= 2 * LOST


@pytest.mark.parametrize("others", [None, Pickling(3)], ids=["here", "elsewhere"])
def test_the_error_is_that_of_the_first_part_that_has_one(others: Pickling | None) -> None:
    results = Compute(2, others, alone_s=0).map(refuses, range(100), {41, 30, 77})
    assert [next(results) for _ in range(30)] == [*range(30)]
    with pytest.raises(ValueError, match=r"^part 30: what is in it is no number$"):
        next(results)


def test_what_hangs_elsewhere_is_done_here() -> None:
    """As on a node without room, whose tasks wait for the cores of the very process that waits for them."""
    given_up = []

    class Hanging(Pickling):
        def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
            while not done():
                time.sleep(0.001)
            given_up.append(part)

    assert list(Compute(1, Hanging(2), alone_s=0).map(times, range(60), 3)) == [3 * part for part in range(60)]
    assert given_up


def meets(others: threading.Barrier, part: int) -> int:
    others.wait(5)
    return part


def test_all_threads_do_what_hangs_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has three threads and asked places without room must not go on with one."""
    monkeypatch.setattr(under_way, "LATE_S", 0.01)
    taken: list[int] = []

    class Hanging(Pickling):
        def share(self, shared: Any) -> Any:
            return shared

        def do(self, function: Callable[..., Any], shared: Any, part: Any, done: Callable[[], bool]) -> Any:
            taken.append(part)
            while not done():
                time.sleep(0.001)

    work, parts = Work(meets, threading.Barrier(3), ahead=6), iter([[part] for part in range(6)])
    work.begin(parts)
    work.spread(Hanging(6), None)
    while len(taken) < 6:
        time.sleep(0.001)
    work.start(3)
    found = []
    while work.begin(parts):
        if work.first_is_done(0.02):
            found.append(work.first())
    work.close()
    assert found == [[part] for part in range(6)]


def test_parts_of_few_values_are_ahead_all_the_same() -> None:
    begun: list[int] = []

    def parts() -> Iterator[list[int]]:
        for part in range(100):
            begun.append(part)
            yield [part] * 3

    results = Compute(2).map(len_of, parts(), None, ahead=50)
    assert next(results) == 3
    assert len(begun) == 17, "51 values, and 4 parts would do for two threads"
    results.close()


def len_of(_: None, part: list[int]) -> int:
    return len(part)


def test_few_parts_and_results_are_in_memory() -> None:
    begun: list[int] = []

    def parts() -> Iterator[int]:
        for part in range(500):
            begun.append(part)
            yield part

    for threads, others, most in ((2, None, 4), (40, None, 40 + AHEAD), (1, Pickling(3), 8)):
        begun.clear()
        for at, _ in enumerate(Compute(threads, others, alone_s=0).map(times, parts(), 1)):
            assert len(begun) - at <= most


def test_small_steps_are_not_spread() -> None:
    others = Pickling()
    assert len(list(Compute(2, others, alone_s=60).map(times, range(50), 1))) == 50
    assert others.shares == 0


def test_the_time_alone_is_that_of_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    others = Pickling()
    both = Compute(1, others, alone_s=0.05)
    for _ in range(40):
        list(both.map(times, range(6), 1))
    assert others.shares > 0
    monkeypatch.setattr(compute, "LOOK_S", 60.0)
    shares = others.shares
    list(both.map(times, range(6), 1))
    assert others.shares == shares, "a step that is over in no time"


def test_no_thread_is_left_when_results_are_no_longer_wanted() -> None:
    results = Compute(3, Pickling(), alone_s=0).map(times, range(1000), 1)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert any(thread.name == "part" for thread in threading.enumerate())
    results.close()
    assert not any(thread.name == "part" for thread in threading.enumerate())


def test_cores_are_those_of_all() -> None:
    assert Compute(3).cores() == 3
    assert Compute(3, Pickling(5)).cores() == 8
    assert Compute().cores() >= 1


def test_threads_may_be_limited_for_what_uses_all_cores() -> None:
    at_once, most = [0], [0]
    lock = threading.Lock()

    def count(_: None, part: int) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.002)
        with lock:
            at_once[0] -= 1

    list(Compute(4).map(count, range(20), None, threads=1))
    assert most == [1]


def slow(wait_s: float, part: int) -> int:
    time.sleep(wait_s)
    return part


def test_others_are_asked_by_who_waits_for_parts_and_not_by_who_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WINDOW_S", 0.05)
    others = Pickling()
    both = Compute(1, others, alone_s=0)
    for _ in both.map(slow, range(40), 0.0, waits="busy"):
        time.sleep(0.01)
    assert others.shares == 0
    assert list(both.map(slow, range(60), 0.01, waits="starved")) == [*range(60)]
    assert others.shares == 1
    assert others.did > 0
    for waits, takes_s in (("starved", 0.0), ("busy", 0.01)):
        results = both.map(slow, range(60), 0.0 if takes_s else 0.005, waits=waits)
        for part in range(8):
            assert next(results) == part
            time.sleep(takes_s)
        results.close()
    assert others.shares == 2, "who has waited before asks at once"


def test_what_begins_slowly_is_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WINDOW_S", 0.2)
    others = Pickling()
    results = Compute(1, others, alone_s=0).map(slow, range(30), 0.01, waits="slow at first")
    for part in results:
        time.sleep(0 if part < 8 else 0.03)
    assert others.shares == 0


def test_who_waits_in_many_small_steps_asks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WINDOW_S", 0.1)
    others = Pickling()
    both = Compute(1, others, alone_s=0)
    for _ in range(12):
        assert list(both.map(slow, range(4), 0.01, waits="starved")) == [*range(4)]
    assert others.shares > 0


def test_who_has_something_to_do_meanwhile_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "WINDOW_S", 0.02)
    others = Pickling()
    list(Compute(1, others, alone_s=0).map(slow, range(30), 0.01, waits="busy", idle=lambda: 0.0))
    assert others.shares == 0


def test_a_compute_of_this_process_alone() -> None:
    assert Compute(3, Pickling(), decoders=7).decoders == 7
    assert Compute(3, decoders=7).decoders == 0
    alone = Compute(3, Pickling(), decoders=7).alone()
    assert (alone.decoders, alone.cores()) == (0, 3)
