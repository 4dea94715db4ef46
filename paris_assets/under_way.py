"""Parts of a step that are under way: threads that do them, or wait for others who do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from paris_assets.elsewhere import Elsewhere, Held, Lost

AHEAD = 16
"""Parts under way beyond one for each who works, so that nobody waits for the next; fewer where few work."""
LOST = 3
"""Parts that a place elsewhere may lose, one after the other, before it is given no more."""
LATE_S = 0.5
"""A part is late elsewhere after so long, or after twice what the last one took there, if that is more."""


@dataclass(eq=False)
class _Begun:
    """A part on its way.

    Attributes:
        part: until it is done.
        values: how many it has, where that is counted.
        taken: whether anybody does it; `here`: whether a thread of this process does; `lost`: whether only these may.
        since: when it was last taken.
    """

    part: Any
    values: int = 0
    taken: bool = False
    here: bool = False
    lost: bool = False
    since: float = 0.0
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class Work:
    """The parts under way of one `map`, and the threads that do them or wait for others who do.

    Args:
        ahead: of values of parts, which are lists then: so many are under way, however few a part has.
    """

    def __init__(self, function: Callable[..., Any], shared: Any, ahead: int = 0) -> None:
        self._function, self._shared, self._ahead = function, shared, ahead
        self._begun: deque[_Begun] = deque()
        self._here: list[threading.Thread] = []
        self._places, self._took_s = 0, 0.0
        self._changed, self._awaited, self._over = threading.Condition(), False, False

    def start(self, count: int) -> None:
        """Start threads of this process."""
        self._here = [threading.Thread(target=self._work, name="part", daemon=True) for _ in range(count)]
        for thread in self._here:
            thread.start()

    def spread(self, elsewhere: Elsewhere, most: int | None) -> None:
        """Have parts done elsewhere as well, where what they share finds room there."""
        places = min(elsewhere.places(), elsewhere.places() if most is None else most)
        if places:
            with suppress(Lost):
                wait = partial(self._there, elsewhere, elsewhere.share(self._shared))
                self._places = places
                for _ in range(places):
                    threading.Thread(target=wait, name="part elsewhere", daemon=True).start()

    def begin(self, parts: Iterator[Any]) -> bool:
        """Begin as many parts as there is room for; whether any is under way."""
        while self._has_room():
            try:
                part = next(parts)
            except StopIteration:
                break
            begun = _Begun(part, len(part) if self._ahead else 0)
            with self._changed:
                self._begun.append(begun)
                self._changed.notify_all()
        return bool(self._begun)

    def _has_room(self) -> bool:
        working = len(self._here) + self._places
        few = len(self._begun) < working + min(working, AHEAD)
        return few or sum(begun.values for begun in self._begun) < self._ahead

    def first_is_done(self, timeout_s: float) -> bool:
        """Wait for the first part under way, which from then on may be done twice."""
        with self._changed:
            self._awaited = True
            self._changed.notify_all()
            done = self._changed.wait_for(lambda: self._begun[0].done, timeout_s)
            self._awaited = False
            return done

    def first(self) -> Any:
        """The result of the first part under way, which is done."""
        with self._changed:
            begun = self._begun.popleft()
        if begun.error is not None:
            raise begun.error
        return begun.result

    def close(self) -> None:
        """Begin nothing more, and wait for what is being done here; who waits for others finds out by itself."""
        with self._changed:
            self._over = True
            self._begun.clear()
            self._changed.notify_all()
        for thread in self._here:
            thread.join()

    def _work(self) -> None:
        """Do parts, one after the other."""
        while (taken := self._next(here=True)) is not None:
            begun, part = taken
            self._do(begun, partial(self._function, self._shared, _held_here(part)))

    def _there(self, elsewhere: Elsewhere, shared: Any) -> None:
        lost = 0
        while lost < LOST and (taken := self._next(here=False)) is not None:
            begun, part = taken
            done = partial(self._is_done, begun)
            found = self._do(begun, partial(elsewhere.do, self._function, shared, part, done))
            lost = 0 if found else lost + 1
            if found and not begun.here:
                self._took_s = time.monotonic() - begun.since

    def _is_done(self, begun: _Begun) -> bool:
        return begun.done or self._over

    def _do(self, begun: _Begun, work: Callable[[], Any]) -> bool:
        """Whether there is a result now, or an error in its place."""
        result, error = None, None
        try:
            result = work()
        except Lost:
            with self._changed:
                begun.taken, begun.lost = begun.here, True
                self._changed.notify_all()
            return False
        except BaseException as raised:
            error = raised
        with self._changed:
            if not begun.done:
                begun.result, begun.error, begun.done, begun.part = result, error, True, None
            self._changed.notify_all()
        error = None  # whose traceback holds this frame, and so the part
        return True

    def _next(self, here: bool) -> tuple[_Begun, Any] | None:
        with self._changed:
            while not self._over:
                begun = next((each for each in self._begun if not each.taken and (here or not each.lost)), None)
                if begun is None and here and self._awaited:
                    begun = self._late()
                if begun is not None:
                    begun.taken, begun.here, begun.since = True, begun.here or here, time.monotonic()
                    return begun, begun.part
                self._changed.wait()
        return None

    def _late(self) -> _Begun | None:
        """What is done here, too, where there is nothing else to do: it may lie on a node that is slow, lost, or has no
        room for it. That is the part that is waited for, and with it those that have been gone for long: else one
        thread alone would work where all places lack room."""
        long_ago = time.monotonic() - max(LATE_S, 2 * self._took_s)
        gone = (each for each in self._begun if not (each.here or each.done))
        return next((each for each in gone if each is self._begun[0] or each.since < long_ago), None)


def _held_here(part: Any) -> Any:
    return tuple(one.here if isinstance(one, Held) else one for one in part) if type(part) is tuple else part
