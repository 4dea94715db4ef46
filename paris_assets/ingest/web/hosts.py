"""What each host can bear: how many requests at once, when the next one, and when there is no use in more.

Rows wait in a queue of their host, so that a slow or closed host delays nobody else's. A host that turns requests away
gets half as many at once, and one more again after a run of good answers: as TCP shares a link. Each request takes a
permit of what all fetchers of a run agree through (`turns`), which is asked for as soon as a row waits.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

from paris_assets.ingest.web.host import Host, Job
from paris_assets.ingest.web.link import Link
from paris_assets.ingest.web.turns import GRANTED, WANTED


class Hosts:
    """Queues of rows by host, from which rows of hosts that bear another request come in turn.

    Args:
        most: requests at once for each host.
        unlimited: names of hosts that bear any number.
        link: to what gives permits.
        gap_s: seconds from one request of a host to the next.
    """

    def __init__(self, most: int, unlimited: set[str], link: Link, gap_s: float = 0.0) -> None:
        self._most, self._unlimited, self._link, self._gap_s = most, unlimited, link, gap_s
        self._hosts: dict[str, Host] = {}
        self._ready: dict[Host, None] = {}  # in the order of their turns
        self._woken = asyncio.Event()

    def of(self, job: Job) -> Host:
        """The host that a row asks next."""
        name = job.url.host
        if name not in self._hosts:
            limited = name not in self._unlimited
            self._hosts[name] = Host(self._most if limited else sys.maxsize, limited, name, self._gap_s)
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
            if host.useful and (host.permits or not host.limited):
                host.permits -= host.limited
                host.active += 1
                job = host.waiting.popleft()
                job.send(asyncio.get_running_loop().time(), host.limit)
                self._offer(host)
                return job
        return None

    def done(self, host: Host) -> None:
        """A request of a host has ended; its permit is the next row's, if nobody else waits for it."""
        host.active -= 1
        if host.limited and host.permits < host.useful and not (host.wanted or host.gap_s):
            host.permits += 1
        elif host.limited:
            self._give_back(host)
        self._offer(host)

    def pause(self, host: Host, seconds: float) -> None:
        """Ask nothing of a host for a time, and have nobody ask."""
        if host.limited:
            self._link.send("rest", host.name, seconds)
            self._pause(host, seconds)

    def slow(self, host: Host, gap_s: float) -> None:
        """Leave at least so much time between two requests of a host."""
        host.gap_s = max(host.gap_s, gap_s)

    def rest(self, host: Host) -> Iterator[Job]:
        """The rows that still wait for a host, which wait no more."""
        while host.waiting:
            yield host.waiting.popleft()
        self._return(host)

    def told(self, what: str, name: str, seconds: float = 0.0) -> None:
        """What was told of a host: see ``turns``."""
        host = self._hosts[name]
        if what == GRANTED:
            host.asked -= 1
            if host.permits < host.useful:
                host.permits += 1
                self._get_ready(host)  # what it lacks beside is asked for: a loop that grants at once would recurse
            else:
                self._give_back(host)
        elif what == WANTED:
            host.wanted = host.active + host.permits > 0
        else:
            self._pause(host, seconds)

    def again(self) -> None:
        """Say what was given and asked for, to who gives permits and knows nothing of it."""
        limited = [host for host in self._hosts.values() if host.limited]
        for host in limited:
            host.wanted = False
            if host.permits + host.active:
                self._link.send("hold", host.name, host.permits + host.active)
        for host in limited:
            for _ in range(host.asked):
                self._link.send("ask", host.name, self._most, host.gap_s)

    async def wait(self) -> None:
        """Wait until a row may have become ready, or `wake` is called."""
        await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        """Let `wait` return."""
        self._woken.set()

    def _pause(self, host: Host, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > host.paused_until:
            host.paused_until = until
            loop.call_at(until, self._resume, host, until)
            self._return(host)

    def _resume(self, host: Host, until: float) -> None:
        if host.paused_until == until:  # else another pause, which ends later
            host.paused_until = 0.0
            self._offer(host)

    def _offer(self, host: Host) -> None:
        """Let a host have its turn if it bears one, and ask for the permits that it lacks."""
        self._get_ready(host)
        while host.limited and host.permits + host.asked < host.useful:
            host.asked += 1
            self._link.send("ask", host.name, self._most, host.gap_s)

    def _get_ready(self, host: Host) -> None:
        if host.useful and (host.permits or not host.limited):
            self._ready[host] = None
            self._woken.set()

    def _give_back(self, host: Host) -> None:
        self._link.send("give_back", host.name)
        host.wanted = host.wanted and host.active + host.permits > 0

    def _return(self, host: Host) -> None:
        """Give back what is not used."""
        while host.permits:
            host.permits -= 1
            self._give_back(host)
