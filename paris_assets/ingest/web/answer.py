"""An HTTP answer as it arrives, and what its header says."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pyarrow as pa

GZIP = b"\x1f\x8b"


class BadEncoding(ValueError):
    """The body is not in the content coding that the header names."""


class Answer:
    """Collects status, header and body of one answer; interim answers (1xx) and trailers are passed over.

    Args:
        max_bytes: the longest body that is collected.
        wanted: told of the answer once its header is complete; without its consent the body is not read.
    """

    def __init__(self, max_bytes: int, wanted: Callable[[Answer], bool]) -> None:
        self.status: int | None = None
        self.body = bytearray()
        self.cut = self.too_large = False
        self._max_bytes, self._wanted = max_bytes, wanted
        self._fields: list[tuple[str, bytes]] = []
        self._complete = self._collects = False

    def header_line(self, line: bytes) -> int | None:
        """Take one line of the header, as it was sent; 0 ends the transfer."""
        text = line.rstrip(b"\r\n")
        if self._complete:
            return None
        if text[:5].upper() == b"HTTP/":
            self.status, self._fields = _status(text), []
        elif text[:1] in (b" ", b"\t") and self._fields:
            name, value = self._fields[-1]
            self._fields[-1] = (name, value + b" " + text.strip())
        elif text:
            name, _, value = text.partition(b":")
            self._fields.append((name.strip().lower().decode("latin-1"), value.strip()))
        elif self.status is not None and self.status >= 200:
            self._complete, self._collects = True, self._wanted(self)
            if self._collects and self._length() > self._max_bytes:
                self.cut = self.too_large = True
                return 0
        return None

    def chunk(self, data: bytes) -> int | None:
        """Take a part of the body; 0 ends the transfer."""
        if not self._collects:
            # What is here already costs nothing and leaves a connection that can be used again.
            self.cut = self._length() != len(data)
            return 0 if self.cut else None
        self.body += data
        self.cut = self.too_large = len(self.body) > self._max_bytes
        return 0 if self.cut else None

    def first(self, name: str) -> bytes | None:
        """The value of the first field of a name, in lower case, or None."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[bytes]:
        """The values of all fields of a name, in lower case."""
        return [value for field, value in self._fields if field == name]

    def _length(self) -> int:
        value = self.first("content-length") or b""
        return int(value[:20]) if value.isdigit() else 0


def _status(line: bytes) -> int | None:
    parts = line.split(None, 2)
    return int(parts[1][:3]) if len(parts) > 1 and parts[1][:3].isdigit() else None


def decoded(answer: Answer, max_bytes: int) -> bytes:
    """The body without the content codings of its header, at most `max_bytes` + 1 of it.

    No coding was asked for, yet some servers use one. Names that are none (`utf-8`, `none`) are passed over as in
    browsers, and so is gzip where the body is not.

    Raises:
        BadEncoding: the body cannot be decoded.
    """
    body = bytes(answer.body)
    names = b",".join(answer.all("content-encoding")).decode("latin-1").lower().split(",")
    for name in reversed([name.strip() for name in names]):
        try:
            body = _decoded(body, name.removeprefix("x-"), max_bytes + 1)
        except (zlib.error, OSError) as error:
            raise BadEncoding(f"the body is not {name}") from error
        if len(body) > max_bytes:
            break
    return body


def _decoded(body: bytes, coding: str, limit: int) -> bytes:
    if coding in ("gzip", "deflate") and body.startswith(GZIP):
        return _inflated(body, 31, limit)
    if coding == "deflate" and body:
        zlib_header = body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
        return _inflated(body, 15 if zlib_header else -15, limit)  # some send the bare stream
    if coding in ("br", "zstd") and body:
        with pa.CompressedInputStream(io.BytesIO(body), {"br": "brotli"}.get(coding, coding)) as stream:
            return stream.read(limit)
    return body


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    """As much as there is: a missing end or bytes after it are no error, as in browsers."""
    whole = bytearray()
    while len(whole) < limit and body:
        stream = zlib.decompressobj(window)
        whole += stream.decompress(body, limit - len(whole))
        body = stream.unused_data if stream.unused_data.startswith(GZIP) else b""
    return bytes(whole)


def retry_after_s(answer: Answer) -> float:
    """Seconds that `Retry-After` asks for (a number or an HTTP date); 0 where it is absent or unreadable."""
    value = (answer.first("retry-after") or b"").decode("latin-1")
    if value.isdecimal() and value.isascii():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def opted_out(answer: Answer, directives: Collection[str], agents: Collection[str]) -> bool:
    """Whether an `X-Robots-Tag` holds one of the directives, for all or for one of the user agents; all in lower case.

    As img2dataset reads it: one agent at most per field, `agent: directive, directive`.
    """
    for value in answer.all("x-robots-tag"):
        agent, colon, rest = value.decode("latin-1").lower().partition(":")
        given = {part.strip() for part in (rest if colon else agent).split(",")}
        if (not colon or agent.strip() in agents) and not given.isdisjoint(directives):
            return True
    return False
