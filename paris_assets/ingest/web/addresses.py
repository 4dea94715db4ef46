"""Which addresses an image may be fetched from: public ones, and what the profile maps by name.

A web list is written by strangers: a url in it may name a machine of the private network, directly, in an odd notation
(`http://2130706433/`), by redirect, or by a name that resolves there. Every name is resolved here, every address
it gives is checked, and the connection goes to the checked address: no second DNS answer (rebinding) is ever asked for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import time
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import idna

from paris_assets.config import ProfileError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# IPv6 addresses outside are local, reserved, or wrap an IPv4 address (`::127.0.0.1`, `64:ff9b:1::/48`).
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Public by number, yet answered by the own network or host: protocol and 6to4 relay anycast, Azure's metadata
# service, and a documentation prefix that Python 3.11 does not know.
LOCAL = [ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32", "3fff::/20")]

_IN_NO_HOST = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")


class PrivateAddress(ValueError):
    """The host is, or resolves to, an address that is not public."""


def is_public(address: Address) -> bool:
    """Whether the address, and any IPv4 address carried inside an IPv6 one, is globally routable unicast."""
    if isinstance(address, ipaddress.IPv4Address) or address in GLOBAL_UNICAST:
        own = address.is_global and not address.is_multicast and not any(address in network for network in LOCAL)
    else:
        own = bool(address.ipv4_mapped) or address in NAT64
    return own and all(is_public(inner) for inner in _carried(address))


def _carried(address: Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses inside an IPv6 one: mapped, 6to4, NAT64 (Teredo is not public to begin with)."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
    return [inner for inner in (address.ipv4_mapped, address.sixtofour, nat64) if inner is not None]


def literal_address(host: str) -> Address | None:
    """The address that a url's host is written as, or None for a name.

    Accepts what the system's resolver accepts: dotted, decimal, octal and hexadecimal IPv4, and IPv6 with or without
    brackets and zone; dots at the end, which make a name absolute, are no part of it.
    """
    host = host.strip("[]").rstrip(".")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):  # not an address; characters that none has
        return None


def ascii_host(text: str) -> str:
    """The host name that a url's host stands for, as name servers know it: ASCII, lower case, no dot at the end.

    Takes every spelling that browsers take (escapes, UTS 46: https://www.unicode.org/reports/tr46/).

    Raises:
        ValueError: no host is written so.
    """
    try:
        name = unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode()
        if not name.isascii():
            name = idna.uts46_remap(name, std3_rules=False, transitional=False)
    except (UnicodeError, idna.IDNAError) as error:
        raise ValueError(f"{text!r} is no host name") from error
    name = ".".join(map(_ascii_label, name.lower().split("."))).rstrip(".")
    if not name or _IN_NO_HOST.search(name):
        raise ValueError(f"{text!r} is no host name")
    return name


def host_of(text: str) -> str:
    """The host that is written so, in the one spelling by which it is known here: its ASCII name, or its address (an
    IPv6 one is written in brackets and known without).

    Raises:
        ValueError: no host is written so.
    """
    if text.startswith("["):
        address = literal_address(text)
        if address is None:
            raise ValueError(f"{text!r} is no IPv6 address")
        return str(address)
    name = ascii_host(text)
    address = literal_address(name)
    return name if address is None else str(address)


def _ascii_label(label: str) -> str:
    # Not `idna.alabel`: it refuses what browsers take, such as symbols and `_` beside other letters.
    return label if label.isascii() else "xn--" + label.encode("punycode").decode()


def check_host(host: str) -> None:
    """Refuse a host written as a private address (names are checked when they are resolved).

    Raises:
        PrivateAddress: the address is not public.
    """
    address = literal_address(host)
    if address is not None and not is_public(address):
        raise PrivateAddress(f"{host} is the private address {address}")


def parse_routes(resolve: Mapping[str, str], server: str | None) -> dict[str, tuple[str, int]]:
    """The profile's `ingest.resolve` as host, as `host_of` gives it, -> (address, port).

    Args:
        resolve: name or address of a host -> `serve` or `address:port`, as curl's `--connect-to`.
        server: `address:port` of the loopback web server, for the hosts mapped to `serve`.

    Raises:
        ProfileError: `serve` without a server, a target that is not `address:port`, or no host.
    """
    routes: dict[str, tuple[str, int]] = {}
    for name, target in resolve.items():
        if target == "serve" and server is None:
            raise ProfileError(f"ingest.resolve maps {name} to `serve`, but ingest.serve names no folder to serve")
        address, _, port = (server if target == "serve" and server else target).rpartition(":")
        if literal_address(address) is None or not port.isdigit():
            raise ProfileError(f"ingest.resolve: {name}: {target!r} is neither `serve` nor `address:port`")
        routes[routed_host(name)] = (address.strip("[]"), int(port))
    return routes


def routed_host(name: str) -> str:
    """The host that a key of `ingest.resolve` means; an IPv6 address may lack its brackets.

    Raises:
        ProfileError: it is no host.
    """
    try:
        return host_of(f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name)
    except ValueError as error:
        raise ProfileError(f"ingest.resolve: {name!r} is no host: give its name or its address, no port") from error


class PublicResolver:
    """Resolves names to public addresses only; hosts in `routes` go where the profile says."""

    def __init__(self, routes: Mapping[str, tuple[str, int]], keep_s: float = 60.0) -> None:
        self.routes = routes
        self._keep_s = keep_s
        self._known: dict[str, tuple[float, asyncio.Task[list[str]]]] = {}

    async def resolve(self, host: str) -> list[str]:
        """Addresses of `host`, as `ascii_host` gives it, each checked; name servers are asked again after a minute.

        Raises:
            PrivateAddress: one of the addresses is not public.
            OSError: the name does not resolve.
        """
        now = time.monotonic()
        until, task = self._known.get(host, (0.0, None))
        if task is None or until < now or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(self._ask(host))
            self._known[host] = (now + self._keep_s, task)
        return list(await asyncio.shield(task))  # several may wait for it: one that gives up takes it from nobody

    async def _ask(self, host: str) -> list[str]:
        if host.rpartition(".")[2] == "localhost":  # RFC 6761: loopback, whatever a name server says
            raise PrivateAddress(f"{host} is this machine")
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except ValueError as error:  # a label that is empty or too long, a NUL: no name server is asked
            raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name") from error
        addresses = [str(sockaddr[0]) for *_, sockaddr in answers]
        for address in addresses:
            if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                raise PrivateAddress(f"{host} resolves to the private address {address}")
        return addresses

    def open_socket(self, family: int, kind: int, protocol: int, target: tuple[str, int]) -> socket.socket:
        """A socket for one connection: the last look at where it goes, however the address was found.

        Args:
            target: (address, port).

        Raises:
            PrivateAddress: the target is neither public nor an address that the profile maps a name to.
        """
        address = literal_address(target[0])
        if target not in self.routes.values() and (address is None or not is_public(address)):
            raise PrivateAddress(f"{target[0]} is not a public address")
        return socket.socket(family, kind, protocol)
