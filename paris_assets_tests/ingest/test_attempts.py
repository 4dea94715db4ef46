"""Hosts that limit: rows are not lost, the host is not pressed, and nobody else waits for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from paris_assets.config import Ingest
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets_tests.ingest.servers import HOST, UNASKED, Server, response, serving


@dataclass
class Crowd:
    """Notes when requests come and how many are there at once; `judge` says what each gets, by its number."""

    judge: Callable[[int, int], bytes]
    takes_s: float = 0.0
    at: list[float] = field(default_factory=list)
    most: int = 0
    _here: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, peer: socket.socket, _: bytes) -> None:
        with self._lock:
            self._here += 1
            self.at.append(time.monotonic())
            self.most = max(self.most, self._here)
            answer = self.judge(self._here, len(self.at))
        time.sleep(self.takes_s if b" 200 " in answer else 0)
        with self._lock:
            self._here -= 1
        peer.sendall(answer)


GOOD = response()
BUSY = response(b"", "429 Too Many Requests")


def _settings(**changes: Any) -> Ingest:
    given = {"timeout_s": 5, "retries": 0, "backoff_s": 0.02, "robots": UNASKED}
    return Ingest(**{**given, **changes})


def _rows(server: Server, rows: int, **changes: Any) -> list[Fetched]:
    limits = _settings(resolve={"photos.example": f"127.0.0.1:{server.port}"}, **changes)
    return list(fetch_images([(row, f"{HOST}/{row}") for row in range(rows)], limits))


@pytest.mark.parametrize("bears", [6, 4, 2, 1])
@pytest.mark.parametrize("code", ["429 Too Many Requests", "503 Busy"])
def test_a_host_that_takes_a_few_at_once_loses_no_row(bears: int, code: str) -> None:
    crowd = Crowd(lambda here, _: GOOD if here <= bears else response(b"", code), takes_s=0.01)
    with serving(crowd) as server:
        results = _rows(server, 60)
    assert [fetched.status for fetched in results] == ["ok"] * 60
    assert crowd.most <= 6
    assert len(crowd.at) == sum(fetched.attempts for fetched in results) < 90


def test_a_host_that_breaks_connections_off_gets_fewer_at_once() -> None:
    crowd = Crowd(lambda here, _: GOOD if here <= 2 else b"", takes_s=0.01)
    with serving(crowd) as server:
        results = _rows(server, 60, retries=3)
    assert [fetched.status for fetched in results] == ["ok"] * 60
    assert len(crowd.at) < 90


def test_a_host_gets_no_more_at_once_than_the_setting_says() -> None:
    crowd = Crowd(lambda *_: GOOD, takes_s=0.01)
    with serving(crowd) as server:
        assert len(_rows(server, 40, per_host={"connections": 3})) == 40
    assert crowd.most == 3


def test_a_host_that_takes_some_in_a_time_gets_them_in_that_time() -> None:
    start = time.monotonic()
    given = [0]

    def judge(*_: int) -> bytes:
        given[0] += (fits := given[0] < 10 + 50 * (time.monotonic() - start))
        return GOOD if fits else BUSY

    with serving(Crowd(judge)) as server:
        results = _rows(server, 60, retries=3)
    assert [fetched.status for fetched in results] == ["ok"] * 60


def test_retry_after_holds_for_the_whole_host() -> None:
    later = response(b"", "429 Too Many Requests", "Retry-After: 1")
    crowd = Crowd(lambda _, number: later if number == 3 else GOOD, takes_s=0.05)
    with serving(crowd) as server:
        results = _rows(server, 40, retries=1)
    assert [fetched.status for fetched in results] == ["ok"] * 40
    refused = crowd.at[2]
    assert not [moment for moment in crowd.at if refused + 0.1 < moment < refused + 1]
    assert crowd.at[-1] > refused + 1


def test_a_host_that_asks_to_come_back_in_an_hour_is_left_alone() -> None:
    later = response(b"", "503 Busy", "Retry-After: 3600")
    crowd = Crowd(lambda _, number: GOOD if number <= 10 else later)
    start = time.monotonic()
    with serving(crowd) as server:
        results = _rows(server, 200, retries=2)
    assert time.monotonic() - start < 20
    assert len(crowd.at) <= 10 + 6
    reasons = [(fetched.reason, fetched.attempts) for fetched in results if fetched.reason]
    assert len(reasons) == 190
    assert {reason for reason, _ in reasons} == {"http_503"}  # transient: asked for at another time
    assert sum(attempts == 0 for _, attempts in reasons) >= 184


def test_a_row_that_is_sent_away_for_an_hour_takes_no_other_with_it() -> None:
    def answer(peer: socket.socket, request: bytes) -> None:
        later = response(b"", "503 Busy", "Retry-After: 3600")
        peer.sendall(later if b" /7 " in request or b" /70 " in request else GOOD)

    with serving(answer) as server:
        results = {fetched.source_row: fetched for fetched in _rows(server, 100, max_wait_s=0.3, retries=2)}
    assert {row: fetched.attempts for row, fetched in results.items() if fetched.status != "ok"} == {7: 1, 70: 1}


def test_what_a_final_answer_asks_to_wait_closes_no_host() -> None:
    gone = response(b"", "404 Not Found", "Retry-After: 3600")
    with serving(Crowd(lambda _, number: gone if number == 3 else GOOD)) as server:
        results = _rows(server, 40)
    assert sorted(str(fetched.reason) for fetched in results) == ["None"] * 39 + ["http_404"]


@pytest.mark.parametrize(("answer", "reason"), [(BUSY, "http_429"), (b"", "connection")])
def test_a_host_that_gives_nothing_is_given_up(answer: bytes, reason: str) -> None:
    crowd = Crowd(lambda *_: answer)
    with serving(crowd) as server:
        results = _rows(server, 500, max_wait_s=0.3)
    assert {fetched.reason for fetched in results} == {reason}
    assert len(results) == 500
    assert len(crowd.at) < 50
    assert sum(fetched.attempts for fetched in results) >= len(crowd.at)


def test_a_host_that_is_away_for_a_while_keeps_most_of_its_rows() -> None:
    crowd = Crowd(lambda _, number: GOOD if not 20 <= number < 42 else b"")
    with serving(crowd) as server:
        results = _rows(server, 200, max_wait_s=0.3)
    assert 15 < sum(fetched.reason == "connection" for fetched in results) <= 23
    assert sum(fetched.status == "ok" for fetched in results) >= 177


def test_a_row_that_is_refused_for_ever_ends_and_takes_no_other_with_it() -> None:
    def answer(peer: socket.socket, request: bytes) -> None:
        peer.sendall(response(b"", "503 Broken") if b" /7 " in request else GOOD)

    with serving(answer) as server:
        results = {fetched.source_row: fetched for fetched in _rows(server, 200, retries=1)}
    assert [row for row, fetched in results.items() if fetched.status != "ok"] == [7]
    assert (results[7].reason, results[7].http_status) == ("http_503", 503)
    assert results[7].attempts <= 8


@contextmanager
def _two_hosts(slow: Crowd, quick: Crowd) -> Any:
    with serving(slow) as one, serving(quick) as other:
        names = {"slow.example": f"127.0.0.1:{one.port}", "quick.example": f"127.0.0.1:{other.port}"}
        yield names


def test_rows_of_one_host_wait_for_no_other() -> None:
    later = response(b"", "429 Too Many Requests", "Retry-After: 1")
    slow = Crowd(lambda _, number: later if number == 1 else GOOD)
    with _two_hosts(slow, Crowd(lambda *_: GOOD)) as names:
        urls = [f"http://slow.example/{row}" for row in range(100)] + [
            f"http://quick.example/{row}" for row in range(50)
        ]
        start = time.monotonic()
        ended: dict[int, float] = {}
        for fetched in fetch_images(enumerate(urls), _settings(resolve=names, concurrency=8, retries=1)):
            ended[fetched.source_row] = time.monotonic() - start
            assert fetched.status == "ok"
    assert max(ended[row] for row in range(100, 150)) < 1 <= max(ended[row] for row in range(100))


def test_hosts_of_redirects_are_spared_too() -> None:
    crowd = Crowd(lambda here, _: GOOD if here <= 2 else BUSY, takes_s=0.01)
    moved = response(b"", "302 Found", "Location: http://slow.example/")
    with _two_hosts(crowd, Crowd(lambda *_: moved)) as names:
        urls = [(row, f"http://quick.example/{row}") for row in range(40)]
        results = list(fetch_images(urls, _settings(resolve=names)))
    assert [fetched.status for fetched in results] == ["ok"] * 40
    assert crowd.most <= 6


def test_waiting_for_a_host_takes_no_time_from_an_attempt() -> None:
    with serving(Crowd(lambda *_: GOOD, takes_s=0.1)) as server:
        results = _rows(server, 12, per_host={"connections": 1}, timeout_s=0.6)
    assert [(fetched.status, fetched.attempts) for fetched in results] == [("ok", 1)] * 12


def test_a_slot_for_one_is_enough() -> None:
    with serving(Crowd(lambda _, number: BUSY if number % 3 == 0 else GOOD)) as server:
        results = _rows(server, 20, concurrency=1, retries=2)
    assert [fetched.status for fetched in results] == ["ok"] * 20
