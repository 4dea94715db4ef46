"""Time that operators take, summed over threads and by the clock on the wall."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets import spent
from paris_assets.config import Signals
from paris_assets.models.batches import BatchStats, run_padded
from paris_assets.runs.parts import Done, PartTasks
from paris_assets.signals.measure import measure
from paris_assets.spent import CLOCK, Clock, Spent
from paris_assets_tests.fixtures.small_world import picture


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock on the wall that is set by hand."""
    now = [0.0]
    monkeypatch.setattr(spent.time, "perf_counter", lambda: now[0])
    return now


def test_threads_side_by_side_take_the_wall_time_once(ticks: list[float]) -> None:
    clock, inside, leave = Clock(), threading.Event(), threading.Event()

    def other() -> None:
        with clock.on("blur", 2):
            inside.set()
            leave.wait(10)

    with clock.on("blur", 3):
        ticks[0] = 1
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
        ticks[0] = 3
    leave.set()
    thread.join()
    found = clock.take()["blur"]
    assert (found.records, found.seconds, found.wall_s) == (5, 3 + 2, 3)
    ticks[0] = 10
    with clock.on("blur", 1):
        ticks[0] = 11
    assert clock.take() == {"blur": (1, 1, 1)}
    assert clock.take() == {}


def test_what_fails_takes_time_and_counts_no_record(ticks: list[float]) -> None:
    clock = Clock()

    def fails() -> None:
        with clock.on("blur", 3):
            ticks[0] = 2
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fails()
    assert clock.take() == {"blur": (0, 2, 2)}


def test_every_signal_and_network_is_timed() -> None:
    CLOCK.take()
    images = [(f"{number:032x}", picture(number)) for number in range(20)]
    names = ["paris_assets.signals.entropy:Entropy", "paris_assets.signals.blocking:Blocking"]
    assert pl.concat(measure(images, Signals(measures=names))).height == 20
    found = CLOCK.take()
    assert {name: one.records for name, one in found.items()} == {"decoding": 20, "Entropy": 20, "Blocking": 20}
    assert all(0 < one.wall_s <= one.seconds + 1e-9 for one in found.values())
    run_padded("network", lambda batch: (batch,), 4, BatchStats(), np.zeros((10, 2)))
    assert CLOCK.take()["network"].records == 10, "padding is not counted"


def test_what_other_processes_spend_is_counted_and_takes_no_time_here(ticks: list[float]) -> None:
    clock = Clock()
    with clock.on("decoding", 4):
        ticks[0] = 2
        clock.add({"decoding": Spent(3, 5.0, 6.0), "blur": Spent(1, 1.0, 1.0)})
    assert clock.take() == {"decoding": (7, 7.0, 2.0), "blur": (1, 1.0, 0.0)}


@pytest.mark.parametrize("meanwhile", [False, True])
def test_what_was_done_here_meanwhile_is_not_counted_for_others_too(meanwhile: bool) -> None:
    """It would be counted twice, or for the shard after it."""
    tasks: Any = object.__new__(PartTasks)
    tasks._ray = SimpleNamespace(
        wait=lambda answers, timeout: (answers, []),
        get=lambda answer: Done(7, {"blur": Spent(1, 1.0, 1.0)}),
        exceptions=SimpleNamespace(RayError=RuntimeError),
    )
    tasks._task = SimpleNamespace(options=lambda: SimpleNamespace(remote=lambda *_: "answer"))
    tasks._refusing, tasks._version = set(), None
    CLOCK.take()
    assert tasks.do(max, None, 7, lambda: meanwhile) == 7
    assert CLOCK.take() == ({} if meanwhile else {"blur": (1, 1.0, 0.0)})
