"""What the header of a WebP file says, without decoding it."""

from __future__ import annotations

_VP8_START = b"\x9d\x01\x2a"
_SIDE = 0x3FFF  # 14 bits; what stands above them is no part of a side


def canvas(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP (RFC 9649, 2.5 to 2.7); None for what is none.

    libwebp takes memory for the whole canvas before anything is decoded.
    """
    kind, head = data[12:16], data[:30].ljust(30, b"\0")
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & _SIDE) + 1, (bits >> 14 & _SIDE) + 1
    if kind == b"VP8 " and head[23:26] == _VP8_START:
        return int.from_bytes(head[26:28], "little") & _SIDE, int.from_bytes(head[28:30], "little") & _SIDE
    return None
