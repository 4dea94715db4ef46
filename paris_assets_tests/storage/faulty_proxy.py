"""A proxy between a client and an S3 server that loses, delays, cuts and spoils what passes."""

from __future__ import annotations

import http.client
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERROR = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>injected</Message></Error>"
LISTED = re.compile(rb"<(Contents|CommonPrefixes)>.*?</\1>|(?<=<KeyCount>)\d+(?=</KeyCount>)", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """One request as it came: ``number`` counts from 1, ``bytes`` is the Range header."""

    number: int
    method: str
    path: str
    bytes: str = ""

    @property
    def listing(self) -> bool:
        asked = self.path.partition("?")[2]
        return self.method == "GET" and "uploads" not in asked and ("list-type=" in asked or "prefix=" in asked)

    @property
    def key(self) -> str:
        return self.path.partition("?")[0].strip("/").partition("/")[2]


@dataclass(frozen=True)
class Fault:
    """What happens to a request."""

    status: int | None = None
    code: str = "SlowDown"
    retry_after_s: int | None = None
    delay_s: float = 0.0
    cut_request: bool = False
    """The connection ends in the middle of what the client sends; the server gets that half."""
    cut_answer: bool = False
    """The server's answer ends in the middle of its body."""
    lose_answer: bool = False
    """The server does as it was told, and the connection ends before the answer."""
    shorten: bool = False
    """The answer is half as long, and says so."""
    spoil: bool = False
    """One bit of the answer's body is another."""
    hide: bool = False
    """Nothing is in a listing."""
    stale: bool = False
    """A listing is as it was when it was asked for before, or empty."""


Judge = Callable[[Request], Fault | None]


@dataclass
class Chances:
    """A judge by chance: which request meets which fault depends on the seed and on its number.

    Attributes:
        faults: name -> (share of all requests that meet it, fault).
        met: name of every fault that a request has met, with the request, in order.
    """

    faults: dict[str, tuple[float, Fault]]
    seed: int
    met: list[tuple[str, Request]] = field(default_factory=list)

    def __call__(self, request: Request) -> Fault | None:
        left = random.Random(f"{self.seed} {request.number}").random()
        for name, (share, fault) in self.faults.items():
            applies = request.listing or not (fault.stale or fault.hide)
            if left < share and applies:
                self.met.append((name, request))
                return fault
            left -= share
        return None


@dataclass
class FaultyProxy:
    """Serves on a port of its own until `close`; ``judge`` decides over each request, ``requests`` keeps them."""

    upstream: str
    judge: Judge = lambda request: None
    requests: list[Request] = field(default_factory=list)
    listings: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def note(self, method: str, path: str, ranged: str) -> Request:
        with self._lock:
            self.requests.append(Request(len(self.requests) + 1, method, path, ranged))
            return self.requests[-1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: FaultyProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def _pass(self) -> None:
        request = self.owner.note(self.command, self.path, self.headers.get("Range", ""))
        fault = self.owner.judge(request) or Fault()
        time.sleep(fault.delay_s)
        length = int(self.headers.get("Content-Length") or 0)
        if fault.cut_request:
            self._ask(self.rfile.read(length // 2), cut=True)
            return self._hang_up()
        body = self.rfile.read(length)
        if fault.status:
            wait = [] if fault.retry_after_s is None else [("Retry-After", str(fault.retry_after_s))]
            return self._answer(fault.status, wait, ERROR % fault.code.encode(), request)
        status, headers, answer = self._ask(body)
        if fault.lose_answer:
            return self._hang_up()
        if fault.spoil and answer:
            answer = answer[:-1] + bytes([answer[-1] ^ 1])
        if fault.shorten:
            answer = answer[: len(answer) // 2]
        if request.listing:
            empty = LISTED.sub(lambda found: b"" if found[1] else b"0", answer)
            before = self.owner.listings.get(request.path, empty)
            self.owner.listings[request.path] = answer
            answer = empty if fault.hide else before if fault.stale else answer
        self._answer(status, headers, answer, request, cut=fault.cut_answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass

    def _ask(self, body: bytes, cut: bool = False) -> tuple[int, list[tuple[str, str]], bytes]:
        """What the server says to the request, or to its beginning."""
        server = http.client.HTTPConnection(urlsplit(self.owner.upstream).netloc, timeout=30)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                server.putheader(name, value)
        server.endheaders()
        server.send(body)
        if cut:
            server.close()
            return 0, [], b""
        answer = server.getresponse()
        content = answer.read()
        server.close()
        return answer.status, answer.getheaders(), content

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, request: Request, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        told = {name.lower(): value for name, value in headers}
        length = told.get("content-length", "0") if request.method == "HEAD" else str(len(body))
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if request.method != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1))
        self.connection.close()
        self.close_connection = True
