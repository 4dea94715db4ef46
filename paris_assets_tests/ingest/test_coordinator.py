"""Rows of one host that lie in several shards: its limits hold over all that fetch, on real sockets."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.config import Ingest
from paris_assets.errors import UsageError
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.web import coordinator, link
from paris_assets.ingest.web.coordinator import coordinating
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets.ingest.web.link import COORDINATOR, CoordinatorError, parse_address
from paris_assets.runs.coordinator import _listened_at, coordinated, coordinator_command, start_coordinator
from paris_assets.settings.ingest import PerHost
from paris_assets_tests.ingest.pictures import picture
from paris_assets_tests.ingest.servers import Server, fetch_into, response, serving

NAMES = ("a.example", "b.example")
WORKERS, ROWS = 3, 40


class Crowd:
    """Notes, by host, when requests come and how many are there at once."""

    def __init__(self, takes_s: float = 0.02) -> None:
        self.takes_s = takes_s
        self.at: dict[str, list[float]] = {}
        self.paths: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self._here: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, peer: socket.socket, request: bytes) -> None:
        if not request:  # of a fetcher that was gone again
            return
        name, path = request.split(b"Host: ")[1].split(b"\r\n")[0].decode(), request.split()[1].decode()
        with self._lock:
            self._here[name] += 1
            self.most[name] = max(self.most[name], self._here[name])
            self.paths[f"{name}{path}"] += 1
            self.at.setdefault(name, []).append(time.monotonic())
            number = len(self.at[name])
        time.sleep(self.takes_s)
        with self._lock:
            self._here[name] -= 1
        peer.sendall(self.answer(name, path, number))

    def answer(self, name: str, path: str, number: int) -> bytes:
        return response()


def _shard(number: int) -> list[tuple[int, str]]:
    """Rows of both hosts, in turns."""
    return [(row, f"http://{NAMES[row % 2]}/{number}/{row}") for row in range(ROWS)]


def _settings(server: Server, **changes: Any) -> Ingest:
    names = dict.fromkeys(NAMES, f"127.0.0.1:{server.port}")
    return Ingest.model_validate({"timeout_s": 5, "retries": 2, "backoff_s": 0.02, "resolve": names, **changes})


def _by_processes(settings: Ingest) -> list[Fetched]:
    """Three shards, by a process each."""
    context = multiprocessing.get_context("spawn")
    done: Any = context.Queue()
    processes = [context.Process(target=fetch_into, args=(done, _shard(number), settings)) for number in range(WORKERS)]
    for process in processes:
        process.start()
    results = [fetched for _ in processes for fetched in done.get(timeout=60)]
    for process in processes:
        process.join()
    return results


def _by_threads(settings: Ingest) -> list[Fetched]:
    """Three shards, fetched at once, each by a link of its own."""
    with ThreadPoolExecutor(WORKERS) as pool:
        shards = pool.map(lambda number: list(fetch_images(_shard(number), settings)), range(WORKERS))
        return [fetched for shard in shards for fetched in shard]


@pytest.fixture
def agreed(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv(COORDINATOR, raising=False)
    with coordinated() as address:
        assert os.environ[COORDINATOR] == address
        yield address
    assert COORDINATOR not in os.environ


def test_rows_of_a_host_spread_over_three_workers_stay_within_its_limit(agreed: str) -> None:
    crowd = Crowd()
    with serving(crowd) as server:
        results = _by_processes(_settings(server, per_host={"connections": 2}))
    assert [fetched.status for fetched in results] == ["ok"] * WORKERS * ROWS
    assert crowd.most == {name: 2 for name in NAMES}
    assert {path: count for path, count in crowd.paths.items() if path.endswith("robots.txt")} == {
        f"{name}/robots.txt": 1 for name in NAMES
    }
    assert max(crowd.paths.values()) == 1  # no row was asked for twice


@pytest.mark.slow
def test_the_workers_of_a_run_agree(tmp_path: Path) -> None:
    crowd = Crowd()
    crowd.answer = lambda name, path, number: response(picture(0))  # type: ignore[method-assign]
    pl.DataFrame({"url": [url for shard in range(WORKERS) for _, url in _shard(shard)]}).write_csv(tmp_path / "t.csv")
    with serving(crowd) as server:
        settings = [f"ingest.resolve.{name}=127.0.0.1:{server.port}" for name in NAMES]
        settings += ["ingest.per_host.connections=2", f"source.rows_per_shard={ROWS}"]
        command = ["run", "--root", str(tmp_path / "root"), "--source", str(tmp_path / "t.csv"), "--workers", "3"]
        command += ["--select", "source_rows,raw_images", *(word for each in settings for word in ("--set", each))]
        ended = subprocess.run([sys.executable, "-m", "paris_assets.cli", *command], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    ledgers = sorted((tmp_path / "root" / "raw_images").glob("*.parquet"))
    assert [pl.read_parquet(ledger)["status"].to_list() for ledger in ledgers] == [["ok"] * ROWS] * WORKERS
    assert crowd.most == {name: 2 for name in NAMES}
    assert crowd.paths["a.example/robots.txt"] == crowd.paths["b.example/robots.txt"] == 1


def test_without_a_coordinator_each_has_the_limit_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The crowd sees what the others must not do."""
    monkeypatch.delenv(COORDINATOR, raising=False)
    crowd = Crowd()
    with serving(crowd) as server:
        _by_threads(_settings(server, per_host={"connections": 2}))
    assert max(crowd.most.values()) > 2
    assert crowd.paths["a.example/robots.txt"] == WORKERS


