from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from paris_assets.config import Ingest
from paris_assets.demo.server import FolderServer
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets_tests.ingest.servers import HOST, UNASKED

BODY = b"x" * 1000
BEHAVIOURS: dict[str, dict[str, Any]] = {
    "/late.jpg": {"delay_s": 30},
    "/once.jpg": {"status": 500, "fail_first": 1},
    "/busy.jpg": {"status": 429, "fail_first": 1, "headers": {"Retry-After": "1"}},
    "/closed.jpg": {"status": 503, "headers": {"Retry-After": "3600"}},
    "/down.jpg": {"status": 502},
    "/gone.jpg": {"status": 404},
    "/forbidden.jpg": {"status": 403},
    "/unmodified.jpg": {"status": 304},
    "/huge.jpg": {"size_bytes": 50_000_000},
    "/endless.jpg": {"size_bytes": 50_000_000, "chunked": True},
    "/limit.jpg": {"size_bytes": 5000, "chunked": True},
    "/over.jpg": {"size_bytes": 5001, "chunked": True},
    "/loop.jpg": {"redirect": "/loop.jpg"},
    "/moved.jpg": {"redirect": "ok.jpg#part"},
    "/two.jpg": {"redirect": "/moved.jpg"},
    "/inside.jpg": {"redirect": "http://10.0.0.1/"},
    "/decimal.jpg": {"redirect": "http://2130706433/"},
    "/mapped.jpg": {"redirect": "//[::ffff:127.0.0.1]/ok.jpg"},
    "/local.jpg": {"redirect": "http://localhost/ok.jpg"},
    "/file.jpg": {"redirect": "file:///etc/hostname"},
    "/drop.jpg": {"drop": True},
    "/empty.jpg": {"size_bytes": 0},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderServer]:
    folder = tmp_path_factory.mktemp("served")
    for name in ("ok", "once", "busy"):
        (folder / f"{name}.jpg").write_bytes(BODY)
    for number in range(60):
        (folder / f"{number}.jpg").write_bytes(BODY)
    (folder / "server.json").write_text(json.dumps(BEHAVIOURS))
    with FolderServer(folder) as running:
        yield running


def _settings(**changes: Any) -> Ingest:
    given = {"max_bytes": 5000, "timeout_s": 2, "retries": 1, "backoff_s": 0.01, "resolve": {"photos.example": "serve"}}
    return Ingest(**{**given, "robots": UNASKED, **changes})


def _one(server: FolderServer, url: str | None, **changes: Any) -> Fetched:
    [fetched] = fetch_images(
        [(7, HOST + url if url and url.startswith("/") else url)], _settings(**changes), server.address
    )
    assert fetched.source_row == 7
    return fetched


