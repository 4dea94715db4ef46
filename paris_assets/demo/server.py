"""A loopback web server for a folder of photos, which misbehaves where the folder's `server.json` says so.

`server.json` maps a request path to a behaviour; every key is optional and they combine:

    {"/images/a.jpg": {"fail_first": 1, "status": 500},   the first request fails with this status
     "/slow.jpg":     {"delay_s": 30},                    the answer waits
     "/loop.jpg":     {"redirect": "/loop.jpg"},          302 to this Location
     "/huge.jpg":     {"size_bytes": 25000000},           a generated body; "chunked": true hides its length
     "/page.jpg":     {"content_type": "text/html"},
     "/drop.jpg":     {"drop": true}}                     the connection closes without an answer

A `status` without `fail_first` holds for every request; `headers` adds response headers.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from paris_assets.errors import UsageError

BEHAVIOURS = "server.json"
CHUNK = b"\xff" * 65536


class FolderServer:
    """Serves a folder on a free port of 127.0.0.1, in a thread, while its context is open.

    `address` is `127.0.0.1:port`; `requests` counts the requests by path.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise UsageError(f"ingest.serve: {folder} is not a folder: name one that is there")
        file = self.folder / BEHAVIOURS
        self.behaviours: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else {}
        self.requests: Counter[str] = Counter()
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="folder-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> web.ServerRunner:
        # A late answer is given up when its client leaves or the context ends (a timeout of 0 would mean none).
        answers = web.Server(self.answer, access_log=None, handler_cancellation=True)  # type: ignore[arg-type]
        runner = web.ServerRunner(answers, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.address = f"{host}:{port}"
        return runner

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The response to one GET."""
        self.requests[request.path] += 1
        behaviour = self.behaviours.get(request.path, {})
        await asyncio.sleep(behaviour.get("delay_s", 0))
        headers = dict(behaviour.get("headers", {}))
        if behaviour.get("drop") and request.transport is not None:
            request.transport.close()
        if "status" in behaviour and self.requests[request.path] <= behaviour.get("fail_first", float("inf")):
            return web.Response(status=behaviour["status"], headers=headers)
        if "redirect" in behaviour:
            return web.Response(status=302, headers={**headers, "Location": behaviour["redirect"]})
        if "content_type" in behaviour:
            headers["Content-Type"] = behaviour["content_type"]
        if "size_bytes" in behaviour:
            return await _generated(request, behaviour["size_bytes"], behaviour.get("chunked", False), headers)
        file = self._file(request.path)
        return web.FileResponse(file, headers=headers) if file else web.Response(status=404)

    def _file(self, path: str) -> Path | None:
        """The file of a request path, or None where there is none inside the folder (links are followed first)."""
        try:
            file = (self.folder / path.lstrip("/")).resolve()
        except (OSError, ValueError):
            return None
        return file if file.is_relative_to(self.folder) and file.is_file() else None


async def _generated(request: web.Request, size: int, chunked: bool, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/jpeg", **headers})
    if chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = size
    await response.prepare(request)
    try:
        for start in range(0, size, len(CHUNK)):
            await response.write(CHUNK[: size - start])
        await response.write_eof()
    except ConnectionError:
        pass  # the client refused the rest: what an oversized body is for
    return response


@contextmanager
def serve(folder: str | Path) -> Iterator[str]:
    """Serve `folder` and give the address, `127.0.0.1:port`, until the context ends.

    Raises:
        NotADirectoryError: `folder` is not a folder.
    """
    with FolderServer(folder) as server:
        yield server.address