def test_requests_per_second_hold_over_all_workers(agreed: str) -> None:
    crowd = Crowd(takes_s=0.0)
    with serving(crowd) as server:
        results = _by_threads(_settings(server, per_host={"requests_per_second": 40}))
    assert [fetched.status for fetched in results] == ["ok"] * WORKERS * ROWS
    for name in NAMES:
        at = crowd.at[name]
        assert len(at) == WORKERS * ROWS // 2 + 1
        # Permits may be used later than they were given: those of all connections, where the machine is busy.
        within = [sum(start <= moment < start + 0.5 for moment in at) for start in at]
        assert max(within) <= 0.5 * 40 + PerHost().connections + 1


def test_what_one_worker_is_told_to_wait_all_wait(agreed: str) -> None:
    class Busy(Crowd):
        def answer(self, name: str, path: str, number: int) -> bytes:
            if name == "a.example" and number == 20:
                return response(b"", "429 Too Many Requests", "Retry-After: 1")
            return super().answer(name, path, number)

    crowd = Busy(takes_s=0.03)
    with serving(crowd) as server:
        results = _by_threads(_settings(server, per_host={"connections": 2}))
    assert [fetched.status for fetched in results] == ["ok"] * WORKERS * ROWS
    refused = crowd.at["a.example"][19]
    # Of 41 rows that are left, those of one worker alone are 20 at most.
    assert len([moment for moment in crowd.at["a.example"] if moment > refused + 1]) > ROWS // 2


@pytest.mark.slow
def test_a_worker_that_is_killed_holds_nothing_back(agreed: str) -> None:
    class Slow(Crowd):
        def answer(self, name: str, path: str, number: int) -> bytes:
            if path.startswith("/9/"):
                time.sleep(2)
            return super().answer(name, path, number)

    with serving(Slow()) as server:
        settings = _settings(server, per_host={"connections": 2})
        context = multiprocessing.get_context("spawn")
        done = context.Queue()
        process = context.Process(target=fetch_into, args=(done, _shard(9), settings))
        process.start()
        until = time.monotonic() + 60
        while not any(b"/9/" in request for request in list(server.requests)) and time.monotonic() < until:
            time.sleep(0.05)
        assert any(b"/9/" in request for request in server.requests)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        results = list(fetch_images(_shard(0), settings))
    assert [fetched.status for fetched in results] == ["ok"] * ROWS


