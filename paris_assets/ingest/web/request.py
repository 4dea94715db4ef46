"""One request of a row: an image, where it was redirected to, or the reason why there is neither."""

from __future__ import annotations

import asyncio
import re
import socket

from paris_assets.config import Ingest
from paris_assets.ingest.fetched import Fetched, is_transient
from paris_assets.ingest.web import robots
from paris_assets.ingest.web.addresses import PrivateAddress
from paris_assets.ingest.web.answer import Answer, BadEncoding, decoded, opted_out, retry_after_s
from paris_assets.ingest.web.host import Job
from paris_assets.ingest.web.transfer import BadAnswer, ConnectionFailed, Transfers
from paris_assets.ingest.web.urls import BadUrl, Url, parse_url, redirected

REDIRECTS = {301, 302, 303, 307, 308}


class Failure(Exception):
    """An attempt failed; `wait_s` is what the server asks to wait, `transient` whether another one may do better."""

    def __init__(self, reason: str, http_status: int | None = None, wait_s: float = 0.0, final: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.http_status, self.wait_s = reason, http_status, wait_s
        self.transient = is_transient(reason) and not final


def target(url: str | None) -> Url:
    """What the url of a source row asks for.

    Raises:
        Failure: it asks for nothing.
    """
    if not (url or "").strip():
        raise Failure("no_url")
    try:
        return parse_url(url or "")
    except BadUrl as error:
        raise Failure("bad_scheme") from error


async def request(job: Job, transfers: Transfers, settings: Ingest) -> Fetched | Url:
    """Ask once, within the time that is left to the attempt.

    Raises:
        Failure: neither an image nor a redirect came.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    unwelcome = {directive.lower() for directive in settings.disallowed_header_directives if not job.is_robots}
    agents = set(re.findall(r"[\w.-]+", settings.agent.lower()))

    def wanted(answer: Answer) -> bool:
        return answer.status is not None and 200 <= answer.status < 300 and not opted_out(answer, unwelcome, agents)

    most = robots.MAX_BYTES if job.is_robots else settings.max_bytes

    try:
        async with asyncio.timeout(job.left_s):
            answer = await transfers.get(job.url, most, wanted, whole=not job.is_robots)
    except TimeoutError as error:
        raise Failure("timeout") from error
    except PrivateAddress as error:
        raise Failure("private_address") from error
    except BadUrl as error:
        raise Failure("bad_scheme") from error
    except BadAnswer as error:
        raise Failure("bad_answer", error.answer.status) from error
    except ConnectionFailed as error:
        raise Failure("connection", error.answer.status, final=error.permanent) from error
    except OSError as error:
        unknown_name = isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME
        raise Failure("connection", final=unknown_name) from error
    finally:
        job.left_s -= loop.time() - start
    return _moved(answer, job, settings) or _body(answer, job, most, wanted(answer))


def _moved(answer: Answer, job: Job, settings: Ingest) -> Url | None:
    location = answer.first("location")
    if answer.status not in REDIRECTS or location is None:
        return None
    if job.redirects >= (robots.MAX_REDIRECTS if job.is_robots else settings.max_redirects):
        raise Failure("too_many_redirects", answer.status)
    try:
        return redirected(job.url, location)
    except BadUrl as error:
        raise Failure("bad_scheme") from error


def _body(answer: Answer, job: Job, most: int, wanted: bool) -> Fetched:
    status = answer.status or 0
    if status < 200 or status >= 300:
        raise Failure(f"http_{status}", status, retry_after_s(answer))
    if not wanted:
        raise Failure("opt_out", status)
    try:
        # Of a robots.txt the beginning counts, and none at all allows everything.
        body = b"" if answer.too_large and not job.is_robots else decoded(answer, most)
    except BadEncoding as error:
        raise Failure("bad_encoding", status) from error
    if not job.is_robots and (answer.too_large or len(body) > most):
        raise Failure("too_large", status)
    if not job.is_robots and not body:
        raise Failure("empty_body", status)
    return Fetched(job.source_row, "ok", None, status, job.attempts, body)
