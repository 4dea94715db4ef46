"""The members of a tar by position, read without unpacking it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

BLOCK = 512


class Bytes(Protocol):
    """A file's bytes by position: a ``mmap``, bytes, or what fetches them."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class TornTar(ValueError):
    """A tar that ends early, or holds what is no plain member; the message says where."""


class Member(NamedTuple):
    """A member's name, and the place of its content in the tar."""

    name: str
    offset: int
    size: int

    @property
    def key(self) -> str:
        """The sample that it belongs to."""
        return self.name.partition(".")[0]


def members(view: Bytes) -> Iterator[Member]:
    """Plain members of a tar in order.

    Raises:
        TornTar: a header or member that is cut off or damaged, one that is no plain file, or no end of archive.
    """
    at = 0
    while header := view[at : at + BLOCK]:
        if len(header) < BLOCK:
            break
        if not header.strip(b"\0"):
            if view[at + BLOCK :].strip(b"\0"):
                raise TornTar(f"data after the end of the archive at byte {at}")
            return
        name, size = _header(header, at)
        if at + BLOCK + size > len(view):
            raise TornTar(f"member {name} cut off: it needs {at + BLOCK + size} bytes, the file has {len(view)}")
        yield Member(name, at + BLOCK, size)
        at += BLOCK + -(-size // BLOCK) * BLOCK
    raise TornTar(f"no end of archive after byte {min(at, len(view))}")


def _header(header: bytes, at: int) -> tuple[str, int]:
    try:
        name = header[:100].rstrip(b"\0").decode()
        size, checksum = (int(field.rstrip(b"\0 "), 8) for field in (header[124:136], header[148:156]))
    except ValueError as error:
        raise TornTar(f"a damaged header at byte {at}") from error
    if sum(header) - sum(header[148:156]) + 8 * 32 != checksum or size < 0:
        raise TornTar(f"a damaged header at byte {at}")
    if header[156:157] not in (b"0", b"\0"):
        raise TornTar(f"member {name!r} of type {header[156:157].decode('latin1')!r} at byte {at}")
    return name, size
