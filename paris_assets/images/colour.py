"""Colours of a file as sRGB, by the profile that it brings, as browsers show it.

What a profile says counts where it fits the pixels; a damaged one, or one for other pixels (CMYK's in an RGB file), is
left aside and the pixels are taken as they are.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from paris_assets.images import jpeg, png
from paris_assets.images.icc import SRGB, coded_profile, gamma, matrix_profile, srgb

_OUTPUT = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
MAX_PROFILE_BYTES = 4_000_000  # the largest of print shops have 2.7 MB; larger ones are no profiles worth their memory

# Profiles that count for the pixels of a mode, and the mode that they take; grey pixels may have an RGB profile.
_TAKES = {("L", "GRAY"): "L", ("L", "RGB"): "RGB", ("RGB", "RGB"): "RGB", ("CMYK", "CMYK"): "CMYK"}

_SPACE = slice(16, 20)  # where a profile names the colours that it is for (ICC.1:2010, 7.2)

# A profile whose every colour lies this near to sRGB's is sRGB: differences of rounding, in levels of 255.
_ROUNDING = 2

# gAMA of sRGB is 1 / 2.2; libpng takes what lies within 5 % for it.
_GAMMA_SLACK = 0.05
_MAX_GAMMA = 10.0


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The image in mode RGB and in sRGB's colours.

    Args:
        image: mode L, RGB or CMYK.
        profile: its ICC profile. Without one, or with one that cannot be used, pixels are taken as they are.
    """
    transform = _transform(profile, image.mode) if profile and len(profile) <= MAX_PROFILE_BYTES else None
    if transform is None:
        return image.convert("RGB") if image.mode != "RGB" else image
    return transform.apply(image.convert(transform.input_mode) if image.mode != transform.input_mode else image)


def is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile changes nothing in pixels of mode L, RGB or CMYK: it is sRGB, or cannot be used."""
    return len(profile) > MAX_PROFILE_BYTES or _transform(profile, mode) is None


def profile_of(image: Image.Image, data: bytes) -> bytes | None:
    """The ICC profile that says what the colours of an opened file are; None for sRGB.

    A profile in the file comes first, then what a PNG (cICP before its profile, gAMA and cHRM after it) or an AVIF
    (nclx) says in numbers.
    """
    if image.format in ("JPEG", "MPO"):
        return jpeg.colour_profile(jpeg.head(data))
    coded = png.chunk(data, b"cICP") if image.format == "PNG" else None
    if coded and len(coded) == 4:
        return coded_profile(coded[0], coded[1])
    if profile := image.info.get("icc_profile"):
        return profile
    if image.format == "PNG" and "srgb" not in image.info:
        return _measured_profile(image.info.get("gamma"), image.info.get("chromaticity"))
    if image.format == "AVIF" and (place := data.find(b"colrnclx")) >= 0 and len(data) >= place + 12:
        return coded_profile(*struct.unpack_from(">HH", data, place + 8))
    return None


@lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile's colours to sRGB; None where pixels of the mode are to be taken as they are."""
    takes = _TAKES.get((mode, profile[_SPACE].decode("latin-1").strip()))
    if takes is None:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.ImageCmsTransform(source, _OUTPUT, takes, "RGB", ImageCms.Intent.PERCEPTUAL)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if takes != "CMYK" and _changes_nothing(transform) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    colours = _all_greys() if transform.input_mode == "L" else _many_colours()
    shown = np.asarray(transform.apply(Image.fromarray(colours))).astype(np.int16)
    return bool(np.abs(shown - colours.reshape(*colours.shape[:2], -1)).max() <= _ROUNDING)


def _all_greys() -> np.ndarray:
    return np.arange(256, dtype=np.uint8)[None]


def _many_colours() -> np.ndarray:
    levels = np.arange(0, 256, 15).astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)


@lru_cache(maxsize=32)
def _measured_profile(power: float | None, chromaticities: tuple[float, ...] | None) -> bytes | None:
    """Of the gAMA and cHRM chunks of a PNG; either may be missing, then it is sRGB's."""
    bent = power and 1 / _MAX_GAMMA < power < _MAX_GAMMA and abs(power * 2.2 - 1) > _GAMMA_SLACK
    if not bent and (chromaticities is None or np.allclose(chromaticities, SRGB, atol=0.002)):
        return None
    return matrix_profile(chromaticities or SRGB, gamma(1 / power) if bent and power else srgb)