@pytest.mark.parametrize(
    ("url", "reason", "http_status", "attempts"),
    [
        ("/gone.jpg", "http_404", 404, 1),
        ("/forbidden.jpg", "http_403", 403, 1),
        ("/unmodified.jpg", "http_304", 304, 1),
        ("/down.jpg", "http_502", 502, 2),
        ("/closed.jpg", "http_503", 503, 1),  # asks to come back in an hour
        ("/huge.jpg", "too_large", 200, 1),
        ("/endless.jpg", "too_large", 200, 1),
        ("/over.jpg", "too_large", 200, 1),
        ("/empty.jpg", "empty_body", 200, 1),
        ("/loop.jpg", "too_many_redirects", 302, 1),
        ("/inside.jpg", "private_address", None, 1),
        ("/decimal.jpg", "private_address", None, 1),
        ("/mapped.jpg", "private_address", None, 1),
        ("/local.jpg", "private_address", None, 1),
        ("/file.jpg", "bad_scheme", None, 1),
        ("/drop.jpg", "connection", None, 2),
        ("http://10.0.0.1/a.jpg", "private_address", None, 1),
        ("http://127.1/a.jpg", "private_address", None, 1),
        ("http://0x7f000001/a.jpg", "private_address", None, 1),
        ("http://[::ffff:10.0.0.1]/a.jpg", "private_address", None, 1),
        ("http://①②⑦.0.0.1/a.jpg", "private_address", None, 1),
        ("http://localhost/a.jpg", "private_address", None, 1),
        ("http://127。0。0。1/a.jpg", "private_address", None, 1),
        ("http://１２７.0.0.1/a.jpg", "private_address", None, 1),
        ("http://photos.example@127.0.0.1/a.jpg", "private_address", None, 1),
        ("http://photos.example:80@[::1]:80/a.jpg", "private_address", None, 1),
        ("http://127.0.0.1#@photos.example/a.jpg", "private_address", None, 1),
        ("http://[::1%25lo]/a.jpg", "private_address", None, 1),
        ("http://[v1.::1]/a.jpg", "bad_scheme", None, 1),
        ("http://169.254.169.254/latest/meta-data", "private_address", None, 1),
        ("http://127.0.0.1\\@photos.example/a.jpg", "bad_scheme", None, 1),
        ("http://photos.example\\@127.0.0.1/a.jpg", "bad_scheme", None, 1),
        ("http:127.0.0.1/a.jpg", "bad_scheme", None, 1),
        ("http:///127.0.0.1/a.jpg", "bad_scheme", None, 1),
        ("javascript:alert(1)", "bad_scheme", None, 1),
        ("gopher://photos.example/", "bad_scheme", None, 1),
        ("s3://photos.example/a.jpg", "bad_scheme", None, 1),
        ("HTTP://10.0.0.1", "private_address", None, 1),
        (f"http://{'a' * 64}.example/", "connection", None, 1),
        ("http://a..example/", "connection", None, 1),
        ("file:///etc/hostname", "bad_scheme", None, 1),
        ("ftp://photos.example/a.jpg", "bad_scheme", None, 1),
        ("data:image/png;base64,AAAA", "bad_scheme", None, 1),
        ("photos.example/ok.jpg", "bad_scheme", None, 1),
        ("http://", "bad_scheme", None, 1),
        ("http://[::1/a.jpg", "bad_scheme", None, 1),
        ("http://photos.example:99999/a.jpg", "bad_scheme", None, 1),
        ("", "no_url", None, 1),
        (" \n", "no_url", None, 1),
        (None, "no_url", None, 1),
    ],
)
def test_failures_have_their_own_reason(
    server: FolderServer, url: str | None, reason: str, http_status: int | None, attempts: int
) -> None:
    fetched = _one(server, url)
    assert (fetched.status, fetched.reason, fetched.http_status) == ("failed", reason, http_status)
    assert fetched.attempts == attempts
    assert fetched.body is None


@pytest.mark.parametrize(("url", "attempts"), [("/ok.jpg", 1), ("/moved.jpg", 1), ("/two.jpg", 1), (" /ok.jpg", 1)])
def test_images_arrive_whole(server: FolderServer, url: str, attempts: int) -> None:
    fetched = _one(server, url if url.startswith("/") else f" {HOST}{url.strip()} ")
    assert fetched == Fetched(7, "ok", None, 200, attempts, BODY)


def test_a_body_of_exactly_the_limit_is_accepted(server: FolderServer) -> None:
    assert len(_one(server, "/limit.jpg").body or b"") == 5000


def test_a_404_is_asked_once_and_a_500_again(server: FolderServer) -> None:
    server.requests.clear()
    _one(server, "/gone.jpg", retries=5)
    _one(server, "/down.jpg", retries=3)
    recovered = _one(server, "/once.jpg", retries=3)
    assert (server.requests["/gone.jpg"], server.requests["/down.jpg"], server.requests["/once.jpg"]) == (1, 4, 2)
    assert (recovered.status, recovered.attempts) == ("ok", 2)


def test_retry_after_is_waited_for(server: FolderServer) -> None:
    start = time.monotonic()
    assert _one(server, "/busy.jpg").status == "ok"
    assert time.monotonic() - start >= 1


def test_backoff_doubles(server: FolderServer) -> None:
    start = time.monotonic()
    assert _one(server, "/down.jpg", retries=3, backoff_s=0.1).attempts == 4
    assert time.monotonic() - start >= 0.7  # 0.1 + 0.2 + 0.4


def test_a_late_answer_is_a_timeout_and_is_tried_again(server: FolderServer) -> None:
    server.requests.clear()
    start = time.monotonic()
    fetched = _one(server, "/late.jpg", timeout_s=0.2)
    assert (fetched.reason, fetched.attempts, server.requests["/late.jpg"]) == ("timeout", 2, 2)
    assert time.monotonic() - start < 20


