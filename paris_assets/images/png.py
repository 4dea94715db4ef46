"""What the chunks of a PNG file say, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


def chunk(data: bytes, name: bytes) -> bytes | None:
    """The content of a chunk that stands before the pixels; None where there is none."""
    for kind, start, end in _chunks(data):
        if kind in (name, b"IDAT"):
            return data[start + 8 : end - 4] if kind == name else None
    return None


def without_rest(data: bytes) -> bytes:
    """The file up to its last pixels: what stands behind them changes nothing, and may be damaged or endless."""
    begun = False
    for kind, start, _ in _chunks(data):
        if begun and kind != b"IDAT":
            return data[:start]
        begun = kind == b"IDAT"
    return data


def pixels_only(data: bytes) -> bytes:
    """The file with nothing but its pixels and what they need: viewers pass over the rest where that is damaged."""
    return SIGNATURE + b"".join(data[start:end] for kind, start, end in _chunks(data) if kind in _PIXELS)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, and where the chunk, with its length and checksum, begins and ends."""
    start = len(SIGNATURE)
    while start + 8 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        yield data[start + 4 : start + 8], start, end
        start = end
