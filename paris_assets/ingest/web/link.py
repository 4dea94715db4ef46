"""A fetcher's link to what all fetchers of a run agree through (`coordinator`): turns at hosts, and what hosts answer
about themselves. A fetcher that was told of no such process agrees with itself alone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from paris_assets.errors import UsageError, UserError
from paris_assets.ingest.web.kept_answers import KeptAnswers
from paris_assets.ingest.web.turns import Turns

COORDINATOR = "PARIS_COORDINATOR"
"""Variable with the address of the process that all fetchers of a run agree through: `HOST:PORT` or `KEY@HOST:PORT`."""

WELCOME = b'["welcome"]\n'
"""What who has the key hears first."""
MAX_LINE = 8 << 20  # a robots.txt as JSON
PATIENCE_S, RESTART_S = 20.0, 120.0  # while it may just be starting, or another one takes its place
_WATCHED = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 90_000}


class CoordinatorError(UserError, RuntimeError):
    """The process that fetchers agree through cannot be reached; the message says which, and what to do."""


@dataclass
class Link:
    """A fetcher's side.

    Attributes:
        send: (what, ...) to what fetchers agree through.
        receive: what is told comes here: (what, ...).
        again: called when the process was started anew and knows nothing: to say what the fetcher has and waits for.
        listen: has it come, for ever; raises ``CoordinatorError`` once the connection is lost for good.
    """

    send: Callable[..., object]
    receive: Callable[..., object]
    again: Callable[[], object]
    listen: Callable[[], Coroutine[Any, Any, object]]


class Agreement:
    """Turns and answers together, on the running loop."""

    def __init__(self, tell: Callable[..., object]) -> None:
        loop = asyncio.get_running_loop()
        turns, answers = Turns(loop.time, loop.call_later, tell), KeptAnswers(loop.time, tell)
        self._does = {
            "hold": turns.hold,
            "ask": turns.ask,
            "give_back": turns.give_back,
            "rest": turns.rest,
            "want": answers.want,
            "found": answers.found,
        }
        self._parts = (turns, answers)

    def do(self, fetcher: int, what: str, *arguments: Any) -> None:
        """What a fetcher asks or says: the name of a method of one of the two, and its arguments."""
        self._does[what](fetcher, *arguments)

    def leave(self, fetcher: int) -> None:
        """A fetcher is gone."""
        for part in self._parts:
            part.leave(fetcher)


@asynccontextmanager
async def linked(address: str | None) -> AsyncIterator[Link]:
    """A link to what fetchers agree through, for as long as the context is open.

    Args:
        address: as in ``COORDINATOR``; None or empty: nobody else fetches.

    Raises:
        CoordinatorError: nobody answers there.
    """
    if not address:
        yield own_link()
        return
    connection = _Connection(*parse_address(address))
    await connection.open(PATIENCE_S)
    link = Link(connection.send, _nobody, _nobody, lambda: connection.listen(link))
    try:
        yield link
    finally:
        connection.close()


def own_link() -> Link:
    """A link of one fetcher that agrees with itself alone."""
    agreement = Agreement(lambda _, *told: link.receive(*told))
    link = Link(lambda *asked: agreement.do(0, *asked), _nobody, _nobody, asyncio.Event().wait)
    return link


def watch(writer: asyncio.StreamWriter) -> None:
    """Have a connection end within two minutes when the machine at its other end, or the way there, is gone: neither
    says so, and permits would stay with it."""
    connected = writer.get_extra_info("socket")
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _WATCHED.items():
        if hasattr(socket, name):  # Linux has all of them
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _nobody(*_: object) -> None:
    """Takes what is told before anyone listens."""


class _Connection:
    """A connection to the process at an address, and to the next one there where that is started anew."""

    def __init__(self, key: str, host: str, port: int) -> None:
        self._key, self._host, self._port = key, host, port

    async def open(self, patience_s: float) -> None:
        """Connect, for so long.

        Raises:
            CoordinatorError: nobody answers there, or who does has another key.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while True:
            try:
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=MAX_LINE)
                break
            except OSError as error:
                if loop.time() > until:
                    raise self._unreachable(error) from error
                await asyncio.sleep(0.5)
        watch(self._writer)
        self._writer.write(self._key.encode() + b"\n")
        if await self._greeting() != WELCOME:
            self.close()
            raise self._unreachable("the connection ended, as with another key than its own")

    async def _greeting(self) -> bytes:
        with suppress(ConnectionError):
            return await self._reader.readline()
        return b""

    def send(self, *asked: object) -> None:
        """Say something; nobody hears it while the connection is lost."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(asked).encode() + b"\n")

    async def listen(self, link: Link) -> None:
        """See ``Link``.

        Raises:
            CoordinatorError: it is lost, and nobody comes in its place.
        """
        while True:
            with suppress(ConnectionError):
                async for line in self._reader:
                    link.receive(*json.loads(line))
            self.close()
            await self.open(RESTART_S)
            link.again()

    def close(self) -> None:
        """End it."""
        self._writer.close()

    def _unreachable(self, error: object) -> CoordinatorError:
        return CoordinatorError(
            f"{self._host}:{self._port} ({COORDINATOR}), by which limits per host hold over all workers and machines, "
            f"cannot be reached: {error}. Start `paris coordinator` there, with the same variable, and run again"
        )


def parse_address(address: str) -> tuple[str, str, int]:
    """(key, host, port) of `KEY@HOST:PORT`; the key may be absent.

    Raises:
        UsageError: it is none.
    """
    key, _, place = address.rpartition("@")
    host, _, port = place.rpartition(":")
    # Without the key: what is said of an error is kept where more people read.
    if not host or not port.isdecimal() or not int(port) < 1 << 16:
        raise UsageError(f"{COORDINATOR}: {f'KEY@{place}' if key else place!r} is no HOST:PORT or KEY@HOST:PORT")
    if not key.isprintable():
        raise UsageError(f"{COORDINATOR}: the key before @{place} has characters that cannot be printed: name another")
    return key, host.strip("[]"), int(port)
