"""What a root publishes for people to read, over HTTP on this machine: browsers follow no link from a page to a file.

Reports, pictures and manifest only; no images, no tables. It ends with the process that started it.
"""

from __future__ import annotations

import mimetypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from paris_assets.dag.s3 import open_location
from paris_assets.errors import FileError
from paris_assets.planning.home import TIMES, dagster_home
from paris_assets.storage.location import Location
from paris_assets.storage.object_store import StorageError

HOST = "127.0.0.1"
LINKED = f".dagster/{TIMES}"
"""Where pages of a root expect how long it took, which lies in the Dagster home, wherever that is."""
READABLE = re.compile(r"analysis/[\w-][\w.-]*|pipeline_manifest\.json|expert_shards/README\.md")
NAMES = {HOST, "localhost"}  # a page of another name that points here is not answered
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def start_file_server(url: str, port: int) -> str:
    """Serve a root's pages from another process until this one, or what it becomes by exec, is gone; their address.

    Args:
        url: the root.
        port: the one to listen on, if it is free; else any other.
    """
    listener = _listen(port)
    reads, writes = os.pipe()
    os.set_inheritable(writes, True)  # held open for as long as this process lives, under whatever name
    command = [sys.executable, "-m", __name__, url, str(listener.fileno())]
    with listener, os.fdopen(reads) as lifeline:
        subprocess.Popen(command, stdin=lifeline, pass_fds=[listener.fileno()])
        return f"http://{HOST}:{listener.getsockname()[1]}"


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError:
        return socket.create_server((HOST, 0))


def handler(location: Location) -> type[BaseHTTPRequestHandler]:
    """What answers requests for the files of a root."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def _answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path).removeprefix("/")
            if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in NAMES or not (
                READABLE.fullmatch(path) or path == LINKED
            ):
                self.send_error(HTTPStatus.NOT_FOUND, "No page of a root of paris_assets")
                return
            try:
                data = read_page(location, path)
            except (FileNotFoundError, FileError, StorageError) as error:
                self.send_error(HTTPStatus.NOT_FOUND, "Not made yet, or not to be read", str(error))
                return
            self.send_response(HTTPStatus.OK)
            kind = mimetypes.guess_type(path)[0] or "text/plain"
            kind = "text/plain" if kind == "text/markdown" else kind
            for name, value in {"Content-Type": f"{kind}; charset=utf-8", **HEADERS}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal is Dagster's."""

    return Handler


def read_page(location: Location, path: str) -> bytes:
    """A file of the root, or the page of times in its home.

    Raises:
        FileNotFoundError: it is not made yet.
        FileError: it cannot be read.
    """
    if path != LINKED:
        return location.read(path)
    home = dagster_home(location.url, location.remote)
    return Location(home).read(TIMES)


def serve(url: str, listening: int) -> None:
    """Serve a root on a socket that listens, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = ThreadingHTTPServer((HOST, 0), handler(open_location(url)), bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=listening)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
