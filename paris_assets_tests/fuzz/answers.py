"""What hostile, broken and odd servers answer, and random damage of it, each by the seed alone."""

from __future__ import annotations

import gzip
import socket
import struct
import time
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

import pyarrow as pa

from paris_assets_tests.fuzz.originals import photo
from paris_assets_tests.images.files import encode
from paris_assets_tests.ingest.servers import Answer, forever, replies

HOST = "h{number}.example"
OK = "200 OK"
MAX_SENT = 6_000_000


def hostile(seed: int, count: int) -> list[tuple[str, Answer]]:
    """(name, answer): half of them made up, or all that there are; the others are damaged ones."""
    generator = Random(seed)
    finite, timed = _finite(), _timed()
    made: list[tuple[str, Answer]] = [*((name, replies(data)) for name, data in finite.items()), *timed.items()]
    generator.shuffle(made)
    chosen = made[: max(count // 2, 1)]
    return [*chosen, *(_damaged(generator, finite) for _ in range(count - len(chosen)))]


@cache
def _picture() -> bytes:
    return encode(photo(48, 40), "JPEG")


def _sent(head: str | bytes, body: bytes = b"", *lines: str | bytes, length: bool = True) -> bytes:
    """An answer whose status line ends with `head`."""
    fields = [b"HTTP/1.1 " + _raw(head), *map(_raw, lines)]
    if length:
        fields.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*fields, b"Connection: close"]) + b"\r\n\r\n" + body


