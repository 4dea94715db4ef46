"""Which row is asked for next, and what follows from its answer: for the row, and for the other rows of its host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from paris_assets.config import Ingest
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.web import robots
from paris_assets.ingest.web.addresses import routed_host
from paris_assets.ingest.web.host import PROBES, Host, Job
from paris_assets.ingest.web.hosts import Hosts
from paris_assets.ingest.web.kept_answers import SAID, TO_ASK
from paris_assets.ingest.web.link import Link
from paris_assets.ingest.web.opt_out import OPTED_OUT, OptOuts
from paris_assets.ingest.web.request import Failure, request, target
from paris_assets.ingest.web.transfer import Transfers
from paris_assets.ingest.web.urls import Url

LOOK_AHEAD = 10_000  # rows taken from the list while others wait for their host
REFUSALS = {"http_429", "http_503"}
CROWDED = 5  # refusals of one row that are put down to the number of requests, not to the row


class Attempts:
    """The rows of a list on their way.

    Args:
        urls: (source_row, url).
        done: takes what became of a row; every row once.
        link: to what all fetchers of a run agree through.
        opt_outs: what is not asked for, where a redirect leads there.
    """

    def __init__(
        self,
        urls: Iterator[tuple[int, str | None]],
        settings: Ingest,
        transfers: Transfers,
        done: Callable[[Fetched], None],
        link: Link,
        opt_outs: OptOuts,
    ) -> None:
        served = {routed_host(name) for name, place in settings.resolve.items() if place == "serve"}
        rate, link.receive, link.again = settings.per_host.requests_per_second, self._told, self._again
        self._hosts = Hosts(settings.per_host.connections, served, link, 1 / rate if rate else 0.0)
        self._link, self._opt_outs = link, opt_outs
        self._rules: dict[str, robots.Rules] = {}
        self._parked: dict[str, list[Job]] = {}  # rows of origins whose robots.txt is not known yet
        self._asking: set[str] = set()  # those of them that are asked from here
        self._urls: Iterator[tuple[int, str | None]] | None = urls
        self._settings, self._transfers, self._done = settings, transfers, done
        self._underway = 0

    async def next(self) -> Job | None:
        """The next row to ask for, as soon as its host bears it; None when all have ended."""
        while True:
            job = self._hosts.take()
            if job is not None:
                return job
            if self._urls is not None and self._underway < LOOK_AHEAD:
                self._read(self._urls)
            elif self._underway:
                await self._hosts.wait()
            else:
                return None

    async def make(self, job: Job) -> bool:
        """One request of a row, and what follows from it: whether a body was handed over."""
        host = self._hosts.of(job)
        try:
            found = await request(job, self._transfers, self._settings)
        except Failure as failure:
            self._settle(job, host, failure)
            return False
        finally:
            self._hosts.done(host)
        host.answered()
        if isinstance(found, Url):
            job.redirect(found)
            self._put(job)
            return False
        if job.is_robots:
            self._say(job, robots.said(found.body or b""))
            return False
        self._end(found)
        return True

    def _read(self, urls: Iterator[tuple[int, str | None]]) -> None:
        row, url = next(urls, (None, None))
        if row is None:
            self._urls = None
            return
        self._underway += 1
        try:
            job = Job(row, target(url))
        except Failure as failure:
            self._end(Fetched(row, "failed", failure.reason, None, 1, None))
            return
        job.begin(self._settings.timeout_s)
        self._put(job, first=False)

    def _put(self, job: Job, first: bool = True) -> None:
        """Let a row wait for its host, or end it where that, or the url, is asked no more."""
        host = self._hosts.of(job)
        if host.closed is not None:
            self._fail(job, host.closed)
        elif self._opt_outs.refuses(job.url):
            self._fail(job, OPTED_OUT)
        elif job.is_robots or not host.limited or not self._settings.robots.obey:
            self._hosts.put(job, first)
        elif job.url.origin not in self._rules:
            self._park(job)
        elif (refusal := self._rules[job.url.origin].refuses(job.url)) is not None:
            self._fail(job, refusal.reason, refusal.http_status)
        else:
            self._hosts.put(job, first)

    def _park(self, job: Job) -> None:
        """Let a row wait for the robots.txt of its origin, which is asked for once."""
        origin = job.url.origin
        parked = self._parked.setdefault(origin, [])
        parked.append(job)
        if len(parked) == 1:
            self._link.send("want", origin)

    def _told(self, what: str, name: str, *more: Any) -> None:
        """What comes over the link: of an origin, or of a host."""
        if what == SAID:
            self._obey(name, *more)
        elif what == TO_ASK:
            asked = Job(-1, robots.address_of(self._parked[name][0].url), is_robots=True)
            asked.begin(self._settings.timeout_s)
            self._asking.add(name)
            self._put(asked)
        else:
            self._hosts.told(what, name, *more)

    def _again(self) -> None:
        """What fetchers agree through was started anew."""
        self._hosts.again()
        for origin in self._parked.keys() - self._asking:
            self._link.send("want", origin)

    def _say(self, asked: Job, answer: list[Any]) -> None:
        """What a robots.txt, or its absence, says: to the others, and to the rows that wait for it here."""
        self._link.send("found", asked.first.origin, answer, robots.keep_s(answer))
        self._obey(asked.first.origin, answer)

    def _obey(self, origin: str, answer: list[Any]) -> None:
        self._asking.discard(origin)
        parked = self._parked.pop(origin, [])
        if not parked:  # known already: two have asked, as what they agree through was started anew
            return
        rules = self._rules[origin] = robots.Rules(answer, self._settings)
        self._hosts.slow(self._hosts.of(parked[0]), rules.gap_s)
        for job in parked:
            self._put(job, first=False)

    def _settle(self, job: Job, host: Host, failure: Failure) -> None:
        """What a failed attempt means for the host, and then for the row."""
        limits = failure.reason in REFUSALS or (failure.transient and failure.wait_s > 0)
        # What several requests at once were turned away for, one alone may get.
        crowded = limits and host.limited and job.at_once > 1 and job.refusals < CROWDED and not job.is_robots
        job.refusals, job.failures = job.refusals + crowded, job.failures + (not crowded)
        wait_s = max(self._settings.backoff_s * 2 ** max(job.failures - 1, 0), failure.wait_s)
        if limits or (failure.reason == "connection" and failure.transient):
            host.refused(job, asyncio.get_running_loop().time())
        too_long = limits and failure.wait_s > self._settings.max_wait_s
        if too_long:
            host.sent_away(job, failure.reason)
            self._hosts.pause(host, self._settings.max_wait_s / PROBES)
        elif limits and (failure.wait_s or not crowded):
            self._hosts.pause(host, wait_s)
        if failure.reason in ("timeout", "connection") or (limits and not crowded):
            if host.missed(job, failure.reason):
                self._hosts.pause(host, self._settings.max_wait_s / PROBES)
        elif not limits:
            host.answered()
        if failure.transient and not too_long and not host.closed and job.failures <= self._settings.retries:
            job.begin(self._settings.timeout_s)
            asyncio.get_running_loop().call_later(wait_s, self._put, job)
        else:
            self._fail(job, failure.reason, failure.http_status)
        for waiting in self._hosts.rest(host) if host.closed else ():
            self._fail(waiting, str(host.closed))

    def _fail(self, job: Job, reason: str, http_status: int | None = None) -> None:
        if job.is_robots:
            self._say(job, robots.not_said(reason, http_status, job.redirects))
            return
        self._end(Fetched(job.source_row, "failed", reason, http_status, job.attempts, None))

    def _end(self, fetched: Fetched) -> None:
        self._underway -= 1
        self._done(fetched)
        self._hosts.wake()
