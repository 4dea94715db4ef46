"""Fetch images over HTTP: bounded, patient with what passes, final about what does not.

At most `concurrency` bodies exist at any time, whether still arriving or waiting for the consumer. Requests run on an
event loop in a thread of its own, so a slow consumer delays new requests and never times out a running one.
"""

from __future__ import annotations

import asyncio
import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from paris_assets.config import Ingest
from paris_assets.ingest.addresses import PrivateAddress, PublicResolver, check_host, parse_routes

REDIRECTS = {301, 302, 303, 307, 308}
TRANSIENT = r"^(timeout|connection|http_408|http_425|http_429|http_5\d\d)$"
"""Reasons that may be gone at another time; `paris run --retry transient` asks again for rows that failed for one."""


def is_transient(reason: str) -> bool:
    """Whether a row that failed for a reason may arrive at another time."""
    return re.search(TRANSIENT, reason) is not None


@dataclass(frozen=True)
class Fetched:
    """What became of one source row; `body` is None unless `status` is `ok`."""

    source_row: int
    status: str
    reason: str | None
    http_status: int | None
    attempts: int
    body: bytes | None

    @classmethod
    def local(cls, source_row: int, body: bytes | None, reason: str = "empty_body") -> Fetched:
        """An image that was read, not fetched; `reason` says why where there is no body."""
        return cls(source_row, "ok" if body else "failed", None if body else reason, None, 1, body or None)


class _Failure(Exception):
    """One attempt failed."""

    def __init__(self, reason: str, http_status: int | None, transient: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.http_status, self.transient, self.wait_s = reason, http_status, transient, wait_s


def fetch_images(
    urls: Iterable[tuple[int, str | None]], settings: Ingest, server: str | None = None
) -> Iterator[Fetched]:
    """Fetch every url and yield results as they complete, in no particular order.

    Args:
        urls: (source_row, url); a null url fails as `bad_scheme`.
        settings: limits, retries and the host names that go to given addresses.
        server: `127.0.0.1:port` of the web server for hosts that `settings.resolve` maps to `serve`.

    Raises:
        ValueError: `settings.resolve` cannot be used.
    """
    routes = parse_routes(settings.resolve, server)
    return _drive(iter(urls), settings, PublicResolver(routes))


def _drive(urls: Iterator[tuple[int, str | None]], settings: Ingest, resolver: PublicResolver) -> Iterator[Fetched]:
    results: queue.SimpleQueue[Fetched | None] = queue.SimpleQueue()
    slots = asyncio.Semaphore(settings.concurrency)
    loop = asyncio.new_event_loop()
    # Names are resolved in threads: as many as there are requests, so that slow name servers hold up nobody else.
    loop.set_default_executor(ThreadPoolExecutor(settings.concurrency, thread_name_prefix="resolve"))
    thread = threading.Thread(target=loop.run_forever, name="fetch", daemon=True)
    thread.start()
    work = asyncio.run_coroutine_threadsafe(_fetch_all(urls, settings, resolver, slots, results), loop)
    work.add_done_callback(lambda _: results.put(None))
    try:
        while (fetched := results.get()) is not None:
            yield fetched
            del fetched  # before its slot is given to the next one
            loop.call_soon_threadsafe(slots.release)
        work.result()
    finally:
        asyncio.run_coroutine_threadsafe(_finish(work), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _finish(work: Future[None]) -> None:
    """Stop what a consumer that left early did not wait for."""
    work.cancel()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()


async def _fetch_all(
    urls: Iterator[tuple[int, str | None]],
    settings: Ingest,
    resolver: PublicResolver,
    slots: asyncio.Semaphore,
    results: queue.SimpleQueue[Fetched | None],
) -> None:
    # Idle connections to thousands of hosts would use up the file descriptors.
    connector = aiohttp.TCPConnector(
        resolver=resolver, limit=0, ttl_dns_cache=60, keepalive_timeout=1, socket_factory=resolver.open_socket
    )
    headers = {"User-Agent": settings.user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
    # Cookies would make an answer depend on what was asked before.
    cookies = aiohttp.DummyCookieJar()
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=None)  # one clock: the one in _fetch
    async with (
        aiohttp.ClientSession(connector=connector, headers=headers, cookie_jar=cookies, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):

        async def one(source_row: int, url: str | None) -> None:
            results.put(await _fetch(session, source_row, url, settings))

        for source_row, url in urls:
            await slots.acquire()
            group.create_task(one(source_row, url))


async def _fetch(session: aiohttp.ClientSession, source_row: int, url: str | None, settings: Ingest) -> Fetched:
    """All attempts at one url; only transient failures are tried again."""
    attempt = 0
    while True:
        attempt += 1
        try:
            async with asyncio.timeout(settings.timeout_s):
                http_status, body = await _attempt(session, url, settings)
            return Fetched(source_row, "ok", None, http_status, attempt, body)
        except TimeoutError:
            failure = _Failure("timeout", None, transient=True)
        except _Failure as error:
            failure = error
        if not failure.transient or attempt > settings.retries or failure.wait_s > settings.max_wait_s:
            return Fetched(source_row, "failed", failure.reason, failure.http_status, attempt, None)
        await asyncio.sleep(max(settings.backoff_s * 2 ** (attempt - 1), failure.wait_s))


async def _attempt(session: aiohttp.ClientSession, url: str | None, settings: Ingest) -> tuple[int, bytes]:
    """One attempt: follow redirects, checking each hop, and read the body."""
    target, status = _parse(url), None
    try:
        for _ in range(settings.max_redirects + 1):
            check_host(target.raw_host or "")
            async with session.get(target, allow_redirects=False) as response:
                location = response.headers.get("Location")
                if response.status not in REDIRECTS or location is None:
                    return response.status, await _body(response, settings.max_bytes)
                target = _parse(location, target)
                status = response.status
        raise _Failure("too_many_redirects", status)
    except PrivateAddress as error:
        raise _Failure("private_address", None) from error
    except aiohttp.InvalidURL as error:
        raise _Failure("bad_scheme", None) from error
    except (aiohttp.ClientError, OSError) as error:
        raise _Failure("connection", None, transient=not _is_permanent(error)) from error


def _parse(url: str | None, base: URL | None = None) -> URL:
    try:
        parsed = URL((url or "").strip())
        parsed = base.join(parsed) if base is not None else parsed
        usable = parsed.scheme in ("http", "https") and bool(parsed.host) and parsed.port is not None
    except ValueError as error:
        raise _Failure("bad_scheme", None) from error
    if not usable:
        raise _Failure("bad_scheme", None)
    return parsed.with_user(None).with_fragment(None)  # nobody's credentials are used, a redirect's neither


async def _body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    status = response.status
    if status < 200 or status >= 300:
        transient = status == 429 or status >= 500
        raise _Failure(f"http_{status}", status, transient, _retry_after_s(response.headers.get("Retry-After")))
    if (response.content_length or 0) > max_bytes:
        response.close()  # the connection still holds the body: it cannot be used again
        raise _Failure("too_large", status)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            response.close()
            raise _Failure("too_large", status)
    if not body:
        raise _Failure("empty_body", status)
    return bytes(body)


def _retry_after_s(value: str | None) -> float:
    """Seconds that a `Retry-After` header asks for (a number or an HTTP date); 0 where it is absent or unreadable."""
    if value is None:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _is_permanent(error: Exception) -> bool:
    """A name that does not exist and a certificate that does not verify will not change within seconds."""
    cause = getattr(error, "os_error", None) or error
    unknown_name = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME
    return unknown_name or isinstance(cause, ssl.SSLCertVerificationError)