def test_redirects_are_counted(server: FolderServer) -> None:
    assert _one(server, "/two.jpg", max_redirects=2).status == "ok"
    assert _one(server, "/two.jpg", max_redirects=1).reason == "too_many_redirects"
    assert _one(server, "/ok.jpg", max_redirects=0).status == "ok"


def test_a_refused_connection_is_tried_again(server: FolderServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        fetched = _one(server, "/ok.jpg", resolve={"photos.example": f"127.0.0.1:{unused.getsockname()[1]}"})
    assert (fetched.reason, fetched.http_status, fetched.attempts) == ("connection", None, 2)


def test_a_name_that_does_not_exist_is_asked_once(server: FolderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fetched = _one(server, "http://nowhere.example/a.jpg", retries=3)
    assert (fetched.reason, fetched.attempts) == ("connection", 1)


def test_the_mapped_name_does_not_open_the_loopback_address(server: FolderServer) -> None:
    assert _one(server, f"http://{server.address}/ok.jpg").reason == "private_address"


def test_an_address_of_ones_own_is_allowed_by_name_in_each_spelling_and_with_any_port(server: FolderServer) -> None:
    allowed = {"127.0.0.1": server.address, "::1": server.address}
    for url in (f"http://{server.address}/ok.jpg", "http://2130706433/ok.jpg", "http://[::1]:99/ok.jpg"):
        assert _one(server, url, resolve=allowed).body == BODY
    for url in ("http://127.0.0.2/ok.jpg", "http://[::ffff:127.0.0.1]/ok.jpg", "http://localhost/ok.jpg"):
        assert _one(server, url, resolve=allowed).reason == "private_address"
    assert _one(server, "http://[::1]/ok.jpg", resolve={"[::1]": "serve"}).body == BODY


def test_a_body_that_ends_early_is_a_connection_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                peer, _ = listener.accept()
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        settings = _settings(resolve={"photos.example": f"127.0.0.1:{listener.getsockname()[1]}"})
        [fetched] = fetch_images([(0, f"{HOST}/a.jpg")], settings)
        thread.join()
    assert (fetched.reason, fetched.attempts) == ("connection", 2)


def test_a_compressed_bomb_is_cut_off_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            peer.recv(4096)
            head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
            with contextlib.suppress(ConnectionError):
                peer.sendall(head.encode() + bomb)
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        settings = _settings(max_bytes=100_000, resolve={"photos.example": f"127.0.0.1:{listener.getsockname()[1]}"})
        [fetched] = fetch_images([(0, f"{HOST}/a.jpg")], settings)
        thread.join()
    assert (fetched.reason, fetched.attempts) == ("too_large", 1)


def test_a_slow_consumer_holds_back_requests_and_causes_no_timeouts(server: FolderServer) -> None:
    server.requests.clear()
    results = fetch_images(
        [(number, f"{HOST}/{number}.jpg") for number in range(60)],
        _settings(concurrency=4, timeout_s=1, retries=0),
        server.address,
    )
    first = next(results)
    time.sleep(1.2)
    # One is in the consumer's hands: its slot counts as taken until it asks for the next.
    assert sum(server.requests.values()) == 4
    rest = list(results)
    assert [fetched.status for fetched in [first, *rest]] == ["ok"] * 60
    assert sorted(fetched.source_row for fetched in [first, *rest]) == list(range(60))


def test_leaving_early_stops_the_requests(server: FolderServer) -> None:
    before = threading.active_count()
    results = fetch_images([(0, f"{HOST}/ok.jpg"), (1, f"{HOST}/late.jpg")], _settings(timeout_s=60), server.address)
    assert next(results).source_row == 0
    start = time.monotonic()
    results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 20
    assert threading.active_count() == before


def test_an_error_in_the_rows_reaches_the_consumer(server: FolderServer) -> None:
    def rows() -> Iterator[tuple[int, str]]:
        yield 0, f"{HOST}/ok.jpg"
        raise KeyError("broken table")

    with pytest.raises(BaseExceptionGroup) as caught:
        list(fetch_images(rows(), _settings(), server.address))
    assert caught.group_contains(KeyError, match="broken table")
