"""The members of anybody's tar, read to where it breaks: ustar, GNU and pax, as strangers write them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512
MOST_HEADER_BYTES = 1 << 20
PLAIN, FOLDER = "file", "folder"
_KINDS = {b"0": PLAIN, b"\0": PLAIN, b"7": PLAIN, b"5": FOLDER, b"1": "hard link", b"2": "symbolic link",
          b"3": "device", b"4": "device", b"6": "pipe", b"S": "sparse file"}  # fmt: skip


class BrokenTar(ValueError):
    """Where a tar breaks.

    Attributes:
        kind: of problem: `truncated` or `damaged`.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class Header(NamedTuple):
    """A member: its name as bytes say it, what it is, and the place of its content."""

    name: bytes
    kind: str
    offset: int
    size: int


class _Next(NamedTuple):
    """What headers say of the member that follows them."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False


def headers(view: mmap.mmap | bytes) -> Iterator[Header]:
    """Members in order, up to the end mark.

    Raises:
        BrokenTar: (after all members before it) a header or member that is cut off or damaged, or no end mark.
    """
    at, told = 0, _Next()
    while True:
        block = view[at : at + BLOCK]
        if len(block) < BLOCK:
            raise BrokenTar("truncated", f"no end mark after byte {min(at, len(view))}: it was cut off there")
        if not block.strip(b"\0"):
            return
        name, size, kind = _header(block, at)
        start, told_size = at + BLOCK, size if told.size is None else told.size
        if start + told_size > len(view):
            said = name.decode(errors="replace")
            raise BrokenTar("truncated", f"{said} is cut off: {start + told_size - len(view)} bytes are missing")
        at = start + -(-told_size // BLOCK) * BLOCK
        if kind in (b"L", b"x", b"X", b"g", b"K"):
            told = told if kind in (b"g", b"K") else _told(view[start : start + size], kind, told, start)
            continue
        shown = "sparse file" if told.sparse else _KINDS.get(kind, f"member of type {kind.decode('latin1')!r}")
        yield Header(told.name if told.name is not None else name, shown, start, told_size)
        told = _Next()


def end_of(view: mmap.mmap | bytes, last: Header | None) -> int:
    """Where the end mark after a member begins."""
    return 0 if last is None else last.offset + -(-last.size // BLOCK) * BLOCK


def _header(block: bytes, at: int) -> tuple[bytes, int, bytes]:
    """Name, size and type."""
    try:
        checksum = int(block[148:156].rstrip(b"\0 ").lstrip(b"\0 "), 8)
        size = _number(block[124:136])
    except ValueError as error:
        raise BrokenTar("damaged", f"no header of a member at byte {at}") from error
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if checksum != unsigned or size < 0:
        raise BrokenTar("damaged", f"no header of a member at byte {at}: its checksum is wrong")
    name, prefix = block[:100].split(b"\0", 1)[0], b""
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
    return (prefix + b"/" + name if prefix else name), size, block[156:157]


def _number(held: bytes) -> int:
    """An octal number, or GNU's binary one."""
    if held[0] in (0x80, 0xFF):
        return int.from_bytes(held[1:], "big", signed=held[0] == 0xFF)
    return int(held.strip(b"\0 ") or b"0", 8)


def _told(content: bytes, kind: bytes, told: _Next, at: int) -> _Next:
    if len(content) > MOST_HEADER_BYTES:
        raise BrokenTar("damaged", f"a header of {len(content)} bytes at byte {at}")
    if kind == b"L":
        return told._replace(name=content.split(b"\0", 1)[0])
    try:
        for keyword, value in _pax(content):
            if keyword == b"path":
                told = told._replace(name=value)
            elif keyword == b"size":
                told = told._replace(size=int(value))
            elif keyword.startswith(b"GNU.sparse"):
                told = told._replace(sparse=True, **({"name": value} if keyword == b"GNU.sparse.name" else {}))
    except ValueError as error:
        raise BrokenTar("damaged", f"a pax header that cannot be read at byte {at}") from error
    return told


def _pax(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    while content.strip(b"\0"):
        length = content.partition(b" ")[0]
        record = content[: int(length)]
        if int(length) <= len(length) + 1:
            raise ValueError("a record without content")
        keyword, _, value = record[len(length) + 1 : -1].partition(b"=")
        yield keyword, value
        content = content[int(length) :]
