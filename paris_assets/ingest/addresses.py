"""Which addresses an image may be fetched from: public ones, and what the profile maps by name.

A web list is written by strangers: a url in it may name a machine of the private network, directly, in an odd notation
(`http://2130706433/`), by redirect, or by a name that resolves there. Every name is resolved here, every address
it gives is checked, and the connection goes to the checked address: no second DNS answer (rebinding) is ever asked for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping

from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddress(ValueError):
    """The host is, or resolves to, an address that is not public."""


def is_public(address: Address) -> bool:
    """Whether the address, and any IPv4 address carried inside an IPv6 one, is globally routable unicast."""
    carried: list[Address | None] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
        teredo = address.teredo[1] if address.teredo else None
        carried = [address.ipv4_mapped or address, address.sixtofour, teredo, nat64]
    return all(one.is_global and not one.is_multicast for one in carried if one is not None)


def literal_address(host: str) -> Address | None:
    """The address that a url's host is written as, or None for a name.

    Accepts what the system's resolver accepts: dotted, decimal, octal and hexadecimal IPv4, and IPv6 with or without
    brackets and zone.
    """
    host = host.strip("[]")
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def check_host(host: str) -> None:
    """Refuse a host written as a private address (names are checked when they are resolved).

    Raises:
        PrivateAddress: the address is not public.
    """
    address = literal_address(host)
    if address is not None and not is_public(address):
        raise PrivateAddress(f"{host} is the private address {address}")


def parse_routes(resolve: Mapping[str, str], server: str | None) -> dict[str, tuple[str, int]]:
    """The profile's `ingest.resolve` as host name -> (address, port).

    Args:
        resolve: host name -> `serve` or `address:port`, as curl's `--connect-to`.
        server: `address:port` of the loopback web server, for the hosts mapped to `serve`.

    Raises:
        ValueError: `serve` without a server, or a target that is not `address:port`.
    """
    routes: dict[str, tuple[str, int]] = {}
    for name, target in resolve.items():
        if target == "serve" and server is None:
            raise ValueError(f"ingest.resolve maps {name} to `serve`, but ingest.serve names no folder to serve")
        address, _, port = (server if target == "serve" and server else target).rpartition(":")
        if literal_address(address) is None or not port.isdigit():
            raise ValueError(f"ingest.resolve: {name}: {target!r} is neither `serve` nor `address:port`")
        routes[name.lower()] = (address.strip("[]"), int(port))
    return routes


class PublicResolver(AbstractResolver):
    """Resolves names to public addresses only; names in `routes` go where the profile says."""

    def __init__(self, routes: Mapping[str, tuple[str, int]]) -> None:
        self.routes = routes

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses of `host`, each checked.

        Raises:
            PrivateAddress: one of the addresses is not public.
            OSError: the name does not resolve.
        """
        if host.lower() in self.routes:
            address, port = self.routes[host.lower()]
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return [_result(host, address, port, family)]
        loop = asyncio.get_running_loop()
        answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        for *_, sockaddr in answers:
            if not is_public(ipaddress.ip_address(str(sockaddr[0]).partition("%")[0])):
                raise PrivateAddress(f"{host} resolves to the private address {sockaddr[0]}")
        return [_result(host, str(sockaddr[0]), port, answer) for answer, *_, sockaddr in answers]

    async def close(self) -> None:
        """Nothing is held."""


def _result(host: str, address: str, port: int, family: int) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