def _raw(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def _finite() -> dict[str, bytes]:
    """Answers of which all bytes are known."""
    heads = {**_status_lines(), **_fields(), **_redirects(), **_refusals()}
    return {**heads, **_lengths(), **_chunks(), **_codings(), **_bodies()}


def _status_lines() -> dict[str, bytes]:
    rest = b"\r\nContent-Length: %d\r\n\r\n" % len(_picture()) + _picture()
    lines = [
        b"HTTP/1.1 200", b"HTTP/1.1  200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 999 x",
        b"HTTP/1.1 000 x",
        b"HTTP/9.9 200 OK", b"HTTP/2 200", b"HTTP/3 200", b"HTTP/0.9 200 OK", b"HTTP/1.1\t200\tOK", b"ICY 200 OK",
        b"http/1.1 200 ok", b"HTTP/1.1 200 \0OK", b"\r\n\r\nHTTP/1.1 200 OK", b"HTTP/1.1 -1 x", b"HTTP/1.1 2xx OK",
        b"200 OK",
        b"RTSP/1.0 200 OK", b"SSH-2.0-OpenSSH_9.6", b"\x15\x03\x03\0\2\2\x28", b"\0" * 300,
        b"HTTP/1.1 200 " + b"x" * 90_000,
        b"HTTP/1.1 \xb2\xb2\xb2 OK", b"HTTP/1.1 +200 OK", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3000 + b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK",
    ]  # fmt: skip
    named = {f"status line {line[:30]!r} of {len(line)}": line + rest for line in lines}
    bare = _sent(OK, _picture()).replace(b"\r\n", b"\n", 6)
    return {**named, "lines end with LF": bare, "no header": _picture(), "nothing": b"", "one byte": b"H"}


def _fields() -> dict[str, bytes]:
    lines: list[list[str | bytes]] = [
        [f"X-{number}: y" for number in range(20_000)], ["X: " + "y" * 1_000_000], ["no colon"], [": no name"],
        [b"X\0Y: z"],
        ["X: y", " folded", "\tfolded"], [" folded first"], ["Content-Type: text/html", "Content-Type: image/png"],
        ["Set-Cookie: " + "c" * 4000] * 70,
        ["Set-Cookie: a=b; Domain=example; Path=/; Max-Age=99999999999999999"] * 500,
        [b"Content-Type: \xff\xfe\0"], ["X-Robots-Tag: noai"], ["X-Robots-Tag: " + "a: b, " * 20_000],
        ["Content-Type: image/jpeg; charset=" + "x" * 60_000], ["Content-Type: multipart/mixed; boundary=x"],
        ["Content-Range: bytes 5-1/0"], ["Strict-Transport-Security: max-age=1e99"], ["Alt-Svc: h3=\":443\"; ma=-1"],
        ["Connection: keep-alive, upgrade", "Upgrade: h2c"], ["Location: http://127.0.0.1/"], ["Trailer: X"],
        ["X: \r\rY: z"],
        ["Content-Disposition: attachment; filename=../../etc/passwd"], ["Refresh: 0; url=file:///etc/passwd"],
    ]  # fmt: skip
    return {f"fields {str(field[0])[:30]} of {len(field)}": _sent(OK, _picture(), *field) for field in lines}


def _lengths() -> dict[str, bytes]:
    size = len(_picture())
    values = [
        "-5", "+5", "0x10", f"{size}, {size}", f"{size}, 5", "5;", f" \t{size} ", "1e3", "9" * 30, "0", "", "\xb2",
        "abc",
        str(2**31), str(2**63 - 1), str(2**63), str(size + 1), str(size - 1), f"{size} {size}", f"00000{size}",
        "1000000",
    ]  # fmt: skip
    lines = {f"length {value[:20]!r}": f"Content-Length: {value}" for value in values}
    bodies = {name: _sent(OK, _picture(), line, length=False) for name, line in lines.items()}
    twice = [f"Content-Length: {size}", f"Content-Length: {size}"]
    differ = ["Content-Length: 5", f"Content-Length: {size}"]
    return {
        **bodies,
        "length twice": _sent(OK, _picture(), *twice, length=False),
        "lengths differ": _sent(OK, _picture(), *differ, length=False),
        "no length": _sent(OK, _picture(), length=False),
        "length and chunks": _sent(OK, b"5\r\nshort\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        "another answer behind": _sent(OK, _picture()).replace(b"Connection: close\r\n", b"") + _sent(OK, b"poison"),
    }


def _chunks() -> dict[str, bytes]:
    picture, size = _picture(), b"%x" % len(_picture())
    bodies = [
        size + b"\r\n" + picture + b"\r\n0\r\n\r\n", size + b"\r\n" + picture + b"\r\n",
        size + b"\r\n" + picture + b"0\r\n\r\n",
        b"-1\r\n" + picture, b"ffffffffffffffff\r\n" + picture, b"0x5\r\n" + picture, b"g\r\n" + picture,
        b"\r\n" + picture,
        size + b";" + b"x" * 200_000 + b"\r\n" + picture + b"\r\n0\r\n\r\n", b"0" * 200_000 + size + b"\r\n" + picture,
        size + b" \r\n" + picture + b"\r\n0\r\n\r\n", size + b"\n" + picture + b"\n0\n\n",
        b"7fffffffffffffff\r\n" + picture,
        size + b"\r\n" + picture + b"\r\n0\r\nX: y\r\n\r\n",
        size + b"\r\n" + picture + b"\r\n0\r\n" + b"X: y\r\n" * 60_000,
        b"".join(b"1\r\n%c\r\n" % byte for byte in picture) + b"0\r\n\r\n", b"0\r\n\r\n", b"", b"1\r\nx\r\n" * 100_000,
        picture,
        b"80000000\r\n" + picture,
    ]  # fmt: skip
    head = "Transfer-Encoding: chunked"
    named = {f"chunks {body[:12]!r} of {len(body)}": _sent(OK, body, head, length=False) for body in bodies}
    for coding in ("chunked, chunked", "identity", "gzip, chunked", "xchunked", " chunked ", "chunked\0", "CHUNKED"):
        named[f"transfer {coding!r}"] = _sent(OK, bodies[0], f"Transfer-Encoding: {coding}", length=False)
    return named


def _codings() -> dict[str, bytes]:
    zeros, picture = bytes(12_000_000), _picture()
    nested = gzip.compress(gzip.compress(gzip.compress(zeros, 9), 9), 9)
    bodies = {
        "gzip": gzip.compress(zeros, 1), "x-gzip": gzip.compress(zeros, 1), "deflate": zlib.compress(zeros, 1),
        "br": pa.compress(zeros, "brotli", asbytes=True), "zstd": pa.compress(zeros, "zstd", asbytes=True),
        "gzip, gzip, gzip": nested, "gzip, deflate": gzip.compress(picture), "gzip ": gzip.compress(picture)[:-20],
        "gzip,": gzip.compress(picture) + b"more", ",gzip": b"\x1f\x8b\x08\xff" + bytes(99), "br ": picture[4:],
        "zstd ": picture[4:],
        "deflate ": zlib.compress(picture)[2:-4], "gzip\t": gzip.compress(b""), "utf-8": picture, "none": picture,
        "gzip, " * 15_000: nested, "compress": picture[1:], "\xff": picture, "Gzip": gzip.compress(picture) * 2,
        "br, gzip": gzip.compress(pa.compress(picture, "brotli", asbytes=True)),
        " deflate": b"\x78\x9c" + b"\xff" * 3000,
    }  # fmt: skip
    return {f"coding {name[:30]!r}": _sent(OK, body, f"Content-Encoding: {name}") for name, body in bodies.items()}


def _redirects() -> dict[str, bytes]:
    places: list[str | bytes] = [
        "", "/", "?", "#x", "//", "http://", "http://[", "http://a:b:c/", "http://127.0.0.1/secret",
        "http://localhost/secret",
        "http://[::1]/secret", "http://169.254.169.254/latest/meta-data", "http://2130706433/secret", "http://0/secret",
        "http://10.0.0.1/", "file:///etc/passwd", "ftp://ftp.example/a", "data:image/png;base64,AAAA", "javascript:1",
        "gopher://127.0.0.1:70/", "//127.0.0.1/secret", "http:/\\127.0.0.1/secret", "https://127.0.0.1/secret", "\x00",
        "http://user:secret@127.0.0.1/secret", "http://h0.example:99999/", "http://" + "a." * 5000 + "example/",
        "../" * 9000,
        "/" + "x" * 250_000, b"/\xff\xfe\x80", "http://\u00e9\u00ff.example/", "/a\rX-Evil: 1", "dict://h0.example/",
        "http:///a",
        "HTTP://127.0.0.1/secret", "http://127.1/secret", "http://[::ffff:127.0.0.1]/secret", "http://h1.example:0/",
        "mailto:a@b", "ldap://127.0.0.1/", "smb://127.0.0.1/x", "http://0x7f000001/secret", "http://[fe80::1%25eth0]/",
    ]  # fmt: skip
    named = {
        f"redirect to {str(place)[:40]!r}": _sent(f"{status} Moved", b"", b"Location: " + _raw(place))
        for status, place in zip((301, 302, 303, 307, 308) * 9, places, strict=False)
    }
    two = ["Location: /b", "Location: http://127.0.0.1/secret"]
    return {
        **named,
        "redirect without place": _sent("302 Found"),
        "redirect to two places": _sent("302 Found", b"", *two),
        "redirect with a body": _sent("302 Found", _picture(), "Location: /b"),
        "choices": _sent("300 Multiple Choices", b"<a href=x>", "Location: /b"),
        "proxy": _sent("305 Use Proxy", b"", "Location: http://127.0.0.1/secret"),
    }


_STATUSES = (
    100, 102, 199, 204, 205, 206, 226, 299, 304, 400, 401, 403, 404, 407, 408, 410, 416, 418, 425, 451, 500, 502, 504,
    511, 599, 600, 700,
)  # fmt: skip


def _refusals() -> dict[str, bytes]:
    asked = [
        "1e9", "-1", "nan", "inf", "1e400", "9" * 400, "Mon, 01 Jan 1601 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT", "x", "",
        "\xb2", "Wed, 21 Oct 2015 07:28:00 +9999999999999999", "0", "0.0001", "31 Feb 2030 99:99:99", "1,2", "\0",
        "9" * 5000,
    ]  # fmt: skip
    named = {
        f"{status} after {value[:20]!r}": _sent(f"{status} Busy", b"wait", f"Retry-After: {value}")
        for status, value in zip((429, 503) * 9, asked, strict=True)
    }
    for status in _STATUSES:
        named[f"status {status} with a picture"] = _sent(f"{status} x", _picture())
    realms = ['WWW-Authenticate: Basic realm="' + "x" * 9000 + '"', "WWW-Authenticate: Negotiate"]
    named["realms"] = _sent("401 x", b"", *realms)
    return named


def _bodies() -> dict[str, bytes]:
    html = b"<!DOCTYPE html><html><head><title>404</title></head><body><img src=x></body></html>"
    bodies = {
        "html": html, "json": b'{"error": "no"}', "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "pdf": b"%PDF-1.7\n",
        "zip": b"PK\3\4" + bytes(60), "nul": bytes(5000), "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n", "space": b" \r\n",
        "empty": b"",
        "cut": _picture()[:400], "behind blanks": b"\r\n\r\n" + _picture(), "mark": b"\xef\xbb\xbf" + _picture(),
        "png": _picture(),
        "large": _picture() + bytes(3_000_000), "html behind": _picture() + html,
        "xml": b"<?xml version='1.0'?><!DOCTYPE a [" * 900,
    }  # fmt: skip
    kinds = ("image/jpeg", "text/html", "image/png", "application/octet-stream")
    return {
        f"body {name} as {kinds[place % 4]}": _sent(OK, body, f"Content-Type: {kinds[place % 4]}")
        for place, (name, body) in enumerate(bodies.items())
    }


def _timed() -> dict[str, Answer]:
    """Answers of which the time matters, or how they end."""
    good, half = _sent(OK, _picture()), _sent(OK, _picture())[:-300]
    head, chunked = b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return {
        "body without end": forever(head, bytes(65_536)),
        "chunks without end": forever(chunked, b"10000\r\n" + bytes(65_536) + b"\r\n"),
        "empty chunks of size": forever(chunked, b"0" * 65_536),
        "fields without end": forever(head[:-2], b"X-More: " + b"y" * 1000 + b"\r\n"),
        "field without end": forever(head[:-2] + b"X: ", b"y" * 65_536),
        "status without end": forever(b"HTTP/1.1 200 ", b"y" * 65_536),
        "line breaks without end": forever(b"", b"\r\n" * 1000),
        "noise without end": forever(b"", b"\xff\xd8\xff\0" * 1000),
        "interim answers without end": forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50, 0.001),
        "trailers without end": forever(chunked + b"0\r\n", b"X: y\r\n" * 100),
        "body by drops": forever(head[:-2] + b"Content-Length: 5000\r\n\r\n", b"x", 0.05),
        "header by drops": forever(head[:-2], b"X", 0.05),
        "body by drops after an error": forever(b"HTTP/1.1 404 x\r\nContent-Length: 5000\r\n\r\n", b"x", 0.05),
        "silence": _silent(b""),
        "silence after the header": _silent(head[:-2] + b"Content-Length: 9\r\n\r\n"),
        "silence after the picture": _silent(head + _picture()),
        "silence in a line": _silent(b"HTTP/1.1 200 O"),
        "closed at once": lambda peer, _: peer.close(),
        "reset at once": lambda peer, _: _reset(peer, b""),
        "reset in the header": lambda peer, _: _reset(peer, good[:30]),
        "reset in the body": lambda peer, _: _reset(peer, half),
        "reset behind the body": lambda peer, _: _reset(peer, good),
        "half closed at once": _silent(b"", True),
        "half closed in the header": _silent(good[:30], True),
        "half closed in the body": _silent(half, True),
        "half closed behind the body": _silent(good, True),
        "byte by byte": _slowly(good, 1),
        "by seven bytes": _slowly(good, 7),
        "loop": _moving(lambda path: path),
        "longer and longer loop": _moving(lambda path: path + "/a" * 4000),
        "to and fro": _moving(lambda path: "/b" if path != "/b" else "/c"),
        "to its other scheme": _moving(lambda path: "https://h0.example" + path),
        "request sent back": lambda peer, request: peer.sendall(request),
        "request sent back as a body": lambda peer, request: peer.sendall(_sent(OK, request)),
    }  # fmt: skip


def _reset(peer: socket.socket, sent: bytes) -> None:
    peer.sendall(sent)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def _silent(sent: bytes, half_closed: bool = False) -> Answer:
    """Sends no more, and keeps the connection as long as the peer does."""

    def answer(peer: socket.socket, _: bytes) -> None:
        peer.sendall(sent)
        if half_closed:
            peer.shutdown(socket.SHUT_WR)
        while peer.recv(1000):
            pass

    return answer


def _slowly(sent: bytes, step: int) -> Answer:
    def answer(peer: socket.socket, _: bytes) -> None:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), step):
            peer.sendall(sent[start : start + step])
            time.sleep(0.00001)

    return answer


