"""Fetch images over HTTP: bounded, patient with what passes, final about what does not.

At most `concurrency` requests run or wait for the consumer with a body at any time, and `per_host.connections` at one
host, by all fetchers of a run together; rows of a host that has to wait hold up no others. Requests run on an event
loop in a thread of its own, so a slow consumer delays new requests and never times out a running one.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from paris_assets.config import Ingest
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.web.addresses import PublicResolver, parse_routes
from paris_assets.ingest.web.host import Job
from paris_assets.ingest.web.link import COORDINATOR, CoordinatorError, linked
from paris_assets.ingest.web.opt_out import NOTHING, OptOuts


def fetch_images(
    urls: Iterable[tuple[int, str | None]], settings: Ingest, server: str | None = None, opt_outs: OptOuts = NOTHING
) -> Iterator[Fetched]:
    """Fetch every url and yield results as they complete, in no particular order.

    Args:
        urls: (source_row, url); one that is null or empty fails as `no_url`.
        settings: limits, retries and the host names that go to given addresses.
        server: `127.0.0.1:port` of the web server for hosts that `settings.resolve` maps to `serve`.
        opt_outs: what is not asked for.

    Raises:
        ValueError: `settings.resolve` cannot be used.
        CoordinatorError: the process that the variable `PARIS_COORDINATOR` names cannot be reached.
    """
    resolver = PublicResolver(parse_routes(settings.resolve, server), settings.dns_cache_s)
    return _drive(iter(urls), settings, resolver, opt_outs)


def _drive(
    urls: Iterator[tuple[int, str | None]], settings: Ingest, resolver: PublicResolver, opt_outs: OptOuts
) -> Iterator[Fetched]:
    results: queue.SimpleQueue[Fetched | None] = queue.SimpleQueue()
    slots = asyncio.Semaphore(settings.concurrency)
    loop = asyncio.new_event_loop()
    # Names are resolved in threads: as many as there are requests, so that slow name servers hold up nobody else.
    loop.set_default_executor(ThreadPoolExecutor(settings.concurrency, thread_name_prefix="resolve"))
    thread = threading.Thread(target=loop.run_forever, name="fetch", daemon=True)
    thread.start()
    work = asyncio.run_coroutine_threadsafe(_fetch_all(urls, settings, resolver, opt_outs, slots, results), loop)
    work.add_done_callback(lambda _: results.put(None))
    try:
        while (fetched := results.get()) is not None:
            holds_slot = fetched.body is not None
            yield fetched
            del fetched  # before its slot is given to the next one
            if holds_slot:
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
    opt_outs: OptOuts,
    slots: asyncio.Semaphore,
    results: queue.SimpleQueue[Fetched | None],
) -> None:
    # Not above: pycurl comes with the extra `run`, and what only reads a finished root imports this module too.
    from paris_assets.ingest.web.attempts import Attempts
    from paris_assets.ingest.web.transfer import Transfers

    headers = [_user_agent(settings), "Accept: image/*,*/*;q=0.5", "Accept-Encoding: identity"]
    try:
        async with (
            linked(os.environ.get(COORDINATOR)) as link,
            Transfers(resolver, headers, settings.concurrency) as transfers,
            asyncio.TaskGroup() as group,
        ):
            attempts = Attempts(urls, settings, transfers, results.put, link, opt_outs)
            listening = group.create_task(link.listen())

            async def run(job: Job) -> None:
                if not await attempts.make(job):  # else the slot is the body's, until the consumer is done with it
                    slots.release()

            while await slots.acquire():
                job = await attempts.next()
                if job is None:
                    break
                group.create_task(run(job))
            listening.cancel()
    except BaseExceptionGroup as errors:
        lost, _ = errors.split(CoordinatorError)
        raise lost.exceptions[0] if lost else errors from None


def _user_agent(settings: Ingest) -> str:
    """Who asks, and how to reach them."""
    return f"User-Agent: {settings.agent}" + (f" (+{settings.contact})" if settings.contact else "")
