"""Time that operators take, summed over threads and by the clock on the wall."""

from __future__ import annotations

import threading

import numpy as np
import polars as pl
import pytest

from paris_assets import spent
from paris_assets.config import Signals
from paris_assets.models.batches import BatchStats, run_padded
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
