from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paris_assets.ingest.web.addresses import (
    PrivateAddress,
    PublicResolver,
    check_host,
    is_public,
    literal_address,
    parse_routes,
)

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
    "224.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "017700000001", "::1", "[::1]", "::",
    "fe80::1", "fe80::1%lo", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:a00:1", "2002:7f00:1::",
    "64:ff9b::10.0.0.1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
    "::127.0.0.1", "::8.8.8.8", "64:ff9b:1::8.8.8.8", "::ffff:0:127.0.0.1", "fec0::1", "100::1", "2001:db8::1",
    "3fff::1", "5f00::1", "fd00:ec2::254", "192.0.0.9", "192.0.0.192", "192.88.99.1", "198.18.0.1", "203.0.113.1",
    "240.0.0.1", "168.63.129.16", "100.100.100.200", "127.0.0.1.", "127.0.0.1..", "2130706433.", "0x7f.1.",
    "[::1%25lo]", "fe80::1%25eth0", "127.0.0.1 x", "0",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "134744072", "1.1", "2606:4700:4700::1111", "[2606:4700::1]", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("host", PRIVATE)
def test_private_literals_are_refused_in_every_notation(host: str) -> None:
    with pytest.raises(PrivateAddress):
        check_host(host)


@pytest.mark.parametrize("host", [*PUBLIC, "example.com", "localhost", "1.2.3.4.5", "münchen.example", "a\0b"])
def test_public_literals_and_names_pass_the_literal_check(host: str) -> None:
    assert check_host(host) is None


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_all_notations_of_an_address_are_the_same_address(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    a, b, c, d = address.packed
    notations = [
        str(address),
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a:#x}.{b}.{c}.{d}",
        f"0{a:o}.{b}.{c * 256 + d}",
    ]
    assert {literal_address(text) for text in notations} == {address}
    mapped, six_to_four = f"::ffff:{address}", ipaddress.IPv6Address((0x2002 << 112) | (number << 80))
    assert literal_address(f"[{mapped}]") == ipaddress.IPv6Address(mapped)
    assert is_public(ipaddress.IPv6Address(mapped)) == is_public(address)
    assert is_public(address) or not is_public(six_to_four)


def _resolve(resolver: PublicResolver, host: str) -> list[str]:
    return asyncio.run(resolver.resolve(host))


def test_a_name_that_resolves_to_loopback_is_refused() -> None:
    with pytest.raises(PrivateAddress, match="localhost"):
        _resolve(PublicResolver({}), "localhost")


def test_routes_are_known_by_the_names_that_are_asked_for() -> None:
    names = {"LocalHost": "serve", "other.example.": "127.0.0.1:99", "MÜNCHEN.example": "[::1]:80"}
    routes = {
        "localhost": ("127.0.0.1", 4321),
        "other.example": ("127.0.0.1", 99),
        "xn--mnchen-3ya.example": ("::1", 80),
    }
    assert parse_routes(names, "127.0.0.1:4321") == routes


def test_an_address_is_a_host_in_each_of_its_spellings() -> None:
    for name in ("127.0.0.1", "127.1", "2130706433", "127.0.0.1."):
        assert parse_routes({name: "127.0.0.1:99"}, None) == {"127.0.0.1": ("127.0.0.1", 99)}
    for name in ("::1", "[::1]", "[0::0:1]"):
        assert parse_routes({name: "[::1]:99"}, None) == {"::1": ("::1", 99)}


@pytest.mark.parametrize("name", ["a b", "", "127.0.0.1:80", "[::1]:80", "[a]", "http://photos.example"])
def test_what_is_no_host_is_no_key_of_resolve(name: str) -> None:
    with pytest.raises(ValueError, match=r"ingest\.resolve: .* is no host: give its name or its address, no port"):
        parse_routes({name: "127.0.0.1:99"}, None)


@pytest.mark.parametrize("name", ["localhost", "photos.localhost", "a.b.localhost"])
def test_names_of_this_machine_are_not_asked_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: pytest.fail("asked for"))
    with pytest.raises(PrivateAddress, match="this machine"):
        _resolve(PublicResolver({}), name)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", "a\0b.example"])
def test_a_name_that_cannot_be_asked_for_does_not_exist(name: str) -> None:
    with pytest.raises(socket.gaierror) as caught:
        _resolve(PublicResolver({}), name)
    assert caught.value.errno == socket.EAI_NONAME


@pytest.mark.parametrize("addresses", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"]])
def test_one_private_answer_among_public_ones_refuses_the_name(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: answers)
    with pytest.raises(PrivateAddress, match=r"10\.0\.0\.1"):
        _resolve(PublicResolver({}), "mixed.example")


def test_the_connection_gets_the_checked_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "8.8.4.4")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: answers)
    assert _resolve(PublicResolver({}), "dns.example") == ["8.8.8.8", "8.8.4.4"]


def _open(resolver: PublicResolver, address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    resolver.open_socket(family, socket.SOCK_STREAM, 6, (address, port)).close()


def test_no_socket_is_opened_towards_a_private_address() -> None:
    resolver = PublicResolver(parse_routes({"photos.example": "127.0.0.1:4321", "six.example": "[::1]:80"}, None))
    for address, port in [("8.8.8.8", 80), ("127.0.0.1", 4321), ("::1", 80)]:
        _open(resolver, address, port)
    for address, port in [("127.0.0.1", 4322), ("127.0.0.2", 4321), ("::1", 81), ("10.0.0.1", 80), ("1.2.3.4.5", 80)]:
        with pytest.raises(PrivateAddress, match="not a public address"):
            _open(resolver, address, port)


@pytest.mark.parametrize("target", ["example.com:80", "127.0.0.1", "127.0.0.1:http", ""])
def test_a_route_must_be_an_address_with_a_port(target: str) -> None:
    with pytest.raises(ValueError, match=r"photos\.example"):
        parse_routes({"photos.example": target}, None)


def test_serve_without_a_served_folder_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"ingest\.serve"):
        parse_routes({"photos.example": "serve"}, None)
