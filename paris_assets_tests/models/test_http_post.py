"""Waiting as a server asks, and no faster than one may."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import format_datetime
from threading import Event

import pytest

from paris_assets.models.http_post import Pace, Reply, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        (format_datetime(NOW.replace(second=42), usegmt=True), 42.0),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0.0),
        ("-3", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, expected: float | None) -> None:
    lines = [b"HTTP/1.1 429 Too Many\r\n", f"retry-After: {value}\r\n".encode()]
    assert retry_after(lines, NOW.timestamp()) == expected
    assert retry_after([b"content-length: 5\r\n"]) is None


def test_requests_of_all_threads_keep_the_pace() -> None:
    pace, stop, start = Pace(per_minute=1200), Event(), time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        turns = sorted(pool.map(lambda _: (pace.wait(stop), time.monotonic() - start)[1], range(9)))
    assert turns[-1] >= 8 * 0.05 - 0.005
    for place, turn in enumerate(turns):
        assert turn >= 0.05 * place - 0.005, "evenly, not in bursts"


def test_who_waits_for_a_turn_stops_with_all() -> None:
    pace, stop = Pace(per_minute=1), Event()
    pace.wait(stop)
    stop.set()
    start = time.monotonic()
    pace.wait(stop)
    assert time.monotonic() - start < 5


def test_what_may_pass() -> None:
    passing = [
        status
        for status in (0, 200, 301, 400, 401, 404, 408, 409, 422, 425, 429, 500, 503, 529)
        if Reply(status, "").passing
    ]
    assert passing == [0, 408, 409, 425, 429, 500, 503, 529]
