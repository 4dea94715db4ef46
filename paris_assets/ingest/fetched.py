"""What became of a source row, and which failures pass."""

from __future__ import annotations

import re
from dataclasses import dataclass

TRANSIENT = r"^(timeout|connection|http_408|http_425|http_429|http_5\d\d)$"
"""Reasons that may be gone at another time; `paris run --retry transient` asks again for rows that failed for one."""


def is_transient(reason: str) -> bool:
    """Whether a row that failed for a reason may arrive at another time."""
    return re.search(TRANSIENT, reason) is not None


def how_to_allow(hosts: list[str]) -> str:
    """What to do about hosts that were refused as `private_address`; at least one."""
    first = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    return (
        f"{', '.join(hosts)}: in a private network, or leading there, which a list may not. For a host of your own: "
        f"`paris run --force --select raw_images --set 'ingest.resolve.{first}=\"ADDRESS:PORT\"'`"
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
    def local(cls, source_row: int, body: bytes | None, reason: str = "empty_body") -> Fetched:
        """An image that was read, not fetched; `reason` says why where there is no body."""
        return cls(source_row, "ok" if body else "failed", None if body else reason, None, 1, body or None)