def _moving(place: Callable[[str], str]) -> Answer:
    def answer(peer: socket.socket, request: bytes) -> None:
        path = request.split()[1].decode("latin-1")
        peer.sendall(_sent("302 Found", b"", f"Location: {place(path)}"))

    return answer


def _damaged(generator: Random, finite: dict[str, bytes]) -> tuple[str, Answer]:
    """A good answer, or another one, damaged."""
    name = generator.choice(list(finite))
    data = bytearray(generator.choice((_sent(OK, _picture(), "Content-Type: image/jpeg", "X: y"), finite[name])))
    ways = [generator.choice(list(_DAMAGE)) for _ in range(generator.choice((1, 1, 2, 4)))]
    for way in ways:
        _DAMAGE[way](generator, data, finite)
    return f"{name}: {', '.join(ways)}", replies(bytes(data[:MAX_SENT]))


def _place(generator: Random, data: bytearray) -> int:
    """A place in the data, mostly in its header."""
    end = data.find(b"\r\n\r\n") + 4 if generator.random() < 0.8 else 0
    return generator.randrange((end if end > 4 else len(data)) + 1)


def _flip(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    place = _place(generator, data)
    if place < len(data):
        data[place] ^= 1 << generator.randrange(8)


def _set(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    place = _place(generator, data)
    data[place : place + 1] = generator.choice((*(bytes([byte]) for byte in b"\0\r\n :\xff\t0-"), b"", b"9" * 30))


def _insert(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    place = _place(generator, data)
    data[place:place] = generator.randbytes(generator.choice((1, 3, 50, 3000)))


def _drop(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    place = _place(generator, data)
    del data[place : place + generator.choice((1, 2, 10, 100))]


def _cut(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    del data[_place(generator, data) :]


def _repeat(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    place = _place(generator, data)
    data[place:place] = bytes(data[place : place + 40]) * generator.choice((1, 3, 500))


def _lines(generator: Random, data: bytearray, _: dict[str, bytes]) -> None:
    lines = bytes(data).split(b"\r\n", 40)
    generator.shuffle(lines)
    data[:] = b"\r\n".join(lines)


def _splice(generator: Random, data: bytearray, finite: dict[str, bytes]) -> None:
    other = bytearray(generator.choice(list(finite.values())))
    data[_place(generator, data) :] = other[_place(generator, other) :]


_DAMAGE = {
    "bit flipped": _flip, "byte set": _set, "inserted": _insert, "dropped": _drop, "cut": _cut, "repeated": _repeat,
    "lines shuffled": _lines, "spliced": _splice,
}  # fmt: skip
