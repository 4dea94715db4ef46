"""A row on its way, and the host that it asks: what that bears, and what came of what it was asked."""

from __future__ import annotations

from collections import deque
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
        is_robots: this is no row: the robots.txt of an origin.
    """

    source_row: int
    first: Url
    is_robots: bool = False
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
        name: its name or address.
        gap_s: seconds from one request to the next.
        limit: requests at once that it bears now.
        closed: reason for which its rows are asked for no more, once that is so.
        permits: for requests that are not sent yet; `asked`: permits that are asked for.
        wanted: whether another fetcher waits for it, so that permits go back after use.
    """

    most: int
    limited: bool
    name: str = ""
    gap_s: float = 0.0
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
    permits: int = 0
    asked: int = 0
    wanted: bool = False

    def __post_init__(self) -> None:
        self.limit = self.most

    @property
    def useful(self) -> int:
        """Permits that it could use now: one at a time, where they come slowly."""
        if not self.waiting or self.paused_until:
            return 0
        return max(0, min(len(self.waiting), self.limit - self.active, 1 if self.gap_s else self.limit))

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
