from __future__ import annotations

import asyncio

from paris_assets.ingest.web.host import GOOD_ANSWERS, PROBES, SILENT, Host, Job
from paris_assets.ingest.web.hosts import Hosts
from paris_assets.ingest.web.link import own_link
from paris_assets.ingest.web.urls import parse_url


def _job(row: int, host: str = "a.example", sent_at: float = 0.0) -> Job:
    job = Job(row, parse_url(f"http://{host}/{row}"))
    job.send(sent_at, 8)
    return job


def _hosts(unlimited: set[str]) -> Hosts:
    """Of a fetcher that has its hosts to itself."""
    link = own_link()
    hosts = Hosts(2, unlimited, link)
    link.receive = hosts.told
    return hosts


def test_after_a_rest_a_host_gets_any_number_of_permits_at_once() -> None:
    async def permits() -> int:
        link = own_link()
        hosts = Hosts(500, set(), link)
        link.receive = hosts.told
        for row in range(600):
            hosts.put(_job(row))
        first = hosts.take()
        assert first is not None
        host = hosts.of(first)
        hosts.pause(host, 0.0)
        hosts.done(host)
        assert host.permits == 0
        while host.paused_until:
            await asyncio.sleep(0)
        return host.permits

    assert asyncio.run(asyncio.wait_for(permits(), 60)) == 500


def test_requests_sent_together_halve_the_limit_once() -> None:
    host = Host(8, limited=True)
    for row in range(5):
        host.refused(_job(row, sent_at=1.0), now=2.0)
    assert host.limit == 4
    host.refused(_job(9, sent_at=3.0), now=4.0)
    assert host.limit == 2
    for moment in (5.0, 7.0, 9.0):
        host.refused(_job(9, sent_at=moment), now=moment + 1)
    assert host.limit == 1


def test_a_run_of_good_answers_brings_one_request_back() -> None:
    host = Host(4, limited=True)
    host.refused(_job(0, sent_at=1.0), now=2.0)
    for _ in range(GOOD_ANSWERS - 1):
        host.answered()
    host.refused(_job(0, sent_at=1.0), now=2.0)  # an older request; the run is broken
    for _ in range(GOOD_ANSWERS - 1):
        host.answered()
    assert host.limit == 2
    host.answered()
    assert host.limit == 3
    for _ in range(9 * GOOD_ANSWERS):
        host.answered()
    assert host.limit == 4


def test_a_silent_host_is_probed_and_then_given_up() -> None:
    host, job = Host(8, limited=True), _job(0)
    for _ in range(2):
        assert not [True for _ in range(SILENT - 1) if host.missed(job, "timeout")]
        host.answered()
    assert all(host.missed(job, "timeout") is (row >= SILENT - 1) for row in range(SILENT + 5))  # sent together
    assert (host.limit, host.closed) == (1, None)
    alone = _job(1)
    alone.send(0.0, at_once=1)
    for _ in range(PROBES):
        host.missed(alone, "timeout")
        assert host.closed is None
    host.missed(alone, "http_429")
    assert host.closed == "http_429"


def test_two_rows_in_turn_that_are_sent_away_close_a_host_and_one_does_not() -> None:
    host = Host(8, limited=True)
    for row in (3, 3, 4):
        host.answered()
        host.sent_away(_job(row), "http_503")
        host.sent_away(_job(row), "http_503")  # the same row again
        assert host.closed is None
    host.sent_away(_job(5), "http_429")
    assert host.closed == "http_429"


def test_the_own_server_is_never_given_up() -> None:
    host, alone = Host(8, limited=False), _job(0)
    alone.send(0.0, at_once=1)
    for _ in range(9 * SILENT):
        assert not host.missed(alone, "timeout")
        host.refused(_job(0, sent_at=1.0), 2.0)
    host.close("http_503")
    assert (host.limit, host.closed) == (8, None)


def test_hosts_take_turns_and_bear_what_they_bear() -> None:
    async def taken() -> list[int]:
        hosts = _hosts({"c.example"})
        for row, name in enumerate(["a", "a", "a", "b", "a", "c", "c", "c"]):
            hosts.put(_job(row, f"{name}.example"))
        rows = []
        while (job := hosts.take()) is not None:
            rows.append(job.source_row)
        hosts.done(hosts.of(_job(0, "a.example")))
        hosts.put(_job(9, "a.example"), first=True)
        job = hosts.take()
        assert job is not None
        assert hosts.take() is None
        return [*rows, job.source_row]

    assert asyncio.run(taken()) == [0, 3, 5, 1, 6, 7, 9]


def test_a_host_that_is_paused_gives_nothing_until_then() -> None:
    async def waited() -> float:
        hosts, loop = _hosts(set()), asyncio.get_running_loop()
        hosts.put(_job(0))
        start = loop.time()
        hosts.pause(hosts.of(_job(0)), 0.05)
        hosts.pause(hosts.of(_job(0)), 0.01)  # the longer one holds
        while hosts.take() is None:
            await hosts.wait()
        return loop.time() - start

    assert asyncio.run(waited()) >= 0.05
