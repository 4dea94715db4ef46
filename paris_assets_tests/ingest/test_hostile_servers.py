"""Servers that redirect inwards, answer without end or lie, on real sockets of the loopback interface."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.config import Ingest
from paris_assets.ingest.web.addresses import PublicResolver
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets_tests.ingest.servers import HOST, Server, fetch, forever, replies, response, serving

REASONS = {
    "timeout", "connection", "too_large", "not_an_image", "bad_scheme", "private_address", "too_many_redirects",
    "empty_body", "no_url", "bad_answer", "bad_encoding",
}  # fmt: skip
# Loopback in every notation; `{port}` is that of a server which would answer.
INWARDS = [
    "http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://2130706433:{port}/", "http://0177.0.0.1:{port}/",
    "http://0x7f.1:{port}/", "http://0:{port}/", "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/", "http://[64:ff9b::127.0.0.1]:{port}/", "http://[2002:7f00:1::]:{port}/",
    "http://127.0.0.1.:{port}/", "http://localhost:{port}/", "http://localhost.:{port}/", "http://a@127.0.0.1:{port}/",
    "http://photos.example:{port}@127.0.0.1:{port}/", "http://127。0。0。1:{port}/", "//127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/", "http://①②⑦.1:{port}/", "http://%31%32%37.0.0.1:{port}/", "http://loc%61lhost:{port}/",
    "http://LOCALHOST:{port}/", "http://ⓛocalhost:{port}/", "http://127\u00ad.0.0.1:{port}/",
]  # fmt: skip


@pytest.fixture(scope="module")
def inner() -> Iterator[Server]:
    """What must not be reached, on IPv4 and, where there is one, on IPv6."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(replies(response(b"secret"))))
        with contextlib.suppress(OSError):
            listener = socket.create_server(("::1", server.port), family=socket.AF_INET6)
            six = Server(listener, server.answer)
            six.requests = server.requests
            stack.callback(six.close)
        yield server


