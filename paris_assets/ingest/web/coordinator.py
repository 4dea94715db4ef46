"""The process that all fetchers of a run agree through: turns at hosts, and what hosts answer about themselves.

Each fetcher, in whatever process or on whatever machine, keeps one connection to it for as long as it fetches: a line
with the key, a welcome, then lines of JSON both ways, ``[what, ...]``. What a fetcher had is free when its connection
ends, however it ends. Fetchers tell one that is started anew what they had.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from paris_assets.ingest.web.link import MAX_LINE, WELCOME, Agreement, CoordinatorError, parse_address, watch


@contextmanager
def coordinating(address: str | None = None) -> Iterator[str]:
    """Be that process, in a thread, while the context is open.

    Args:
        address: where to listen, as in ``link.COORDINATOR``; None: at a free port of the loopback interface.

    Yields:
        The address for fetchers.

    Raises:
        CoordinatorError: that address cannot be listened at.
    """
    key, host, port = parse_address(address) if address else (secrets.token_hex(16), "127.0.0.1", 0)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="coordinator", daemon=True)
    thread.start()
    coordinator = _Coordinator(key)
    try:
        try:
            port = asyncio.run_coroutine_threadsafe(coordinator.listen(host, port), loop).result()
        except OSError as error:
            raise CoordinatorError(f"{host}:{port} cannot be listened at: {error.strerror}; name another") from error
        yield f"{key}@{host}:{port}" if key else f"{host}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(coordinator.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Coordinator:
    """Serves fetchers on one event loop."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._fetchers: dict[int, asyncio.StreamWriter] = {}
        self._numbers = itertools.count()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen; returns the port."""
        self._agreement = Agreement(self._tell)
        self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_LINE)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        await asyncio.sleep(0)  # for one that was just accepted
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for their sockets

    def _tell(self, fetcher: int, *told: object) -> None:
        if fetcher in self._fetchers:
            self._fetchers[fetcher].write(json.dumps(told).encode() + b"\n")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fetcher = next(self._numbers)
        try:
            watch(writer)
            with suppress(ConnectionError, ValueError):  # what is no line of ours ends its connection
                if not hmac.compare_digest((await reader.readline()).rstrip(b"\n"), self._key):
                    return
                self._fetchers[fetcher] = writer
                writer.write(WELCOME)
                async for line in reader:
                    self._agreement.do(fetcher, *json.loads(line))
        finally:
            self._fetchers.pop(fetcher, None)
            self._agreement.leave(fetcher)
            writer.close()
