"""An HTTP answer as it arrives, and what its header says."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pyarrow as pa

from paris_assets.ingest.files.signatures import PROBE_BYTES, is_image

GZIP = b"\x1f\x8b"
MAX_CODINGS = 5  # as curl: each may unpack to the largest body
TDM = "tdm-reservation"
SWITCHING = 101  # the one interim answer that no other follows
# What an agent of an `X-Robots-Tag` is called: no directive that has a value of its own, nor a part of a date.
_AGENT = re.compile(r"(?!unavailable_after$|max-)\S+")


class BadEncoding(ValueError):
    """The body is not in the content coding that the header names."""


class Answer:
    """Collects status, header and body of one answer; interim answers (1xx) and trailers are passed over.

    Args:
        max_bytes: the longest body that is collected.
        wanted: told of the answer once its header is complete; without its consent the body is not read.
        whole: whether a body that is said to be longer is of no use, so that nothing is read of it.
    """

    def __init__(self, max_bytes: int, wanted: Callable[[Answer], bool], whole: bool = True) -> None:
        self.status: int | None = None
        self.body = bytearray()
        self.complete = self.too_large = False
        self._max_bytes, self._wanted, self._whole = max_bytes, wanted, whole
        self._fields: list[tuple[str, bytes]] = []
        self._collects = False

    @property
    def is_settled(self) -> bool:
        """Whether no more of the body is needed: a failure to send it changes nothing."""
        return self.too_large or (self.complete and not self._collects)

    def header_line(self, line: bytes) -> int | None:
        """Take one line of the header, as it was sent; 0 ends the transfer."""
        text = line.rstrip(b"\r\n")
        if self.complete:
            return None
        if text[:5].upper() == b"HTTP/":
            self.status, self._fields = _status(text), []
        elif text[:1] in (b" ", b"\t") and self._fields:
            name, value = self._fields[-1]
            self._fields[-1] = (name, value + b" " + text.strip())
        elif text:
            name, _, value = text.partition(b":")
            self._fields.append((name.strip().lower().decode("latin-1"), value.strip()))
        elif self.status is not None and (self.status >= 200 or self.status == SWITCHING):
            self.complete, self._collects = True, self._wanted(self)
            self.too_large = self._collects and self._whole and self._length() > self._max_bytes
        return 0 if self.too_large else None

    def chunk(self, data: bytes) -> int | None:
        """Take a part of the body; 0 ends the transfer."""
        if not self._collects:
            # What is here already costs nothing and leaves a connection that can be used again.
            return None if self._length() == len(data) else 0
        self.body += data
        self.too_large = len(self.body) > self._max_bytes
        return 0 if self.too_large else None

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

    No coding was asked for, yet some servers use one, and others name one that they do not use. Names that are none
    (`utf-8`, `none`) are passed over as in browsers, and so is every coding where the body is a picture as it is.

    Raises:
        BadEncoding: the body cannot be decoded.
    """
    body = bytes(answer.body)
    names = b",".join(answer.all("content-encoding")).decode("latin-1").lower().split(",")
    for number, name in enumerate(reversed([name.strip() for name in names])):
        if is_image(body[:PROBE_BYTES]):
            break
        if number == MAX_CODINGS:
            raise BadEncoding(f"{len(names)} codings, one round the other")
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

    As img2dataset reads it, `agent: directive, directive`, and as Google describes it: several agents may share a
    field, each for what follows it, and `*` is every agent. `tdm-reservation` is a field of its own
    (https://www.w3.org/community/reports/tdmrep/CG-FINAL-tdmrep-20240510/): 1 reserves all rights of mining.
    """
    if TDM in directives and answer.first(TDM) == b"1":
        return True
    for value in answer.all("x-robots-tag"):
        concerned = True
        for part in value.decode("latin-1").lower().split(","):
            name, colon, directive = map(str.strip, part.partition(":"))
            if colon and _AGENT.fullmatch(name):
                concerned, name = name == "*" or name in agents, directive
            if concerned and name in directives:
                return True
    return False
