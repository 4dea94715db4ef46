"""What the chunks of a PNG file say, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# What changes how pixels are shown: palette, transparency, colours, animation, and the orientation in EXIF and XMP, for
# which there are texts, too; ImageMagick's is older than the chunk eXIf.
_ONCE = (b"IHDR", b"PLTE", b"tRNS", b"cICP", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"eXIf", b"acTL", b"fcTL")
_EXIF, _XMP = b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"
_KEYWORDS = {**dict.fromkeys(_ONCE, b""), b"tEXt": _EXIF, b"zTXt": _EXIF, b"iTXt": _XMP}


def chunk(data: bytes, name: bytes) -> bytes | None:
    """The content of a chunk that stands before the pixels; None where there is none."""
    for kind, start, end in _chunks(data):
        if kind in (name, b"IDAT"):
            return data[start + 8 : end - 4] if kind == name else None
    return None


def shown(data: bytes) -> bytes:
    """The file up to its last pixels, with what changes their look, once each: the rest may be damaged or endless."""
    kept, seen = [SIGNATURE], set[bytes]()
    for kind, start, end in _chunks(data):
        if b"IDAT" in seen and kind != b"IDAT":
            break
        once = kind not in seen and kind in _KEYWORDS and data.startswith(_KEYWORDS[kind], start + 8)
        if once or kind == b"IDAT":
            kept.append(data[start:end])
            seen.add(kind)
    return b"".join(kept)


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
