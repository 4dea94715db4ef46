"""What a robots.txt allows (RFC 9309), read by protego.

One that is not there (4xx) allows all, one that cannot be had (5xx, 429) allows nothing until it can. Where nobody
answers at all, the rows fail for the same reason as if they had been asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from protego import Protego

from paris_assets.ingest.fetched import is_transient
from paris_assets.ingest.web.urls import Url
from paris_assets.settings.ingest import Ingest

MAX_BYTES = 500 << 10  # of a longer one the rest is not read (RFC 9309, 2.5)
MAX_REDIRECTS = 5
KEEP_S, KEEP_FAILURE_S = 24 * 3600.0, 600.0
REFUSED, UNREACHABLE = "robots", "robots_unreachable"
"""Reasons of rows that a robots.txt refuses, and of rows whose host gives none that could be read."""

_NAMED = re.compile(r"\s*user[- ]?agent(?:\s*:|\s)\s*([^\s#]+)", re.IGNORECASE)  # as protego reads it
_OF_THE_HOST = {"connection", "timeout", "private_address", "bad_answer"}


def address_of(url: Url) -> Url:
    """Where the robots.txt of a url lies: one for each scheme, host and port."""
    return Url(url.scheme, url.host, url.port, "/robots.txt")


def said(body: bytes) -> list[Any]:
    """What a body says, as fetchers tell each other."""
    return ["text", body[:MAX_BYTES].decode("utf-8-sig", "replace")]


def not_said(reason: str, http_status: int | None, redirects: int) -> list[Any]:
    """What it means that none came, as fetchers tell each other.

    Args:
        redirects: that were followed before.
    """
    absent = re.fullmatch("http_[34]..", reason) and not is_transient(reason)
    if absent or reason == "too_many_redirects":
        return ["text", ""]
    return ["failed", reason if reason in _OF_THE_HOST and not redirects else UNREACHABLE, http_status]


def keep_s(answer: list[Any]) -> float:
    """For how long an answer holds."""
    return KEEP_S if answer[0] == "text" else KEEP_FAILURE_S


@dataclass(frozen=True)
class Refusal:
    """Why a row is not asked for."""

    reason: str
    http_status: int | None = None


class Rules:
    """What one origin allows.

    Attributes:
        gap_s: seconds that it wants between two requests.

    Args:
        answer: of ``said`` or ``not_said``.
    """

    def __init__(self, answer: list[Any], settings: Ingest) -> None:
        self.gap_s = 0.0
        self._all: Refusal | None = None
        self._rules: Protego | None = None
        self._agents: list[str] = []
        if answer[0] == "failed":
            self._all = Refusal(answer[1], answer[2])
        elif answer[1].strip():
            self._rules = Protego.parse(answer[1])
            self._agents = _obeyed(answer[1], settings)
            self.gap_s = max(_gap_s(self._rules, agent) for agent in self._agents)
            if self.gap_s > settings.robots.max_crawl_delay_s:
                self._all = Refusal(REFUSED)

    def refuses(self, url: Url) -> Refusal | None:
        """Why a url is not to be asked for; None where it is allowed."""
        if self._all is not None or self._rules is None:
            return self._all
        text = url.origin + url.target
        return None if all(self._rules.can_fetch(text, agent) for agent in self._agents) else Refusal(REFUSED)


def _obeyed(text: str, settings: Ingest) -> list[str]:
    """The names whose rules count: ours alone where it is named, else also those of others that are."""
    found = filter(None, map(_NAMED.match, text.splitlines()))
    named = {name[1].lower().replace("*", "") for name in found}
    ours = settings.agent.lower()
    if any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", ours) for name in named if name):
        return [settings.agent]
    return [settings.agent, *(agent for agent in settings.robots.agents if agent.lower() in named)]


def _gap_s(rules: Protego, agent: str) -> float:
    rate = rules.request_rate(agent)
    of_rate = rate.seconds / rate.requests if rate is not None and rate.requests else 0.0
    return max(float(rules.crawl_delay(agent) or 0.0), of_rate)
