"""One HTTP request at a time for each caller, by libcurl: it reads what curl reads.

Names are resolved and checked here (`addresses`), every connection goes to a checked address, and nothing of the user's
own is used: no cookies, no netrc, no proxy. Redirects are answers like any other.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from typing import Any, Self

import pycurl

from paris_assets.ingest.web.addresses import PrivateAddress, PublicResolver, check_host, literal_address
from paris_assets.ingest.web.answer import Answer
from paris_assets.ingest.web.urls import BadUrl, Url

READ_AT_ONCE = 65_536
WEIRD_SERVER_REPLY, TOO_LARGE = 8, 100  # codes of libcurl that pycurl does not name


class ConnectionFailed(Exception):
    """No complete answer came; it may at another time, unless `permanent` (a certificate that does not verify)."""

    def __init__(self, message: str, answer: Answer, permanent: bool = False) -> None:
        super().__init__(message)
        self.answer, self.permanent = answer, permanent


class BadAnswer(Exception):
    """What came is not HTTP as curl reads it; `answer` holds the status, where one was read."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


class Transfers:
    """Requests on the running event loop, over connections that are kept for the next one to the same host.

    Args:
        resolver: where hosts lie.
        headers: header lines of every request.
        connections: how many are kept.
    """

    def __init__(self, resolver: PublicResolver, headers: list[str], connections: int) -> None:
        self._resolver, self._headers = resolver, headers
        self._multi = pycurl.AsyncCurlMulti()  # type: ignore[attr-defined]  (the stubs are of an older one)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._idle: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._multi.aclose()

    async def get(self, url: Url, max_bytes: int, wanted: Callable[[Answer], bool], whole: bool = True) -> Answer:
        """The answer to one GET.

        Args:
            max_bytes: a body above is cut off: `Answer.too_large`.
            wanted: told of status and header; without its consent the body is not read.
            whole: whether a body that is said to be longer is of no use.

        Raises:
            PrivateAddress: the host is, or resolves to, an address that is not public.
            ConnectionFailed: no complete answer.
            BadAnswer: the answer cannot be read.
            BadUrl: the host is none that libcurl takes.
            OSError: the name does not resolve.
        """
        answer = Answer(max_bytes, wanted, whole)
        places = await self._places(url)
        curl = self._idle.pop() if self._idle else self._handle()
        refused: list[PrivateAddress] = []
        self._prepare(curl, url, answer, places, refused)
        try:
            await self._multi.add_handle(curl)
        except pycurl.error as error:
            if refused:
                raise refused[0] from error
            if not answer.is_settled:
                raise _failure(error, answer) from error
        if not answer.complete:
            raise ConnectionFailed("the answer ends within its header", answer)
        for option in (pycurl.HEADERFUNCTION, pycurl.WRITEFUNCTION):
            curl.setopt(option, _nothing)  # an idle handle holds no body
        self._idle.append(curl)  # not where it was given up: libcurl lets go of it a moment later
        return answer

    async def _places(self, url: Url) -> tuple[list[str], list[str]]:
        """Values of CONNECT_TO and RESOLVE that lead to the checked addresses of a host."""
        if url.host in self._resolver.routes:
            address, port = self._resolver.routes[url.host]
            return [f"{_bracketed(url.host)}:{url.port}:{_bracketed(address)}:{port}"], []
        check_host(url.host)
        if literal_address(url.host) is not None:
            return [], []
        addresses = ",".join(map(_bracketed, await self._resolver.resolve(url.host)))
        return [], [f"+{url.host}:{url.port}:{addresses}"]

    def _handle(self) -> Any:
        """A handle with the options that all requests have."""
        curl = pycurl.Curl()
        for option, value in [*_ALWAYS, *_AUTHORITIES, (pycurl.HTTPHEADER, [line.encode() for line in self._headers])]:
            curl.setopt(option, value)
        return curl

    def _prepare(
        self, curl: Any, url: Url, answer: Answer, places: tuple[list[str], list[str]], refused: list[PrivateAddress]
    ) -> None:
        """Give a handle its request; `refused` will hold why a connection was not opened."""

        def open_socket(_: int, target: Any) -> socket.socket | int:
            try:
                return self._resolver.open_socket(target.family, target.socktype, target.protocol, target.addr[:2])
            except PrivateAddress as error:
                refused.append(error)
                return pycurl.SOCKET_BAD

        for option, value in zip((pycurl.CONNECT_TO, pycurl.RESOLVE), places, strict=True):
            curl.setopt(option, value) if value else curl.unsetopt(option)  # pycurl takes [] for no change
        curl.setopt(pycurl.URL, url.origin + "/")
        curl.setopt(pycurl.REQUEST_TARGET, url.target)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, open_socket)
        curl.setopt(pycurl.HEADERFUNCTION, answer.header_line)
        curl.setopt(pycurl.WRITEFUNCTION, answer.chunk)


_ALWAYS: list[tuple[int, Any]] = [
    (pycurl.NOSIGNAL, 1),
    (pycurl.PROXY, ""),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.HTTP09_ALLOWED, 0),
    (pycurl.HTTP_CONTENT_DECODING, 0),  # `answer` reads what libcurl refuses
    (pycurl.BUFFERSIZE, READ_AT_ONCE),
]
# Certificates are checked against what Python trusts: the wheel's OpenSSL does not know where this system keeps it.
_TRUSTED = ssl.get_default_verify_paths()
_AUTHORITIES = [
    (option, place)
    for option, place in ((pycurl.CAINFO, _TRUSTED.cafile), (pycurl.CAPATH, _TRUSTED.capath))
    if place is not None
]


def _nothing(_: bytes) -> None:
    """Takes what comes when nothing is asked for."""


def _failure(error: pycurl.error, answer: Answer) -> Exception:
    """What an error of libcurl says about the answer."""
    code, message = int(error.args[0]), str(error.args[-1])
    unreadable = {pycurl.E_UNSUPPORTED_PROTOCOL, WEIRD_SERVER_REPLY, TOO_LARGE, pycurl.E_BAD_CONTENT_ENCODING}
    if code == pycurl.E_URL_MALFORMAT:
        return BadUrl(message)
    # Broken chunks and endless headers have the code of a broken connection.
    if code in unreadable or (code == pycurl.E_RECV_ERROR and re.search("chunk|response headers", message)):
        return BadAnswer(message, answer)
    return ConnectionFailed(message, answer, permanent=code == pycurl.E_PEER_FAILED_VERIFICATION)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
