"""Files taken apart where their formats have seams, and put together again."""

from __future__ import annotations

import re
import struct

from paris_assets_tests.images.files import chunk

PNG = b"\x89PNG\r\n\x1a\n"
_BOXES = (b"meta", b"iprp", b"ipco", b"moov", b"trak", b"mdia", b"minf", b"stbl")


def parts(data: bytes) -> list[bytes]:
    """The parts of a file, in its order; their sum is the file. One of unknown format is cut every 16 bytes."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(PNG):
        return [PNG, *_chunks(data, len(PNG), ">I", 4, 12)]
    if data[:4] == b"RIFF":
        return [data[:12], *_chunks(data, 12, "<I", 4, 8, even=True)]
    if data[4:8] == b"ftyp":
        return _boxes(data)
    if data[:3] == b"GIF":
        return re.split(rb"(?=\x21[\xf9\xfe\xff\x01]|\x2c....|\x00\x3b)", data)
    return [data[start : start + 16] for start in range(0, min(len(data), 480), 16)] + [data[480:]]


def joined(pieces: list[bytes], sound: bool) -> bytes:
    """The file of these parts; a `sound` one has the checksums and lengths that its parts need."""
    data = b"".join(pieces)
    if sound and data.startswith(PNG):
        return PNG + b"".join(chunk(piece[4:8], piece[8:-4]) for piece in pieces[1:] if len(piece) >= 12)
    if sound and data[:4] == b"RIFF":
        return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
    return data


def _chunks(data: bytes, start: int, length: str, at: int, beside: int, even: bool = False) -> list[bytes]:
    found = []
    while start + beside <= len(data):
        place = start + (4 if even else 0)
        content = struct.unpack_from(length, data, place)[0]
        end = start + beside + content + (content % 2 if even else 0)
        found.append(data[start:end])
        start = end
    return [*found, data[start:]] if start < len(data) else found


def _boxes(data: bytes) -> list[bytes]:
    found, start = list[bytes](), 0
    while start + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, start)
        head = (12 if name == b"meta" else 8) if name in _BOXES else 0
        end = start + (head or max(size, 8))
        found.append(data[start:end])
        start = end
    return [*found, data[start:]]


def _jpeg(data: bytes) -> list[bytes]:
    found, start = [data[:2]], 2
    for marker in re.finditer(rb"\xff[\x01-\xcf\xd8-\xfe]", data):
        if marker.start() < start:
            continue
        found += [data[start : marker.start()]] if marker.start() > start else []
        length = int.from_bytes(data[marker.end() : marker.end() + 2]) if marker[0] != b"\xff\xd9" else 0
        start = marker.end() + length
        found.append(data[marker.start() : start])
    return [*found, data[start:]] if start < len(data) else found
