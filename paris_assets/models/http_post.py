"""JSON sent to an address, over connections that stay open."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from threading import Event, Lock, local
from typing import NamedTuple

import pycurl

MAX_ANSWER_BYTES = 1 << 20
CONNECT_S = 10
REPEATED_STATUS = {408, 409, 425, 429}
"""What passes, beside 5xx."""


class Reply(NamedTuple):
    """Status (0: no whole answer came), the body or what failed, the seconds that Retry-After asks for, and whether it
    may be the question's fault alone: the server failed over it, or took too long."""

    status: int
    body: str
    wait_s: float | None = None
    by_question: bool = False

    @property
    def passing(self) -> bool:
        """Whether another try may have an answer."""
        return self.status == 0 or self.status in REPEATED_STATUS or self.status >= 500


class Poster:
    """Sends to one address; each thread keeps a connection of its own.

    Args:
        address: whole, http or https.
        headers: lines beside the type of the content.
        timeout_s: longest wait for a whole answer.
    """

    def __init__(self, address: str, headers: Sequence[str], timeout_s: float) -> None:
        self._options = {
            pycurl.URL: address, pycurl.HTTPHEADER: ["Content-Type: application/json", "Expect:", *headers],
            pycurl.NOSIGNAL: 1, pycurl.CONNECTTIMEOUT: CONNECT_S, pycurl.TIMEOUT_MS: round(timeout_s * 1000),
        }  # fmt: skip
        self._own = local()

    def post(self, body: bytes) -> Reply:
        """One request and what came of it; redirects are not followed."""
        if not hasattr(self._own, "curl"):
            self._own.curl = pycurl.Curl()
        curl = self._own.curl
        answer, lines = bytearray(), list[bytes]()

        def take(chunk: bytes) -> int:
            answer.extend(chunk)
            return len(chunk) if len(answer) <= MAX_ANSWER_BYTES else 0

        options = {pycurl.POSTFIELDS: body, pycurl.WRITEFUNCTION: take, pycurl.HEADERFUNCTION: lines.append}
        for option, value in {**self._options, **options}.items():
            curl.setopt(option, value)
        try:
            curl.perform()
        except pycurl.error as error:
            if len(answer) > MAX_ANSWER_BYTES:
                return Reply(curl.getinfo(pycurl.RESPONSE_CODE), "")
            return Reply(0, str(error.args[-1]), by_question=error.args[0] == pycurl.E_OPERATION_TIMEDOUT)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        return Reply(status, answer.decode(errors="replace"), retry_after(lines), by_question=status == 500)


class Pace:
    """Lets requests of all threads go at most so many times a minute, evenly; None: as they come."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap, self._next, self._lock = 60 / per_minute if per_minute else 0.0, 0.0, Lock()

    def wait(self, stop: Event) -> None:
        """Return when it is one's turn, or when all is stopped."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap
        stop.wait(max(0.0, turn - time.monotonic()))


def retry_after(lines: Sequence[bytes], now: float | None = None) -> float | None:
    """Seconds that a header Retry-After asks for, which gives them as a number or as a date (RFC 9110, 10.2.3).

    Args:
        lines: of the answer's head.
        now: seconds since 1970; the clock's without it.
    """
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        if name.strip().lower() != "retry-after":
            continue
        try:
            return max(0.0, float(value))
        except ValueError:
            pass  # a date
        try:
            return max(0.0, parsedate_to_datetime(value.strip()).timestamp() - (time.time() if now is None else now))
        except ValueError:
            return None
    return None
