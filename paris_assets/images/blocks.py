"""What an image file says beside its pixels: the named parts of a JPEG, PNG or WebP, without decoding it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from paris_assets.images import jpeg

MAX_TEXT_BYTES = 4_000_000  # that the compressed texts of a PNG may unpack to, together
MAX_BLOCKS = 4096  # that are looked at; a picture of 20 MB with metadata in full segments of JPEG has about 300

_PNG, _PNG_HEAD = b"\x89PNG\r\n\x1a\n", 8
_CRC_BYTES = 4
_ENCODINGS = {b"tEXt": "latin-1", b"zTXt": "latin-1", b"iTXt": "utf-8"}


class Block(NamedTuple):
    """A part of a file: the marker of a JPEG's segment (b"\\xff\\xe1"), or the four letters of a PNG's or WebP's chunk.

    Pixel data is left out.
    """

    name: bytes
    content: bytes


def blocks(data: bytes) -> list[Block]:
    """The first parts of a file beside its pixels, in its order; none of other formats, or from where it is damaged."""
    if data.startswith(b"\xff\xd8\xff"):
        return [Block(*segment) for segment in jpeg.head(data)]
    if data.startswith(_PNG):
        return list(islice(_png(data), MAX_BLOCKS))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return list(islice(_webp(data), MAX_BLOCKS))
    return []


def png_texts(parts: list[Block]) -> dict[str, str]:
    """Keyword -> text of a PNG's tEXt, zTXt and iTXt chunks (PNG 3rd edition, 11.3.3); damaged ones, and what is packed
    beyond `MAX_TEXT_BYTES`, are left out."""
    texts: dict[str, str] = {}
    room = MAX_TEXT_BYTES
    for name, content in parts:
        keyword, found, rest = content.partition(b"\0")
        if name not in _ENCODINGS or not found:
            continue
        packed, text = _text(name, rest)
        unpacked = _unpacked(text, room) if packed else text
        if unpacked is not None:
            room -= len(unpacked) if packed else 0
            texts.setdefault(keyword.decode("latin-1"), unpacked.decode(_ENCODINGS[name], "replace"))
    return texts


def exif(parts: list[Block]) -> bytes | None:
    """The EXIF data, from the byte order mark on; None where there is none."""
    for name, content in parts:
        if name == b"\xff\xe1" and content.startswith(b"Exif\0\0"):
            return content[6:]
        if name in (b"eXIf", b"EXIF"):
            return content.removeprefix(b"Exif\0\0")
    return None


def xmp(parts: list[Block]) -> bytes:
    """The XMP packets, one after the other; empty where there are none."""
    jpegs = [content for name, content in parts if name == b"\xff\xe1" and content.startswith(b"http://ns.adobe.com/")]
    webps = [content for name, content in parts if name == b"XMP "]
    pngs = png_texts([part for part in parts if part.name == b"iTXt"]).get("XML:com.adobe.xmp", "")
    return b"".join([*jpegs, *webps, pngs.encode()])


def _png(data: bytes) -> Iterator[Block]:
    position = _PNG_HEAD
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        name, start = data[position + 4 : position + 8], position + 8
        if name == b"IEND":
            return
        if name not in (b"IDAT", b"fdAT"):
            yield Block(name, data[start : start + length])
        position = start + length + _CRC_BYTES


def _webp(data: bytes) -> Iterator[Block]:
    position = 12
    while position + 8 <= len(data):
        name, start = data[position : position + 4], position + 8
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        if name not in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            yield Block(name, data[start : start + length])
        position = start + length + length % 2


def _text(name: bytes, rest: bytes) -> tuple[bool, bytes]:
    """Whether the text of a chunk is packed, and the text, by what follows its keyword."""
    if name == b"iTXt":
        return rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    return name == b"zTXt", rest[1:] if name == b"zTXt" else rest


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """At most so many bytes of a packed text; None where it is damaged, or nothing may be unpacked."""
    try:
        return zlib.decompressobj().decompress(packed, most) if most else None  # to zlib 0 is no limit
    except zlib.error:
        return None
