"""Answers that curl and browsers read, on real sockets; all of them hold the same picture."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from paris_assets.config import Ingest
from paris_assets.ingest.web import transfer
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets_tests.ingest.servers import HOST, UNASKED, fetch, replies, response, serving

BODY = b"\xff\xd8\xff" + bytes(range(256)) * 30
ZIPPED = gzip.compress(BODY)
LENGTH = b"Content-Length: %d" % len(BODY)


def _answer(
    *fields: bytes, body: bytes = BODY, status: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n", length: bool = True
) -> bytes:
    lines = [status, *([LENGTH] if length else []), *fields]
    return end.join(lines) + end * 2 + body


def _chunks(size: bytes = b"%x", end: bytes = b"\r\n", last: bytes = b"0\r\n\r\n") -> bytes:
    parts = [BODY[:100], BODY[100:]]
    return b"".join(size % len(part) + end + part + end for part in parts) + last


CHUNKED = b"Transfer-Encoding: chunked"
READ = {
    "long policy": _answer(b"Content-Security-Policy: " + b"img-src https://cdn.example; " * 2_200),
    "long cookie": _answer(b"Set-Cookie: a=" + b"a" * 9_000),
    "many fields": _answer(*[b"X-%d: y" % number for number in range(1_000)]),
    "bytes after the body": _answer(body=BODY + b"<!-- made in 0.1 s -->"),
    "bytes after the body and close": _answer(b"Connection: close", body=BODY + b"<!-- made in 0.1 s -->"),
    "space before a colon": _answer(b"X-Powered-By : PHP"),
    "tab before a colon": _answer(b"X-Powered-By\t: PHP"),
    "no name": _answer(b": value"),
    "name of two words": _answer(b"X Name: value"),
    "name in Latin-1": _answer(b"X-\xe9: value"),
    "value in Latin-1 and UTF-8": _answer(b"X-Name: \xe9 \xc3\xa9"),
    "control character": _answer(b"X-Name: a\x01b"),
    "folded field": _answer(b"X-Name: a", b"  b"),
    "length twice": _answer(LENGTH),
    "length listed twice": _answer(LENGTH + b", %d" % len(BODY), length=False),
    "length and spaces": _answer(b"Content-Length:   %d  " % len(BODY), length=False),
    "no length": _answer(length=False),
    "bare line feeds": _answer(end=b"\n"),
    "no reason phrase": _answer(status=b"HTTP/1.1 200"),
    "reason phrase in Latin-1": _answer(status=b"HTTP/1.1 200 \xe9"),
    "old version": _answer(status=b"HTTP/1.0 200 OK"),
    "old version without length": _answer(status=b"HTTP/1.0 200 OK", length=False),
    "old version kept alive": _answer(b"Connection: keep-alive", status=b"HTTP/1.0 200 OK"),
    "another success": _answer(status=b"HTTP/1.1 203 Non-Authoritative"),
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + _answer(),
    "continue with fields": b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\nServer: x\r\n\r\n" + _answer(),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + _answer(),
    "chunked": _answer(CHUNKED, body=_chunks(), length=False),
    "chunked in capitals": _answer(b"TRANSFER-ENCODING:CHUNKED", body=_chunks(), length=False),
    "chunked twice": _answer(CHUNKED, CHUNKED, body=_chunks(), length=False),
    "chunked with length": _answer(CHUNKED, body=_chunks()),
    "chunk extensions": _answer(CHUNKED, body=_chunks(b'%x;name="value"'), length=False),
    "chunk sizes with spaces": _answer(CHUNKED, body=_chunks(b"%x  "), length=False),
    "chunk sizes with zeros": _answer(CHUNKED, body=_chunks(b"%08X"), length=False),
    "chunks with bare line feeds": _answer(CHUNKED, body=_chunks(end=b"\n", last=b"0\n\n"), length=False),
    "chunks with trailers": _answer(CHUNKED, body=_chunks(last=b"0\r\nX-Sum: 1\r\n\r\n"), length=False),
    "chunks and more": _answer(CHUNKED, body=_chunks() + b"more", length=False),
    "identity": _answer(b"Transfer-Encoding: identity"),
    "x-gzip": _answer(b"Content-Encoding: x-gzip", body=ZIPPED, length=False),
    "gzip in chunks": _answer(
        b"Content-Encoding: gzip", CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(ZIPPED), ZIPPED), length=False
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_curl_and_browsers_read_is_read(name: str) -> None:
    with serving(replies(READ[name])) as server:
        fetched = fetch(server)
    assert (fetched.reason, fetched.attempts, fetched.body) == (None, 1, BODY)


def test_bytes_after_a_body_do_not_reach_the_next_answer_of_the_connection() -> None:
    """Two rows, one after the other, from a server that keeps its connections."""

    def answer(peer: socket.socket, request: bytes) -> None:
        while request:
            peer.sendall(
                response(request.split()[1]).replace(b"Connection: close\r\n", b"") + b"HTTP/1.1 200 OK\r\n\r\n"
            )
            request = peer.recv(65_536)

    with serving(answer) as server:
        resolve = {"photos.example": f"127.0.0.1:{server.port}"}
        limits = Ingest(concurrency=1, timeout_s=5, robots=UNASKED, resolve=resolve)
        results = list(fetch_images([(row, f"{HOST}/{row}") for row in range(4)], limits))
    assert [fetched.body for fetched in results] == [b"/0", b"/1", b"/2", b"/3"]


def test_a_kept_connection_that_was_closed_meanwhile_costs_no_attempt() -> None:
    def answer(peer: socket.socket, _: bytes) -> None:
        peer.sendall(response(b"picture").replace(b"Connection: close\r\n", b""))  # and closes

    with serving(answer) as server:
        resolve = {"photos.example": f"127.0.0.1:{server.port}"}
        limits = Ingest(concurrency=1, retries=0, robots=UNASKED, resolve=resolve)
        results = list(fetch_images([(row, f"{HOST}/{row}") for row in range(9)], limits))
    assert [fetched.body for fetched in results] == [b"picture"] * 9


@pytest.mark.parametrize("target", ["/a%2Fb%3a.jpg?s=%2C,'", "/a/../b c"])
def test_the_target_and_the_name_reach_the_server(target: str) -> None:
    with serving(replies(response())) as server:
        fetch(server, f"http://Other.example:8000{target}", resolve={"other.example": f"127.0.0.1:{server.port}"})
    sent = {"/a/../b c": b"/b%20c"}.get(target, target.encode())
    assert server.requests[0].startswith(b"GET " + sent + b" HTTP/1.1\r\n")
    assert b"Host: other.example:8000\r\n" in server.requests[0]


def test_a_redirect_in_raw_latin_1_is_followed_to_its_bytes() -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9.jpg\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with serving(lambda peer, request: peer.sendall(response() if b"GET /caf%E9.jpg " in request else moved)) as server:
        assert fetch(server, max_redirects=1).body == b"picture"


@pytest.mark.parametrize("rest", [b"Content-Length: 99\r\n\r\nshort", b"Transfer-Encoding: chunked\r\n\r\nno chunk"])
def test_a_redirect_whose_own_body_breaks_off_is_followed(rest: bytes) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b.jpg\r\n" + rest
    with serving(lambda peer, request: peer.sendall(response() if b"GET /b.jpg " in request else moved)) as server:
        assert fetch(server).body == b"picture"


@pytest.mark.parametrize(("directives", "reason"), [(["noai"], "opt_out"), (["noindex"], None), ([], None)])
def test_images_that_opt_out_are_left_where_they_are(directives: list[str], reason: str | None) -> None:
    with serving(replies(response(b"picture", "200 OK", "X-Robots-Tag: noai"))) as server:
        fetched = fetch(server, disallowed_header_directives=directives)
    assert (fetched.reason, fetched.http_status, fetched.attempts) == (reason, 200, 1)
    with serving(replies(response(b"picture", "200 OK", "X-Robots-Tag: NoIndex"))) as server:
        assert fetch(server).reason == "opt_out"


@contextlib.contextmanager
def _tls(folder: Path, name: str) -> Iterator[int]:
    """Port of a server that shows a certificate for `name`, which lies in `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "own.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with contextlib.suppress(OSError), peer, context.wrap_socket(peer, server_side=True) as secure:
                        secure.recv(65_536)
                        secure.sendall(response())

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("name", "trusted", "reason"),
    [("photos.example", True, None), ("other.example", True, "connection"), ("photos.example", False, "connection")],
)
def test_certificates_are_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool, reason: str | None
) -> None:
    if trusted:
        monkeypatch.setattr(transfer, "_AUTHORITIES", [(transfer.pycurl.CAINFO, str(tmp_path / "own.pem"))])
    with _tls(tmp_path, name) as port:
        limits = Ingest(timeout_s=5, retries=3, robots=UNASKED, resolve={"photos.example": f"127.0.0.1:{port}"})
        [fetched] = fetch_images([(0, "https://photos.example/a.jpg")], limits)
    assert (fetched.reason, fetched.attempts) == (reason, 1)