def test_a_coordinator_that_is_not_there_or_goes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PATIENCE_S", 0.0)
    monkeypatch.setattr(link, "RESTART_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv(COORDINATOR, f"127.0.0.1:{port}")
    with serving(Crowd(takes_s=0.1)) as server:
        settings = _settings(server, per_host={"connections": 1})
        with pytest.raises(CoordinatorError, match=rf"127\.0\.0\.1:{port} \(PARIS_COORDINATOR\).*paris coordinator"):
            list(fetch_images(_shard(0), settings))
        with coordinating(f"127.0.0.1:{port}") as address:
            assert address == f"127.0.0.1:{port}"
            fetched = fetch_images(_shard(0), settings)
            assert next(fetched).status == "ok"
        with pytest.raises(CoordinatorError, match=rf"127\.0\.0\.1:{port} .*cannot be reached"):
            list(fetched)


@pytest.mark.parametrize("robots", [False, True], ids=["", "and robots.txt"])
def test_one_that_is_started_anew_costs_no_row_and_is_told_who_asks(
    monkeypatch: pytest.MonkeyPatch, robots: bool
) -> None:
    class Slow(Crowd):
        def answer(self, name: str, path: str, number: int) -> bytes:
            if path == "/robots.txt" and robots:
                time.sleep(1.5)
            return super().answer(name, path, number)

    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"secret@127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv(COORDINATOR, address)
    crowd, settings = Slow(takes_s=0.1), {"per_host": {"connections": 2}}
    with serving(crowd) as server, ThreadPoolExecutor(1) as pool:
        with coordinating(address):
            fetched = pool.submit(_by_threads, _settings(server, **settings))
            until = time.monotonic() + 60
            while (crowd.paths.total() < (1 if robots else 20)) and time.monotonic() < until:
                time.sleep(0.01)
        time.sleep(0.3)
        begun = crowd.paths.total()
        with coordinating(address):
            time.sleep(1.0)  # before all are connected again, it knows of the permits of some
            crowd.most.clear()
            results = fetched.result(60)
    assert [each.status for each in results] == ["ok"] * WORKERS * ROWS
    assert begun < crowd.paths.total(), "it was gone while rows waited"
    rows = {path: count for path, count in crowd.paths.items() if not path.endswith("robots.txt")}
    assert set(rows.values()) == {1}
    assert crowd.most == {name: 2 for name in NAMES}


def test_who_has_not_the_key_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with coordinating() as address, serving(Crowd()) as server:
        key, host, port = parse_address(address)
        assert len(key) == 32
        monkeypatch.setenv(COORDINATOR, f"another@{host}:{port}")
        with pytest.raises(CoordinatorError, match="the connection ended"):
            list(fetch_images(_shard(0), _settings(server)))
        assert server.requests == []


@pytest.mark.parametrize("address", ["", "nowhere", "host:", "host:http", "host:99999", ":80", "a\nb@host:80"])
def test_an_address_is_a_host_with_a_port(address: str) -> None:
    with pytest.raises(UsageError, match="PARIS_COORDINATOR"):
        parse_address(address)
    assert parse_address("k@e@[::1]:7077") == ("k@e", "::1", 7077)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("secret@nowhere", "'KEY@nowhere' is no HOST:PORT"),
        ("sec\nret@host:80", "the key before @host:80 has characters"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_without_its_key(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse_address(address)
    assert "ret" not in str(refused.value)


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        with pytest.raises(CoordinatorError, match="cannot be listened at"), coordinating(f"127.0.0.1:{port}"):
            raise AssertionError("not reached")


def test_one_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COORDINATOR, raising=False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CoordinatorError, match=r"/bin/false -m .* ended at once \(exit code 1\)"):
        start_coordinator()


def test_an_empty_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COORDINATOR, "")
    with serving(Crowd()) as server:
        assert [fetched.status for fetched in fetch_images(_shard(0), _settings(server))] == ["ok"] * ROWS


def _keeps_alive(watch: Callable[[asyncio.StreamWriter], None], writer: asyncio.StreamWriter) -> int:
    watch(writer)
    return writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_both_ends_notice_when_the_other_machine_is_gone(agreed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[int] = []

    async def linked_once() -> None:
        async with link.linked(agreed):
            while len(watched) < 2:
                await asyncio.sleep(0.01)

    original = link.watch
    monkeypatch.setattr(link, "watch", lambda writer: watched.append(_keeps_alive(original, writer)))
    monkeypatch.setattr(coordinator, "watch", lambda writer: watched.append(_keeps_alive(original, writer)))
    asyncio.run(asyncio.wait_for(linked_once(), 60))
    assert watched == [1, 1]


@contextmanager
def _command(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "paris_assets.cli", "coordinator", *arguments]
    given = {**os.environ, **environment}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_machines_agree_through_a_process_that_they_all_know(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"secret@127.0.0.1:{unused.getsockname()[1]}"
    crowd = Crowd()
    with _command("--listen", address) as process, serving(crowd) as server:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{COORDINATOR}={address}\n"
        monkeypatch.setenv(COORDINATOR, address)
        with coordinated() as known:
            assert (known, start_coordinator()) == (address, address)
            results = _by_threads(_settings(server, per_host={"connections": 1}))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    assert [fetched.status for fetched in results] == ["ok"] * WORKERS * ROWS
    assert crowd.most == {name: 1 for name in NAMES}


@pytest.mark.parametrize(
    ("listen", "named", "listened"),
    [
        (None, "k@there:7077", ("k@there:7077", True)),
        ("0.0.0.0:7077", "k@there:7077", ("k@0.0.0.0:7077", True)),
        ("k@[::]:7077", "k@there:7077", ("k@[::]:7077", True)),
        ("own@0.0.0.0:7077", "k@there:7077", ("own@0.0.0.0:7077", False)),
        ("own@0.0.0.0:7077", None, ("own@0.0.0.0:7077", False)),
        ("0.0.0.0:7077", "there:7077", ("0.0.0.0:7077", False)),
    ],
)
def test_the_key_is_that_of_the_variable_unless_another_is_given(
    listen: str | None, named: str | None, listened: tuple[str, bool]
) -> None:
    assert _listened_at(listen, named) == listened


@pytest.mark.parametrize(("listen", "said"), [(None, "where to listen"), ("0.0.0.0", "no HOST:PORT")])
def test_where_to_listen_has_to_be_said(listen: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COORDINATOR, "")
    with pytest.raises(UsageError, match=said):
        coordinator_command(listen)


def _fetch_for_ever(settings: Ingest) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        list(fetch_images(_shard(0), settings))


def test_beside_the_ui_a_process_of_its_own_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COORDINATOR, raising=False)
    code = (
        "from paris_assets.runs.coordinator import start_coordinator; print(start_coordinator(), flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ui:
        assert ui.stdout is not None
        address = ui.stdout.readline().strip()
        monkeypatch.setenv(COORDINATOR, address)
        with serving(Crowd()) as server:
            settings = _settings(server)
            assert [fetched.status for fetched in fetch_images(_shard(0), settings)] == ["ok"] * ROWS
            ui.kill()
            ui.wait()
            monkeypatch.setattr(link, "PATIENCE_S", 0.0)
            monkeypatch.setattr(link, "RESTART_S", 0.0)
            with pytest.raises(CoordinatorError):
                _fetch_for_ever(settings)