@pytest.mark.parametrize("url", [url for url in INWARDS if not url.startswith("//")])
def test_no_notation_reaches_this_machine(inner: Server, url: str) -> None:
    inner.requests.clear()
    fetched = fetch(inner, url.format(port=inner.port))
    assert (fetched.reason, fetched.body, inner.requests) == ("private_address", None, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_reaches_this_machine(inner: Server, status: int) -> None:
    inner.requests.clear()
    targets = [target.format(port=inner.port) for target in INWARDS]
    for target in targets:
        with serving(replies(response(b"", f"{status} Moved", f"Location: {target}"))) as server:
            fetched = fetch(server)
            assert (fetched.reason, len(server.requests)) == ("private_address", 1), target
    assert inner.requests == []


def test_a_chain_of_redirects_is_checked_to_its_end(inner: Server) -> None:
    hops = {"/a.jpg": "/b.jpg", "/b.jpg": "//other.example/c.jpg", "/c.jpg": f"http://127.0.0.1:{inner.port}/"}

    def answer(peer: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode()
        peer.sendall(response(b"", "302 Found", f"Location: {hops[path]}"))

    inner.requests.clear()
    with serving(answer) as server:
        assert fetch(server).reason == "private_address"
        assert [request.split()[1] for request in server.requests] == [b"/a.jpg", b"/b.jpg", b"/c.jpg"]
    assert inner.requests == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://photos.example/", "data:,x", "gopher://photos.example"]
)
def test_redirects_stay_with_http(target: str) -> None:
    with serving(replies(response(b"", "302 Found", f"Location: {target}"))) as server:
        assert fetch(server).reason == "bad_scheme"


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> Iterator[tuple[list[Any], list[Any]]]:
    """(names asked for, addresses connected to), with a name server that gives these answers in turn and a network
    that refuses what is not loopback."""
    asked: list[Any] = []
    reached: list[Any] = []
    opened = PublicResolver.open_socket

    def resolve(host: str, port: int, *args: object, **options: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        given = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in given]

    def note(self: PublicResolver, family: int, kind: int, protocol: int, target: tuple[str, int]) -> socket.socket:
        checked = opened(self, family, kind, protocol, target)
        reached.append(target)
        return checked if target[0] == "127.0.0.1" else socket.socketpair()[0]  # which connects to nothing

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(PublicResolver, "open_socket", note)
    yield asked, reached


def test_a_name_is_resolved_once_and_the_connection_goes_there(inner: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    inner.requests.clear()
    with recorded(monkeypatch, ["93.184.216.34"], ["127.0.0.1"]) as (asked, reached):
        assert fetch(inner, f"http://rebind.example:{inner.port}/").reason == "connection"
    assert asked == ["rebind.example"]
    assert reached == [("93.184.216.34", inner.port)]
    assert inner.requests == []


def test_an_answer_that_turns_private_is_refused_at_the_next_attempt(
    inner: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner.requests.clear()
    with recorded(monkeypatch, ["93.184.216.34"], ["93.184.216.34", "127.0.0.1"]) as (asked, reached):
        urls = [(row, f"http://rebind{row // 2}.example:{inner.port}/") for row in range(4)]
        reasons = {f.source_row: f.reason for f in fetch_images(urls, Ingest(retries=0, concurrency=1))}
    assert set(asked) == {"rebind0.example", "rebind1.example"}
    assert {address for address, _ in reached} == {"93.184.216.34"}
    assert [reasons[row] for row in range(4)] == ["connection"] * 2 + ["private_address"] * 2
    assert inner.requests == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(replies(response(b"proxied"))) as proxy, serving(replies(response())) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch(server).body == b"picture"
        assert fetch(server, "http://10.0.0.1/").reason == "private_address"
        assert proxy.requests == []


def test_a_netrc_of_the_user_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "netrc").write_text("machine photos.example login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(replies(response())) as server:
        assert fetch(server).status == "ok"
    assert b"Authorization" not in server.requests[0]


ENDLESS = {
    "body": forever(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)),
    "chunks": forever(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + bytes(65_536) + b"\r\n"),
    "headers": forever(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"y" * 1000 + b"\r\n"),
    "header": forever(b"HTTP/1.1 200 OK\r\nX-Long: ", b"y" * 65_536),
    "status": forever(b"HTTP/1.1 200 ", b"y" * 65_536),
    "trailers": forever(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n", b"X-More: " + b"y" * 1000 + b"\r\n"
    ),
    "drip": forever(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x", 0.05),
    "continue": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "silence": lambda peer, _: peer.recv(1),
}
ENDS_WITH = {"body": "too_large", "chunks": "too_large", "drip": "timeout", "continue": "timeout", "silence": "timeout"}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_without_end_ends_in_bounded_time_and_memory(kind: str) -> None:
    tracemalloc.start()
    start = time.monotonic()
    try:
        stop = threading.Event()

        def answer(peer: socket.socket, request: bytes) -> None:
            if not stop.is_set():
                ENDLESS[kind](peer, request)

        with serving(answer) as server:
            fetched = fetch(server, timeout_s=0.5 if ENDS_WITH.get(kind) == "timeout" else 10)
            stop.set()
        assert fetched.reason == ENDS_WITH.get(kind, "bad_answer")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 20


ZIPPED = gzip.compress(bytes(300_000_000), 9)


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "deflate", "br", "zstd", "chunked"])
def test_a_compressed_answer_counts_as_what_it_becomes(coding: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(ZIPPED)}\r\n\r\n".encode()
    content = head + ZIPPED
    if coding == "chunked":
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
        content = head + b"%x\r\n" % len(ZIPPED) + ZIPPED + b"\r\n0\r\n\r\n"
    tracemalloc.start()
    try:
        with serving(replies(content)) as server:
            fetched = fetch(server)
        assert fetched.reason == "too_large"
        assert fetched.body is None
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "reason", "http_status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", "connection", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", "connection", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nshort", "bad_answer", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 3\r\n\r\nshort", "bad_answer", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nshort", "too_large", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nshort", "bad_answer", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk", "bad_answer", 200),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\nshort", "bad_answer", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\xff" + bytes(99), "bad_encoding", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nno brotli", "bad_encoding", 200),
        (b"HTTP/1.1 -12 OK\r\n\r\n", "bad_answer", None),
        (b"no answer at all\r\n\r\n", "bad_answer", None),
        (b"", "connection", None),
        (b"HTTP/1.1 200 OK\r\n", "connection", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n", "connection", 200),
        (b"HTTP/1.1 302 Found\r\nLocation: /b.jpg\r\n", "connection", 302),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\nmore", "http_101", 101),
        (b"HTTP/1.1 404 Gone\r\nContent-Length: 1000\r\n\r\nshort", "http_404", 404),
        (b"HTTP/1.1 404 Gone\r\nTransfer-Encoding: chunked\r\n\r\nno chunk", "http_404", 404),
    ],
)
def test_an_answer_that_cannot_be_read_is_no_image(content: bytes, reason: str, http_status: int | None) -> None:
    with serving(replies(content)) as server:
        fetched = fetch(server)
    assert (fetched.reason, fetched.http_status, fetched.body) == (reason, http_status, None)


