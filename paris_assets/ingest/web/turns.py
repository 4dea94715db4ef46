"""Whose turn it is to ask a host, where several fetchers share it: so many requests at once, so long between two.

A permit is for one request. Who has one may use it for its next row of the same host, until it hears that another
fetcher waits for the host; so that a host which one fetcher has to itself costs no messages.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

GRANTED, WANTED, REST = "granted", "wanted", "rest"
"""What a fetcher is told of a host: it has one permit more; give permits back after use; ask nothing for seconds."""

MAX_REST_S = 3600.0


@dataclass
class _Shared:
    """One host.

    Attributes:
        held: fetcher -> its permits.
        waiting: (fetcher, permits in all, seconds between two) of those that ask for one, in turn.
        next_at: when the next permit may be given.
        timed: whether it is looked at again by itself.
        told: fetchers that know, since their last permit, that another one waits.
    """

    held: Counter[int] = field(default_factory=Counter)
    waiting: deque[tuple[int, int, float]] = field(default_factory=deque)
    next_at: float = 0.0
    timed: bool = False
    told: set[int] = field(default_factory=set)


class Turns:
    """Permits of all hosts.

    Args:
        clock: seconds, of any origin.
        later: calls a function after some seconds.
        tell: (fetcher, what, host, ...).
    """

    def __init__(
        self,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], object]], object],
        tell: Callable[..., object],
    ) -> None:
        self._clock, self._later, self._tell = clock, later, tell
        self._hosts: dict[str, _Shared] = {}

    def hold(self, fetcher: int, host: str, permits: int) -> None:
        """A fetcher has permits that were given before this began."""
        self._hosts.setdefault(host, _Shared()).held[fetcher] += permits

    def ask(self, fetcher: int, host: str, most: int, gap_s: float) -> None:
        """A fetcher wants a permit: it is told when it has it.

        Args:
            most: permits of the host in all, by its settings.
            gap_s: seconds to the next permit.
        """
        shared = self._hosts.setdefault(host, _Shared())
        shared.waiting.append((fetcher, most, gap_s))
        self._grant(host, shared)

    def give_back(self, fetcher: int, host: str) -> None:
        """A fetcher has one permit less."""
        shared = self._hosts.get(host)
        if shared is not None and shared.held[fetcher] > 0:
            self._less(shared, fetcher, 1)
            self._grant(host, shared)

    def rest(self, fetcher: int, host: str, seconds: float) -> None:
        """Nobody asks the host for a time; the fetcher itself knows."""
        shared = self._hosts.setdefault(host, _Shared())
        seconds = min(seconds, MAX_REST_S)
        shared.next_at = max(shared.next_at, self._clock() + seconds)
        for other in [other for other in shared.held if other != fetcher]:
            self._tell(other, REST, host, seconds)
        self._grant(host, shared)

    def leave(self, fetcher: int) -> None:
        """A fetcher is gone, and all that it had or asked for is free."""
        for host, shared in list(self._hosts.items()):
            shared.waiting = deque(asked for asked in shared.waiting if asked[0] != fetcher)
            self._less(shared, fetcher, shared.held[fetcher])
            self._grant(host, shared)

    def _less(self, shared: _Shared, fetcher: int, permits: int) -> None:
        shared.held[fetcher] -= permits
        if shared.held[fetcher] <= 0:
            del shared.held[fetcher]
            shared.told.discard(fetcher)

    def _grant(self, host: str, shared: _Shared) -> None:
        """Give what can be given, and see to it that the rest is looked at again."""
        while shared.waiting:
            fetcher, most, gap_s = shared.waiting[0]
            now = self._clock()
            if now < shared.next_at:
                break
            if shared.held.total() >= most:
                self._want(host, shared)
                break
            shared.waiting.popleft()
            shared.held[fetcher] += 1
            shared.told.discard(fetcher)  # it may have given all back meanwhile, and forgotten that another one waits
            shared.next_at = max(shared.next_at, now + gap_s)
            self._tell(fetcher, GRANTED, host)
        if self._hosts.get(host) is not shared:  # told, a fetcher may have given back
            return
        wait_s = shared.next_at - self._clock()
        if wait_s > 0 and not shared.timed:
            shared.timed = True
            self._later(wait_s, lambda: self._look_again(host, shared))
        elif wait_s <= 0 and not shared.waiting and not shared.held:
            del self._hosts[host]

    def _look_again(self, host: str, shared: _Shared) -> None:
        shared.timed = False
        self._grant(host, shared)

    def _want(self, host: str, shared: _Shared) -> None:
        """Tell who has permits that another one waits."""
        waiting = {fetcher for fetcher, _, _ in shared.waiting}
        for fetcher in [fetcher for fetcher in shared.held if fetcher not in shared.told and waiting != {fetcher}]:
            shared.told.add(fetcher)
            self._tell(fetcher, WANTED, host)
