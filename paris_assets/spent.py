"""Time that operators (a signal, a network) take within an asset, for the metadata of its materialisation.

One partition is made at a time in a process, by threads: what they spend is gathered here and taken when it is written.
It never enters a table, whose bytes depend on no clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple


class Spent(NamedTuple):
    """What one operator did.

    Attributes:
        records: that went through it.
        seconds: of all threads together.
        wall_s: while at least one thread was in it.
    """

    records: int = 0
    seconds: float = 0.0
    wall_s: float = 0.0


class Clock:
    """Adds up, per operator, what threads spend; two readings of the clock per batch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spent: dict[str, Spent] = {}
        self._inside: dict[str, tuple[int, float]] = {}

    @contextmanager
    def on(self, operator: str, records: int) -> Iterator[None]:
        """Count what runs within as the operator's, unless it fails."""
        start = time.perf_counter()
        with self._lock:
            threads, since = self._inside.get(operator, (0, start))
            self._inside[operator] = (threads + 1, since if threads else start)
        counted = 0
        try:
            yield
            counted = records
        finally:
            end = time.perf_counter()
            with self._lock:
                self._leave(operator, counted, start, end)

    def take(self) -> dict[str, Spent]:
        """What was spent since the last time, in the order in which operators were first used."""
        with self._lock:
            spent, self._spent = self._spent, {}
            return spent

    def add(self, elsewhere: Mapping[str, Spent]) -> None:
        """Count what another process spent for this one; as long as this one works on the same, that takes no time."""
        with self._lock:
            for operator, spent in elsewhere.items():
                before = self._spent.get(operator, Spent())
                records, seconds = before.records + spent.records, before.seconds + spent.seconds
                self._spent[operator] = Spent(records, seconds, before.wall_s)

    def _leave(self, operator: str, records: int, start: float, end: float) -> None:
        threads, since = self._inside[operator]
        self._inside[operator] = (threads - 1, since)
        before = self._spent.get(operator, Spent())
        alone = end - since if threads == 1 else 0.0
        self._spent[operator] = Spent(before.records + records, before.seconds + end - start, before.wall_s + alone)


CLOCK = Clock()
"""That of this process."""
DECODING = "decoding"
"""What operators on pixels share."""
