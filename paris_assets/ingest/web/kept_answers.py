"""What origins answer about themselves (robots.txt), asked for once by whichever fetcher wants it first."""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

SAID, TO_ASK = "said", "to_ask"
"""What a fetcher is told of an origin: what it answered; that it is for this fetcher to ask, and to say what came."""

KEEP_BYTES = 256 << 20
"""Of answers, compressed; the oldest are forgotten first."""


class KeptAnswers:
    """Answers by origin, each for a time.

    Args:
        clock: seconds, of any origin.
        tell: (fetcher, what, origin, ...).
    """

    def __init__(self, clock: Callable[[], float], tell: Callable[..., object], keep_bytes: int = KEEP_BYTES) -> None:
        self._clock, self._tell, self._keep_bytes = clock, tell, keep_bytes
        self._known: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        self._asking: dict[str, list[int]] = {}  # who asks, and who waits for that

    def want(self, fetcher: int, origin: str) -> None:
        """A fetcher wants to know what an origin answers: it is told, or told to ask."""
        until, answer = self._known.get(origin, (0.0, b""))
        if answer and self._clock() < until:
            self._tell(fetcher, SAID, origin, json.loads(zlib.decompress(answer)))
        elif origin in self._asking:
            self._asking[origin].append(fetcher)
        else:
            self._asking[origin] = [fetcher]
            self._tell(fetcher, TO_ASK, origin)

    def found(self, fetcher: int, origin: str, answer: Any, keep_s: float) -> None:
        """What a fetcher that was told to ask was answered; all that wait are told."""
        self._forget(origin)
        packed = zlib.compress(json.dumps(answer).encode(), 1)
        self._known[origin] = (self._clock() + keep_s, packed)
        self._bytes += len(packed)
        while self._bytes > self._keep_bytes:
            self._forget(next(iter(self._known)))
        for other in self._asking.pop(origin, []):
            if other != fetcher:
                self._tell(other, SAID, origin, answer)

    def leave(self, fetcher: int) -> None:
        """A fetcher is gone: what it was to ask, the next one that waits asks."""
        for origin, asking in list(self._asking.items()):
            first, rest = asking[0], [other for other in asking if other != fetcher]
            self._asking[origin] = rest
            if not rest:
                del self._asking[origin]
            elif first == fetcher:
                self._tell(rest[0], TO_ASK, origin)

    def _forget(self, origin: str) -> None:
        self._bytes -= len(self._known.pop(origin, (0.0, b""))[1])
