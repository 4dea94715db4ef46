"""Small image files made byte by byte, where an encoder would not write them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    """The image as a file."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, depth: int, colour_type: int, rows: Sequence[bytes], *chunks: bytes) -> bytes:
    """A PNG of packed rows, with further chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bmp32(pixels: Sequence[Sequence[int]], header_size: int = 40, masks: Sequence[int] = ()) -> bytes:
    """A BMP of one row of (blue, green, red, fourth byte); without masks it is BI_RGB."""
    body = b"".join(map(bytes, pixels))
    compression = 3 if masks else 0
    header = struct.pack("<IiiHHIIiiII", header_size, len(pixels), 1, 1, 32, compression, len(body), 0, 0, 0, 0)
    header = (header + struct.pack(f"<{len(masks)}I", *masks)).ljust(header_size, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header)) + header + body
