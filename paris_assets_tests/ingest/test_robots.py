"""What a robots.txt says, against servers on real sockets; what the names of agents mean in it, by itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from paris_assets.config import Ingest
from paris_assets.ingest.fetched import Fetched, is_asked_again, is_transient
from paris_assets.ingest.web import robots
from paris_assets.ingest.web.addresses import PublicResolver
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets.ingest.web.urls import parse_url
from paris_assets.settings.ingest import Robots
from paris_assets_tests.ingest.servers import HOST, UNASKED, Answer, Server, response, serving


def _site(text: bytes, head: str = "200 OK", *lines: str, more: Callable[[str], bytes] | None = None) -> Answer:
    """A server whose robots.txt is answered so, and all else with a picture, or as `more` says."""

    def answer(peer: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode()
        if path == "/robots.txt":
            peer.sendall(response(text, head, *lines))
        else:
            peer.sendall(more(path) if more else response())

    return answer


def _fetch(server: Server, *paths: str, **changes: Any) -> list[Fetched]:
    names = dict.fromkeys(("photos.example", "other.example"), f"127.0.0.1:{server.port}")
    given = {"timeout_s": 5, "retries": 1, "backoff_s": 0.02, "max_wait_s": 0.2, "resolve": names, **changes}
    urls = [path if "://" in path else HOST + path for path in paths]
    results = fetch_images(enumerate(urls), Ingest.model_validate(given))
    return sorted(results, key=lambda fetched: fetched.source_row)


def _asked(server: Server) -> list[str]:
    return [request.split()[1].decode() for request in server.requests]


def test_what_it_refuses_is_not_asked_for_and_it_is_asked_for_once() -> None:
    text = b"User-agent: *\nDisallow: /private/\nAllow: /private/open\nDisallow: /*.gif$\n"
    paths = ["/private/a.jpg", "/a.jpg", "/private/open.jpg", "/b.gif", "/b.gif?x"] * 20
    with serving(_site(text)) as server:
        results = _fetch(server, *paths)
    assert [fetched.reason for fetched in results] == ["robots", None, None, "robots", None] * 20
    assert {(fetched.attempts, fetched.http_status) for fetched in results if fetched.reason} == {(0, None)}
    assert _asked(server).count("/robots.txt") == 1
    assert _asked(server)[0] == "/robots.txt"
    assert len(server.requests) == 61


def test_it_is_not_read_where_it_is_not_obeyed_and_never_of_our_own_server() -> None:
    with serving(_site(b"User-agent: *\nDisallow: /")) as server:
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg")] == ["robots"]
        server.requests.clear()
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg", robots={"obey": False})] == [None]
        served = Ingest(resolve={"photos.example": "serve"})
        [fetched] = fetch_images([(0, f"{HOST}/a.jpg")], served, f"127.0.0.1:{server.port}")
    assert (fetched.reason, _asked(server)) == (None, ["/a.jpg", "/a.jpg"])


@pytest.mark.parametrize("head", ["404 Not Found", "401 Unauthorized", "403 Forbidden", "410 Gone", "304 Same"])
def test_one_that_is_not_there_allows_all(head: str) -> None:
    with serving(_site(b"User-agent: *\nDisallow: /", head)) as server:
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg", "/b.jpg")] == [None, None]


@pytest.mark.parametrize("head", ["500 Broken", "503 Busy", "429 Too Many Requests"])
def test_one_that_cannot_be_had_refuses_all_for_now(head: str) -> None:
    with serving(_site(b"", head)) as server:
        results = _fetch(server, *[f"/{row}.jpg" for row in range(200)])
    assert {fetched.reason for fetched in results} == {"robots_unreachable"}
    assert {fetched.http_status for fetched in results} == {int(head[:3])}
    assert set(_asked(server)) == {"/robots.txt"}
    assert len(server.requests) <= 2  # no row tries again what another one tried
    assert is_asked_again("robots_unreachable")
    assert not is_transient("robots_unreachable")


def test_one_that_answers_at_the_second_try_is_obeyed() -> None:
    asked: list[str] = []

    def answer(peer: socket.socket, request: bytes) -> None:
        asked.append(request.split()[1].decode())
        site = _site(b"", "503 Busy") if len(asked) == 1 else _site(b"User-agent: *\nDisallow: /b")
        site(peer, request)

    with serving(answer) as server:
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg", "/b.jpg")] == [None, "robots"]
    assert asked == ["/robots.txt", "/robots.txt", "/a.jpg"]


def test_where_nobody_answers_rows_fail_as_if_they_had_been_asked_for() -> None:
    with serving(lambda peer, _: peer.close()) as server:
        results = _fetch(server, *[f"/{row}.jpg" for row in range(50)])
        assert {fetched.reason for fetched in results} == {"connection"}
        assert len(server.requests) <= 2
        names = ("http://127.0.0.1/a.jpg", "http://10.0.0.1/a.jpg", "https://localhost/a.jpg")
        assert [fetched.reason for fetched in _fetch(server, *names)] == ["private_address"] * 3


def test_each_scheme_host_and_port_has_its_own_and_redirects_are_asked_for_too() -> None:
    def answer(peer: socket.socket, request: bytes) -> None:
        host, path = request.split(b"Host: ")[1].split(b"\r\n")[0].decode(), request.split()[1].decode()
        if path == "/robots.txt":
            refused = {"photos.example": b"/no", "other.example": b"/inner", "photos.example:81": b"/"}[host]
            peer.sendall(response(b"User-agent: *\nDisallow: " + refused))
        elif path == "/moved.jpg":
            peer.sendall(response(b"", "302 Found", "Location: http://other.example/inner/a.jpg"))
        else:
            peer.sendall(response())

    with serving(answer) as server:
        results = _fetch(server, "/moved.jpg", "/a.jpg", "http://other.example/a.jpg", f"{HOST}:81/a.jpg", "/no.jpg")
    assert [fetched.reason for fetched in results] == ["robots", None, None, "robots", "robots"]
    assert [fetched.attempts for fetched in results] == [1, 1, 1, 0, 0]
    assert _asked(server).count("/robots.txt") == 3
    assert "/inner/a.jpg" not in _asked(server)


def test_redirects_are_followed_five_times() -> None:
    for hops in (5, 6):

        def answer(peer: socket.socket, request: bytes, hops: int = hops) -> None:
            path = request.split()[1].decode()
            number = 0 if path == "/robots.txt" else int(path[2:]) if path.startswith("/r") else -1
            if number < 0:
                peer.sendall(response())
            elif number < hops:
                peer.sendall(response(b"", "301 Moved", f"Location: /r{number + 1}"))
            else:
                peer.sendall(response(b"User-agent: *\nDisallow: /"))

        with serving(answer) as server:
            # A longer chain is one that is not there.
            assert [fetched.reason for fetched in _fetch(server, "/a.jpg")] == ["robots" if hops == 5 else None]


@pytest.mark.parametrize("length", [True, False])
def test_of_a_long_one_the_first_500_kib_count(length: bool) -> None:
    rules = b"User-agent: *\nDisallow: /a\n"
    text = rules + b"#" * (robots.MAX_BYTES - len(rules)) + b"\nDisallow: /b\n" + b"#" * 4_000_000
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\n{f'Content-Length: {len(text)}' if length else 'X: y'}\r\n\r\n"

    def answer(peer: socket.socket, request: bytes) -> None:
        peer.sendall(head.encode() + text if b"/robots.txt" in request else response())

    with serving(answer) as server:
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg", "/b.jpg")] == ["robots", None]


def test_what_is_no_robots_txt_allows_all() -> None:
    for text in (b"", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 20, b"<!doctype html><title>Home</title>", b"\0" * 100):
        with serving(_site(text)) as server:
            assert [fetched.reason for fetched in _fetch(server, "/a.jpg")] == [None]


def test_a_crawl_delay_is_kept_and_one_too_long_is_a_refusal() -> None:
    at: list[float] = []

    def more(_: str) -> bytes:
        at.append(time.monotonic())
        return response()

    with serving(_site(b"User-agent: *\nCrawl-delay: 0.2\n", more=more)) as server:
        start = time.monotonic()
        assert [fetched.status for fetched in _fetch(server, *[f"/{row}.jpg" for row in range(6)])] == ["ok"] * 6
    assert at[-1] - start >= 5 * 0.2  # a busy machine may see single requests late
    with serving(_site(b"User-agent: *\nRequest-rate: 1/5m\n")) as server:
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg")] == ["robots"]
        assert _asked(server) == ["/robots.txt"]
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg", robots={"max_crawl_delay_s": 300})] == [None]


@pytest.mark.parametrize(
    ("text", "changes", "refused"),
    [
        ("User-agent: paris_assets\nDisallow: /", {}, True),
        ("User-agent: PARIS_Assets\nDisallow: /", {}, True),
        ("User-agent: paris_assets/0.1\nDisallow: /", {}, True),
        ("User-agent: other\nDisallow: /", {}, False),
        ("User-agent: assets\nDisallow: /", {}, False),
        ("User-agent: *\nDisallow: /\nUser-agent: paris_assets\nAllow: /", {}, False),
        ("User-agent: *\nAllow: /\n\nUser-agent: img2dataset\nDisallow: /", {}, True),
        ("User-agent: *\rAllow: /\r\rUser-agent: img2dataset\rDisallow: /", {}, True),
        ("User-agent: *\nAllow: /\n\nUser agent img2dataset*\nDisallow: /", {}, True),
        ("User-agent: img2dataset\nDisallow: /\n\nUser-agent: paris_assets\nAllow: /", {}, False),
        ("User-agent: img2dataset\nDisallow: /", {"robots": Robots(agents=[])}, False),
        ("User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /", {}, False),
        ("User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /", {"robots": Robots(agents=["ccbot"])}, True),
        ("User-agent: mybot\nDisallow: /", {"user_agent": "Mozilla/5.0 (compatible; MyBot/2.1)"}, True),
        ("User-agent: paris_assets\nDisallow: /", {"user_agent": "MyBot/2.1"}, False),
    ],
)
def test_whose_rules_count(text: str, changes: dict[str, Any], refused: bool) -> None:
    rules = robots.Rules(["text", text], Ingest(**changes))
    assert rules.refuses(parse_url("http://a.example/b.jpg")) == (robots.Refusal("robots") if refused else None)


def test_who_asks_says_so() -> None:
    with serving(_site(b"")) as server:
        _fetch(server, "/a.jpg")
        _fetch(server, "/a.jpg", user_agent="MyBot/2.1", contact="https://example.org/bot?a=1")
        _fetch(server, "/a.jpg", contact="me@example.org")
        lines = [request.split(b"User-Agent: ")[1].split(b"\r\n")[0].decode() for request in server.requests]
    name = Ingest().agent
    assert name.startswith("paris_assets/0.")
    said = [name, "MyBot/2.1 (+https://example.org/bot?a=1)", f"{name} (+me@example.org)"]
    assert lines == [line for line in said for _ in range(2)]  # robots.txt hears the same


@pytest.mark.parametrize("contact", ["", "me", "a b@c", "javascript:x", "https://a) evil", "a@b\r\nX: y"])
def test_a_contact_is_a_page_or_a_mail_address(contact: str) -> None:
    with pytest.raises(ValueError, match="contact"):
        Ingest(contact=contact)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (["TDM-Reservation: 1"], "opt_out"),
        (["TDM-Reservation: 0"], None),
        (["X-Robots-Tag: none"], "opt_out"),
        (["X-Robots-Tag: googlebot: none"], None),
        (["X-Robots-Tag: paris_assets: noai"], "opt_out"),
    ],
)
def test_fields_of_an_answer_reserve_rights(fields: list[str], reason: str | None) -> None:
    with serving(_site(b"", more=lambda _: response(b"picture", "200 OK", *fields))) as server:
        assert [fetched.reason for fetched in _fetch(server, "/a.jpg")] == [reason]
        allowed = _fetch(server, "/a.jpg", disallowed_header_directives=[])
    assert [fetched.reason for fetched in allowed] == [None]


def test_a_name_is_looked_up_once_for_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: str, *_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]

    def nowhere(*_: object) -> socket.socket:
        return socket.socketpair()[0]  # which connects to nothing

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(PublicResolver, "open_socket", nowhere)
    urls = [f"http://{name}.example/{row}.jpg" for row in range(10) for name in ("a", "b")]
    settings = Ingest(timeout_s=5, retries=0, robots=UNASKED)
    assert {fetched.reason for fetched in fetch_images(enumerate(urls), settings)} == {"connection"}
    assert sorted(asked) == ["a.example", "b.example"]
    asked.clear()
    list(fetch_images(enumerate(urls[:10]), settings.model_copy(update={"dns_cache_s": 0.0})))
    assert len(asked) > 2
