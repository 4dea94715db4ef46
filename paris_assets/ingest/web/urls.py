"""Urls as they are sent: what was written, byte for byte, but for what no request can carry.

Servers sign and match the exact target, so no escape is decoded, encoded anew or changed in case. Like browsers and
curl, and unlike most url libraries, this quotes only what would end the request line or is no ASCII, and removes `.`
and `..` segments. Hosts become ASCII as in browsers (UTS 46, https://www.unicode.org/reports/tr46/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from paris_assets.ingest.web.addresses import host_of

PORTS = {"http": 80, "https": 443}
MAX_TARGET = 1_000_000  # characters; no server reads more, and libcurl takes no more than 8 million
# What browsers quote (https://url.spec.whatwg.org/#percent-encoded-bytes); all else is sent as written.
_QUOTED_IN_PATH = re.compile(rb'[\x00-\x20"<>`{}\x7f-\xff]')
_QUOTED_IN_QUERY = re.compile(rb'[\x00-\x20"<>\x7f-\xff]')
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_AROUND = "".join(map(chr, range(0x21)))  # controls and spaces that surround a url are no part of it
_LINE_BREAKS = dict.fromkeys(map(ord, "\t\r\n"))  # nor are those within it, where a page broke the line


class BadUrl(ValueError):
    """Not an absolute http or https url with a host."""


@dataclass(frozen=True)
class Url:
    """What is needed to ask for a url; user names, passwords and fragments are never sent.

    Attributes:
        scheme: ``http`` or ``https``.
        host: ASCII name in lower case without a dot at the end, or an address, an IPv6 one without brackets.
        port: the port written, or the scheme's.
        target: path and query as they are sent; starts with ``/``.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        """Scheme, host and, where it is not the scheme's own, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")


def parse_url(text: str) -> Url:
    """A url of a list.

    Raises:
        BadUrl: it is none that could be fetched.
    """
    scheme, rest = _split_scheme(_cleaned(text))
    return _absolute(scheme, rest)


def redirected(base: Url, location: bytes) -> Url:
    """Where a `Location` leads: an absolute url, or one relative to `base`. Bytes beyond ASCII are sent as they are,
    quoted, so that Latin-1 stays Latin-1.

    Raises:
        BadUrl: it leads to nothing that could be fetched.
    """
    text = _cleaned(location.decode("ascii", "surrogateescape"))
    scheme, rest = _split_scheme(text)
    if scheme or rest.startswith("//"):
        return _absolute(scheme or base.scheme, rest)
    path, mark, query = base.target.partition("?")
    if rest.startswith("/"):
        target = rest
    elif rest.startswith("?"):
        target = path + rest
    else:
        target = path.rpartition("/")[0] + "/" + rest if rest else path + mark + query
    return Url(base.scheme, base.host, base.port, _sent(target))


def _cleaned(text: str) -> str:
    return text.strip(_AROUND).translate(_LINE_BREAKS).partition("#")[0]


def _split_scheme(text: str) -> tuple[str, str]:
    """Scheme in lower case, or "" without one, and what follows it."""
    found = _SCHEME.match(text)
    return (found[1].lower(), text[found.end() :]) if found else ("", text)


def _absolute(scheme: str, rest: str) -> Url:
    if scheme not in PORTS or not rest.startswith("//"):
        raise BadUrl(f"{scheme}:{rest} is no http or https url")
    authority = re.split("[/?]", rest[2:], maxsplit=1)[0]
    found = _AUTHORITY.fullmatch(authority.rpartition("@")[2])
    if found is None or "\\" in authority:
        raise BadUrl(f"{authority} is no host")
    port = int(found[2] or PORTS[scheme])
    if not 0 < port < 65536:
        raise BadUrl(f"{port} is no port")
    try:
        host = host_of(found[1])
    except ValueError as error:
        raise BadUrl(str(error)) from error
    return Url(scheme, host, port, _sent(rest[2 + len(authority) :]))


def _sent(target: str) -> str:
    """Path and query as they are sent."""
    try:
        path, mark, query = target.encode("utf-8", "surrogateescape").partition(b"?")
    except UnicodeEncodeError as error:
        raise BadUrl(f"{target!r} is no text") from error
    path = _without_dots(_QUOTED_IN_PATH.sub(_percent, path))
    sent = (path + mark + _QUOTED_IN_QUERY.sub(_percent, query)).decode("ascii")
    if len(sent) > MAX_TARGET:
        raise BadUrl(f"{len(sent)} characters are no url that a server reads")
    return sent


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def _without_dots(path: bytes) -> bytes:
    """The path without `.` and `..` segments (RFC 3986, 5.2.4); empty segments stay."""
    segments = (path.removeprefix(b"/")).split(b"/")
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
