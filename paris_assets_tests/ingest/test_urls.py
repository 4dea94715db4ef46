"""Urls are sent as written; expectations are what curl and browsers send (the WHATWG url standard, RFC 3986)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.ingest.web.urls import BadUrl, Url, parse_url, redirected

AS_WRITTEN = [
    "/unsafe/300x200/smart/http%3A%2F%2Fcdn.example%2Fa.jpg", "/q.jpg?x-signature=rX7A%2FXCC2w%3D", "/foo%27bar.jpg",
    "/a%281%29.jpg", "/a%40b%2Cc.jpg", "/%7Euser/a.jpg", "/a%2fb.jpg", "/q.jpg?u=http%3A%2F%2Fx.example%2Fa.jpg&w=3",
    "/q.jpg?s=1%2C2", "/a+b.jpg?c+d", "//a//b.jpg", "/100%.jpg?50%", "/%zz", "/a'(b)*!,;:@&=$~.jpg", "/a[1]|^\\b.jpg",
    "/a.jpg?", "/a.jpg?b?c", "/a%2e%2e/b", "/a.jpg?b=../c/./d", "/?a={b}|`'", "/a/...", "/%e4%BD%A0",
]  # fmt: skip
QUOTED = {
    "/a b.jpg?c d": "/a%20b.jpg?c%20d",
    "/é.jpg?中": "/%C3%A9.jpg?%E4%B8%AD",
    '/a"<>`{b}': "/a%22%3C%3E%60%7Bb%7D",
    '/?"<>': "/?%22%3C%3E",
    "/a\x01\x7fb": "/a%01%7Fb",
    "/a\r\n\tb": "/ab",  # a line break of the page, as browsers see it
    "/a.jpg#part?x": "/a.jpg",
    "": "/",
    "?a=b": "/?a=b",
    "/a/../b/./c.jpg": "/b/c.jpg",
    "/../../a": "/a",
    "/a/b/..": "/a/",
    "/a/.": "/a/",
    "//a/..//b": "///b",
}


@pytest.mark.parametrize("target", AS_WRITTEN)
def test_what_may_be_sent_is_sent_as_written(target: str) -> None:
    assert parse_url(f"http://photos.example{target}").target == target
    assert redirected(Url("http", "a.example", 80, "/"), target.encode()).target == target or target.startswith("//")
    assert redirected(Url("http", "a.example", 80, "/"), f"http://b.example{target}".encode()).target == target


@pytest.mark.parametrize(("written", "sent"), QUOTED.items())
def test_only_what_may_not_be_sent_is_quoted(written: str, sent: str) -> None:
    assert parse_url(f"https://photos.example{written}").target == sent


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("HTTP://Photos.Example", "http://photos.example"),
        (" \n http://photos.example\t ", "http://photos.example"),
        ("http://photos.example:80", "http://photos.example"),
        ("http://photos.example:", "http://photos.example"),
        ("https://photos.example:443", "https://photos.example"),
        ("https://photos.example:080", "https://photos.example:80"),
        ("http://me:se@cret@photos.example:8080", "http://photos.example:8080"),
        ("http://photos.example./", "http://photos.example"),
        ("http://my_photos.example", "http://my_photos.example"),
        ("http://-a-.example", "http://-a-.example"),
        ("http://MÜNCHEN.example", "http://xn--mnchen-3ya.example"),
        ("http://mu\u0308nchen.example", "http://xn--mnchen-3ya.example"),
        ("http://m%C3%BCnchen.example", "http://xn--mnchen-3ya.example"),
        ("http://straße.example", "http://xn--strae-oqa.example"),
        ("http://XN--MNCHEN-3YA.example", "http://xn--mnchen-3ya.example"),
        ("http://日本。example", "http://xn--wgv71a.example"),
        ("http://ｐｈｏｔｏｓ．ｅｘａｍｐｌｅ", "http://photos.example"),
        ("http://a_ü.example", "http://xn--a_-yka.example"),
        ("http://❤.example", "http://xn--qei.example"),
        ("http://ph\u00adotos.example", "http://photos.example"),
        ("http://8.8.8.8", "http://8.8.8.8"),
        ("http://134744072", "http://8.8.8.8"),
        ("http://①.1", "http://1.0.0.1"),
        ("http://[2606:4700:0::1111]:81", "http://[2606:4700::1111]:81"),
        ("http://[2606:4700::1%25eth0]", "http://[2606:4700::1]"),
        ("http://010.8.8.8", "http://8.8.8.8"),
        ("http://βόλος.example", "http://xn--nxasmm1c.example"),
    ],
)
def test_a_host_in_every_spelling_that_browsers_take(written: str, origin: str) -> None:
    assert parse_url(written).origin == origin


@pytest.mark.parametrize(
    "written",
    [
        "photos.example/a.jpg", "//photos.example/a.jpg", "/a.jpg", "ftp://photos.example/", "http:", "http:/a", "http://",
        "http:///a", "http://:80/", "http://photos.example:99999", "http://photos.example:0", "http://photos.example:x",
        "http://[::1", "http://[]", "http://[v1.1]", "http://a[b]", "http://a b/", "http://a\\@b/", "http://a^b/",
        "http://a%00b/", "http://%ff/", "http://a%2Fb/", "http://./", "http://me@/", "http://a:b:80/", "http://\ufffe.example",
        "http://a.example/\ud800",
    ],
)  # fmt: skip
def test_what_names_nothing_to_fetch_is_refused(written: str) -> None:
    with pytest.raises(BadUrl):
        parse_url(written)


def test_a_url_that_no_server_reads_is_refused() -> None:
    assert len(parse_url("http://a.example/" + "é" * 100_000).target) == 600_001
    for text in ("http://a.example/" + "a" * 1_000_000, "http://a.example/?" + "é" * 200_000):
        with pytest.raises(BadUrl, match="characters are no url"):
            parse_url(text)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        (b"https://b.example/x", "https://b.example|/x"),
        (b"//b.example:81/x", "http://b.example:81|/x"),
        (b"/x%3a", "http://a.example|/x%3a"),
        (b"x?y", "http://a.example|/one/x?y"),
        (b"../x", "http://a.example|/x"),
        (b"./", "http://a.example|/one/"),
        (b"?y", "http://a.example|/one/two.jpg?y"),
        (b"#part", "http://a.example|/one/two.jpg?q=/r/s"),
        (b"", "http://a.example|/one/two.jpg?q=/r/s"),
        (b" /a b ", "http://a.example|/a%20b"),
        (b"/caf\xe9.jpg", "http://a.example|/caf%E9.jpg"),
        (b"caf\xc3\xa9.jpg?\xff", "http://a.example|/one/caf%C3%A9.jpg?%FF"),
        ("http://münchen.example/ü".encode(), "http://xn--mnchen-3ya.example|/%C3%BC"),
        (b"HTTPS://me:secret@b.example/", "https://b.example|/"),
    ],
)
def test_redirects_lead_where_browsers_go(location: bytes, leads_to: str) -> None:
    found = redirected(parse_url("http://a.example/one/two.jpg?q=/r/s#t"), location)
    assert f"{found.origin}|{found.target}" == leads_to


@pytest.mark.parametrize("location", [b"ftp://b.example/", b"javascript:x", b"http://", b"//", b"http://m\xfcnchen/"])
def test_redirects_to_nothing_are_refused(location: bytes) -> None:
    with pytest.raises(BadUrl):
        redirected(parse_url("http://a.example/"), location)


@settings(deadline=None)
@given(st.one_of(st.text(), st.text().map("http://{}".format), st.text().map("https://a.example/{}".format)))
def test_whatever_is_written_the_request_is_one_line_of_ascii(text: str) -> None:
    with contextlib.suppress(BadUrl):
        url = parse_url(text)
        line = url.origin + url.target
        assert line.isascii()
        assert line.isprintable()
        assert " " not in line
        assert url.target.startswith("/")
        assert "#" not in line
        assert parse_url(line) == url


@settings(deadline=None)
@given(st.binary())
def test_whatever_a_redirect_says_the_request_is_one_line_of_ascii(location: bytes) -> None:
    with contextlib.suppress(BadUrl):
        url = redirected(Url("http", "a.example", 80, "/one/two?three"), location)
        assert url.target.isascii()
        assert url.target.isprintable()
        assert " " not in url.target
