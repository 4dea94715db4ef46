"""What each host can bear: how many requests at once, when the next one, and when there is no use in more.

Rows wait in a queue of their host, so that a slow or closed host delays nobody else's. A host that turns requests away
gets half as many at once, and one more again after a run of good answers: as TCP shares a link.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from paris_assets.ingest.web.urls import Url

GOOD_ANSWERS = 30  # in a row, before a host that refused gets one request more at once
SILENT = 20  # requests in a row without an answer, or refused one by one, after which a host is only probed
PROBES = 3  # single requests, with time between them, after which a silent host is asked no more


@dataclass(eq=False)
class Job:
    """A row on its way.

    Attributes:
        first: the row's url.
        url: what is asked for next: `first`, or where that was redirected to.
        left_s: time left to the attempt; waiting takes none of it.
        attempts: attempts begun.
        failures: attempts that count against `ingest.retries`.
        refusals: attempts that do not: more was asked of the host at once than it bears.
        sent_at: when the last request was sent, and to how many `at_once` its host was limited then.
    """

    source_row: int
    first: Url
    left_s: float = 0.0
    attempts: int = 0
    failures: int = 0
    refusals: int = 0
    redirects: int = 0
    sent_at: float = 0.0
    at_once: int = 0

    def __post_init__(self) -> None:
        self.url = self.first

    def begin(self, timeout_s: float) -> None:
        """Another attempt, which has this much time."""
        self.url, self.redirects, self.left_s = self.first, 0, timeout_s

    def send(self, now: float, at_once: int) -> None:
        """Its next request is sent now."""
        self.sent_at, self.at_once = now, at_once
        self.attempts += self.redirects == 0

    def redirect(self, url: Url) -> None:
        """The answer leads elsewhere."""
        self.url, self.redirects = url, self.redirects + 1


@dataclass(eq=False)
class Host:
    """One host of the rows at hand.

    Attributes:
        most: requests at once to begin with.
        limited: False for a host that is never held back: the project's own server.
        limit: requests at once that it bears now.
        closed: reason for which its rows are asked for no more, once that is so.
    """

    most: int
    limited: bool
    limit: int = 0
    active: int = 0
    closed: str | None = None
    waiting: deque[Job] = field(default_factory=deque)
    paused_until: float = 0.0
    cut_at: float = -1.0
    good: int = 0
    misses: int = 0
    probes: int = 0
    away_row: int | None = None

    def __post_init__(self) -> None:
        self.limit = self.most

    def answered(self) -> None:
        """It gave an answer, whichever, that is no refusal."""
        self.misses, self.probes, self.away_row, self.good = 0, 0, None, self.good + 1
        if self.good >= GOOD_ANSWERS and self.limit < self.most:
            self.limit, self.good = self.limit + 1, 0

    def refused(self, job: Job, now: float) -> None:
        """It turned a request away: half as many at once, and once only for requests that were sent together."""
        self.good = 0
        if self.limited and job.sent_at > self.cut_at:
            self.limit, self.cut_at = max(1, self.limit // 2), now

    def missed(self, job: Job, reason: str) -> bool:
        """It gave no answer, or refused what was asked alone; True when it is to be left alone for a while."""
        self.good, self.misses = 0, self.misses + 1
        silent = self.limited and self.misses >= SILENT
        if silent:
            self.limit = 1
            self.probes += job.at_once == 1
        if self.probes > PROBES:
            self.close(reason)
        return silent

    def sent_away(self, job: Job, reason: str) -> None:
        """It asks to wait longer than anyone does. Of two rows in turn, that is the host; of one, it may be the row."""
        if self.away_row not in (None, job.source_row):
            self.close(reason)
        self.away_row = job.source_row

    def close(self, reason: str) -> None:
        """Ask no more of it."""
        if self.limited:
            self.closed = reason


class Hosts:
    """Queues of rows by host, from which rows of hosts that bear another request come in turn.

    Args:
        most: requests at once for each host.
        unlimited: names of hosts that bear any number.
    """

    def __init__(self, most: int, unlimited: set[str]) -> None:
        self._most, self._unlimited = most, unlimited
        self._hosts: dict[str, Host] = {}
        self._ready: dict[Host, None] = {}  # in the order of their turns
        self._woken = asyncio.Event()

    def of(self, job: Job) -> Host:
        """The host that a row asks next."""
        name = job.url.host
        if name not in self._hosts:
            limited = name not in self._unlimited
            self._hosts[name] = Host(self._most if limited else sys.maxsize, limited)
        return self._hosts[name]

    def put(self, job: Job, first: bool = False) -> None:
        """Let a row wait for its host; before all others if `first`."""
        host = self.of(job)
        host.waiting.appendleft(job) if first else host.waiting.append(job)
        self._offer(host)

    def take(self) -> Job | None:
        """A row whose host bears another request, which counts from now on; None if all have to wait."""
        while self._ready:
            host = next(iter(self._ready))
            del self._ready[host]
            if self._bears(host):
                host.active += 1
                job = host.waiting.popleft()
                job.send(asyncio.get_running_loop().time(), host.limit)
                self._offer(host)
                return job
        return None

    def done(self, host: Host) -> None:
        """A request of a host has ended."""
        host.active -= 1
        self._offer(host)

    def pause(self, host: Host, seconds: float) -> None:
        """Ask nothing of a host for a time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if host.limited and until > host.paused_until:
            host.paused_until = until
            loop.call_at(until, self._resume, host, until)

    def rest(self, host: Host) -> Iterator[Job]:
        """The rows that still wait for a host, which wait no more."""
        while host.waiting:
            yield host.waiting.popleft()

    async def wait(self) -> None:
        """Wait until a row may have become ready, or `wake` is called."""
        await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    def _resume(self, host: Host, until: float) -> None:
        if host.paused_until == until:  # else another pause, which ends later
            host.paused_until = 0.0
            self._offer(host)

    def _bears(self, host: Host) -> bool:
        return bool(host.waiting) and not host.paused_until and host.active < host.limit

    def _offer(self, host: Host) -> None:
        if self._bears(host):
            self._ready[host] = None
            self._woken.set()
