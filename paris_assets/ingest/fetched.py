"""What became of a source row, and which failures pass."""

from __future__ import annotations

import re
from dataclasses import dataclass

SKIPPED, NOT_SELECTED = "skipped", "not_selected"
"""Status and reason of rows that the selection of the pool leaves out: nothing is asked for."""

TRANSIENT = r"^(timeout|connection|http_408|http_425|http_429|http_5\d\d)$"
"""Reasons that may be gone at another time: a download has several tries."""

ASKED_AGAIN = rf"{TRANSIENT}|^(private_address|robots_unreachable)$"
"""Reasons that `paris run --retry transient` asks again for: `ingest.resolve`, which allows a host, is no reason to
fetch all others again, and a robots.txt that could not be had may be there at another time."""


def is_transient(reason: str) -> bool:
    """Whether a row that failed for a reason may arrive at another time."""
    return re.search(TRANSIENT, reason) is not None


def is_asked_again(reason: str) -> bool:
    """Whether `paris run --retry transient` asks again for a row that failed for a reason."""
    return re.search(ASKED_AGAIN, reason) is not None


def how_to_allow(hosts: list[str]) -> str:
    """What to do about hosts that were refused as `private_address`; at least one."""
    first = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    return (
        f"{', '.join(hosts)}: in a private network, or leading there, which a list may not. For a host of your own: "
        f"`paris run --retry transient --set 'ingest.resolve.{first}=\"ADDRESS:PORT\"'`"
    )


@dataclass(frozen=True)
class Fetched:
    """What became of one source row; `body` is None unless `status` is `ok`."""

    source_row: int
    status: str
    reason: str | None
    http_status: int | None
    attempts: int
    body: bytes | None

    @classmethod
    def skipped(cls, source_row: int) -> Fetched:
        """A row that is not to be fetched."""
        return cls(source_row, SKIPPED, NOT_SELECTED, None, 0, None)

    @classmethod
    def refused(cls, source_row: int, reason: str) -> Fetched:
        """A row that is refused: nothing is asked for."""
        return cls(source_row, "failed", reason, None, 0, None)

    @classmethod
    def local(cls, source_row: int, body: bytes | None, reason: str = "empty_body") -> Fetched:
        """An image that was read, not fetched; `reason` says why where there is no body."""
        return cls(source_row, "ok" if body else "failed", None if body else reason, None, 1, body or None)
