"""Servers on real sockets of the loopback interface, which answer byte for byte what a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from typing import Any

from paris_assets.config import Ingest
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.web.fetch import fetch_images
from paris_assets.settings.ingest import Robots

HOST = "http://photos.example"
UNASKED = Robots(obey=False)  # `ingest.robots` where a server is to see the requests of rows alone
Answer = Callable[[socket.socket, bytes], object]


class Server:
    """Answers each connection with a function on a thread of its own; keeps the requests."""

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        self.listener, self.answer = listener, answer
        self.port = listener.getsockname()[1]
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(peer,)))
                self._threads[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            request = peer.recv(1 << 20)
            self.requests.append(request)
            self.answer(peer, request)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    server = Server(socket.create_server(("127.0.0.1", 0)), answer)
    try:
        yield server
    finally:
        server.close()


def response(body: bytes = b"picture", head: str = "200 OK", *lines: str) -> bytes:
    fields = [f"HTTP/1.1 {head}", f"Content-Length: {len(body)}", "Connection: close", *lines]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


def replies(content: bytes) -> Answer:
    return lambda peer, _: peer.sendall(content)


def forever(start: bytes, more: bytes, pause_s: float = 0.0) -> Answer:
    """An answer that never ends."""

    def answer(peer: socket.socket, _: bytes) -> None:
        peer.sendall(start)
        while True:
            peer.sendall(more)
            time.sleep(pause_s)

    return answer


def fetch_into(done: Queue[list[Fetched]], urls: list[tuple[int, str]], settings: Ingest) -> None:
    """What a process of its own does."""
    done.put(list(fetch_images(urls, settings)))


def fetch(server: Server, url: str = f"{HOST}/a.jpg", **changes: Any) -> Fetched:
    names = {name: f"127.0.0.1:{server.port}" for name in ("photos.example", "other.example")}
    given = {"max_bytes": 100_000, "timeout_s": 5, "retries": 0, "backoff_s": 0, "resolve": names}
    [fetched] = fetch_images([(0, url)], Ingest(**{**given, "robots": UNASKED, **changes}))
    return fetched
