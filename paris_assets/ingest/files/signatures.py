"""Whether a file is an image by its first bytes, for files whose name does not tell."""

from __future__ import annotations

import re

PROBE_BYTES = 64
# What `images.decode` reads, by the marks of each format; letters that text may begin with need more than two of them.
_MARKS = re.compile(
    rb"\xff\xd8\xff"  # JPEG
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0"  # a BMP and the size of its second header
    rb"|(?:II\*\0|MM\0\*|II\+\0\x08\0|MM\0\+\0\x08)"  # TIFF and BigTIFF
    rb"|\0\0..ftyp(?:avi[fs]|.{4,40}?avi[fs])"
    rb"|P[1-6]\s+(?:#|\d)",  # PPM and its kin
    re.DOTALL,
)
_OTHER_NAMES = ("jpeg", "jpe", "jfif", "pjpeg", "pjp", "apng", "tif", "avifs", "pgm", "pbm", "pnm")  # of these:
EXTENSIONS = frozenset(("jpg", "png", "webp", "gif", "bmp", "tiff", "avif", "ppm", *_OTHER_NAMES))
"""Of names that say that a file is an image, in small letters."""


def is_image(start: bytes) -> bool:
    """Whether a file that starts so is one of the formats that the decoder reads; `PROBE_BYTES` are enough."""
    return _MARKS.match(start) is not None
