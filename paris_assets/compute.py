"""Work in parts, whose results come in the order of the parts: who does them is up to the environment.

Threads of this process do parts and, where there are any, other processes, those of a cluster. A part depends on itself
and on what all parts share, so that its result does not tell who did it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

from paris_assets.elsewhere import Elsewhere
from paris_assets.process import cores
from paris_assets.under_way import Work

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Result = TypeVar("Result")
ALONE_S = 5.0
"""So long this process has worked on parts before it asks others, which take as long to come up."""
LOOK_S = 0.5
"""A step that takes less is not spread; nor is longer waited without a look."""
WAITED, WINDOW_S = 0.1, 2.0
"""Who waits for parts does so for more than this share of a window of time; the first, when all begins, is left out."""


class Compute:
    """Who does the parts of a step.

    Args:
        threads: of this process; None: one for each core.
        elsewhere: other processes, which are asked once parts have taken some seconds.
        alone_s: so many.
        decoders: at most so many places elsewhere prepare pictures for a network that waits for them.
    """

    def __init__(
        self,
        threads: int | None = None,
        elsewhere: Elsewhere | None = None,
        alone_s: float = ALONE_S,
        decoders: int = 0,
    ) -> None:
        self._threads, self._elsewhere, self._alone_s = threads, elsewhere, alone_s
        self._worked_s, self._waited = 0.0, set[str]()
        self._waiting: defaultdict[str | None, _Waiting] = defaultdict(_Waiting)
        self.decoders = decoders if elsewhere else 0

    def threads(self) -> int:
        """How many parts this process does at once."""
        return self._threads or cores()

    def cores(self) -> int:
        """How many parts are done at once: for who chooses how many there are."""
        return self.threads() + (self._elsewhere.places() if self._elsewhere else 0)

    def alone(self) -> Compute:
        """This process by itself."""
        return Compute(self._threads)

    def map(
        self,
        function: Callable[[Shared, Part], Result],
        parts: Iterable[Part],
        shared: Shared,
        threads: int | None = None,
        places: int | None = None,
        waits: str | None = None,
        idle: Callable[[], float] = time.monotonic,
        ahead: int = 0,
    ) -> Generator[Result]:
        """What a function gives for each part, in the order of the parts; few are in memory that nobody works on.

        Args:
            function: of what is shared and a part, on one core; at the top of a module, where processes find it.
            parts: plain data, arrays and lazy frames, as is what they share. None of it is changed. Values of a plain
                tuple may be ``Held``.
            threads: at most so many of this process, for a function that uses all of its cores.
            places: at most so many elsewhere, for results that are large: as many again wait for their turn.
            waits: who wants the results: others are asked only once it waits for them, and are from then on.
            idle: seconds that this one has had nothing else to do: it waits for results only in these.
            ahead: at least so many values are in memory, of parts that are lists, however few a part has.

        Raises:
            Exception: that of the first part for which the function raised one.
        """
        work = Work(function, shared, ahead)
        work.start(min(self.threads(), threads or self.threads()))
        try:
            yield from self._results(work, iter(parts), places, waits, self._waiting[waits].begin(idle))
        finally:
            work.close()

    def _results(
        self, work: Work, parts: Iterator[Any], places: int | None, waits: str | None, waiting: _Waiting
    ) -> Iterator[Any]:
        since, helpers = time.monotonic(), self._elsewhere
        try:
            while work.begin(parts):
                with waiting:
                    done = work.first_is_done(LOOK_S)
                spent = time.monotonic() - since
                if waits is not None and waiting.too_long():
                    self._waited.add(waits)
                wanted = waits is None or waits in self._waited
                if helpers is not None and wanted and spent >= LOOK_S and self._worked_s + spent >= self._alone_s:
                    work.spread(helpers, places)
                    helpers = None
                if done:
                    yield work.first()
        finally:
            self._worked_s += time.monotonic() - since


class _Waiting:
    """How much of its time who wants results waits for them, over all that it wants, one after the other."""

    def __init__(self) -> None:
        self._idle: Callable[[], float] = time.monotonic
        self._first, self._now, self._since = True, 0.0, 0.0
        self._window_s, self._waited_s = 0.0, 0.0

    def begin(self, idle: Callable[[], float]) -> _Waiting:
        """Go on; `idle`: seconds that it has had nothing else to do."""
        self._idle, self._now = idle, time.monotonic()
        return self

    def __enter__(self) -> None:
        self._since = self._idle()

    def __exit__(self, *_: object) -> None:
        self._waited_s += self._idle() - self._since

    def too_long(self) -> bool:
        """Whether it was too much in the window that has just ended."""
        now = time.monotonic()
        self._window_s, self._now = self._window_s + now - self._now, now
        if self._window_s < WINDOW_S:
            return False
        first, share = self._first, self._waited_s / self._window_s
        self._first, self._window_s, self._waited_s = False, 0.0, 0.0
        return not first and share > WAITED
