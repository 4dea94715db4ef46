"""Pixels to image files that hold nothing else: no metadata, no profile, and sRGB is what they mean without one."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import simplejpeg
from PIL import Image

from paris_assets.images.errors import Unencodable

Format = Literal["jpg", "webp", "png"]

# Longest side, pixels: of libjpeg's and libwebp's encoders; a PNG of one row of pixels may have as many as any image.
_LONGEST: dict[Format, int] = {"jpg": 65_500, "webp": 16_383, "png": 2**31 - 1}
_WHOLE_CHROMA = 90  # from this quality on colours keep their full size, as in ImageMagick


def encode(rgb: np.ndarray, format: Format, quality: int) -> bytes:
    """A file of these pixels; the same bytes for the same pixels.

    Args:
        rgb: (H, W, 3) uint8, contiguous, sRGB.
        quality: 1 to 100, of jpg and webp; a jpg has colours of half the size (4:2:0) below 90. A png loses nothing.

    Raises:
        Unencodable: a side is longer than the format has room for.
    """
    if max(rgb.shape[:2]) > _LONGEST[format]:
        raise Unencodable(f"{rgb.shape[1]} x {rgb.shape[0]} pixels: {format} has room for {_LONGEST[format]} a side")
    if format == "jpg":
        return simplejpeg.encode_jpeg(rgb, quality, "RGB", "444" if quality >= _WHOLE_CHROMA else "420")
    buffer = io.BytesIO()
    options = {"quality": quality} if format == "webp" else {}
    Image.fromarray(rgb).save(buffer, format, **options)
    return buffer.getvalue()