def test_hosts_learn_nothing_of_each_other() -> None:
    def answer(peer: socket.socket, request: bytes) -> None:
        there = f"http://me:secret@other.example/{len(server.requests)}.jpg"
        head = ("200 OK",) if len(server.requests) > 2 else ("302 Found", f"Location: {there}")
        peer.sendall(response(b"picture", *head, "Set-Cookie: id=1; Domain=example; Path=/", "Set-Cookie: id=2"))

    with serving(answer) as server:
        assert fetch(server, "http://me:secret@photos.example/a.jpg").body == b"picture"
    assert len(server.requests) == 3
    for request in server.requests:
        names = {line.split(b":")[0] for line in request.splitlines()[1:] if line}
        assert names == {b"Host", b"User-Agent", b"Accept", b"Accept-Encoding"}


@pytest.mark.parametrize("user", ["me:secret", "中:x", "a%3Ab", "me", ":", "a@b:c"])
def test_credentials_in_an_address_are_not_used(user: str) -> None:
    with serving(replies(response())) as server:
        assert fetch(server, f"http://{user}@photos.example/a.jpg").body == b"picture"
        with serving(
            replies(
                response(
                    b"", "302 Found", f"Location: http://{user.encode('ascii', 'replace').decode()}@photos.example/"
                )
            )
        ) as other:
            fetch(other, max_redirects=1)
    assert not any(b"Authorization" in request for request in [*server.requests, *other.requests])


def test_a_url_cannot_add_lines_to_the_request() -> None:
    urls = [f"{HOST}/a\r\nX-Evil: 1", f"{HOST}/?q=\r\n\r\nGET /b", f"{HOST}/%0d%0aX-Evil:%201", f"{HOST}/a b\tc"]
    urls += ["http://me\r\nX-Evil: 1@photos.example/", "http://photos.example\r\nX-Evil: 1/"]
    with serving(replies(response())) as server:
        for url in urls:
            fetch(server, url)
        moved = serving(replies(response(b"", "302 Found", f"Location: {HOST}/%0d%0aX-Evil:%201")))
        with moved as other:
            fetch(other, max_redirects=1)
    assert len(server.requests) >= 4
    for request in [*server.requests, *other.requests]:
        names = [line.split(b":")[0] for line in request.splitlines()[1:] if line]
        assert set(names) <= {b"Host", b"User-Agent", b"Accept", b"Accept-Encoding"}
        assert request.count(b"\r\n\r\n") == 1


def test_headers_of_an_answer_cannot_stop_a_shard() -> None:
    odd = ["²", "Wed, 21 Oct 2015 07:28:00 +9999999999999999", "9" * 5000, "\udcff"]
    for value in odd:
        content = f"HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
        with serving(replies(content.encode(errors="surrogateescape"))) as server:
            assert fetch(server, retries=0).reason == "http_503"
    for place in (b"\xff\xfe\xed\xa0\x80", b"", b"http://[", b"//", b"\x00", b"http://a:b:c/"):
        with serving(replies(b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n")) as server:
            assert fetch(server).reason in REASONS


ATOMS = [
    "a", "photos.example", ".", "..", ":", "@", "/", "?", "#", "%", "%3A", "%40", "%2F", "%00", "\0", "\r\n", "[", "]",
    "::1", "127.0.0.1", "中", "ß", "\udcff", "xn--", "-", "*", "80", "99999", "0x7f", "\\", "%25eth0", " ", "é",
    "a" * 64, "‥", "。", "\u200d", "http", "//", "'", '"', "<", "{", "|", "^", "+", "=", "&",
]  # fmt: skip
URLS = st.tuples(
    st.sampled_from(["http://", "https://", "//", ""]), st.lists(st.sampled_from(ATOMS), min_size=1, max_size=6)
).map(lambda parts: parts[0] + "".join(parts[1]))


@settings(deadline=None, max_examples=25)
@given(urls=st.lists(URLS, min_size=20, max_size=60))
def test_no_url_stops_a_shard(urls: list[str]) -> None:
    """Every row has a result with a reason of the contract; names are taken apart as ever, but no server is asked."""
    resolve = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch, serving(replies(response())) as server:
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, family=0, type=0, proto=0, flags=0: resolve(
                host, port, family, type, proto, socket.AI_NUMERICHOST
            ),
        )
        limits = Ingest(timeout_s=5, retries=0, resolve={"photos.example": f"127.0.0.1:{server.port}"})
        results = list(fetch_images(enumerate(urls), limits))
    assert sorted(fetched.source_row for fetched in results) == list(range(len(urls)))
    assert {fetched.reason for fetched in results} <= REASONS | {None}
