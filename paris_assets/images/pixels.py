"""Pixels of an opened file -> what a person sees on white paper: 8 bits per sample, sRGB, opaque."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFile

from paris_assets.images import png
from paris_assets.images.colour import profile_of, to_srgb
from paris_assets.images.errors import Undecodable

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
_UNSIGNED, _WHITE_IS_ZERO = 1, 0
_PNG_DEPTH = 24  # position of the bit depth in a PNG file


def on_white(opened: ImageFile.ImageFile, data: bytes) -> np.ndarray:
    """Decode an opened image (the first frame of an animation).

    Args:
        opened: any mode; its orientation stays.
        data: its file.

    Returns:
        (H, W, 3) uint8, writable.

    Raises:
        Undecodable: floating-point samples, of which no number is white.
    """
    profile = profile_of(opened, data)
    frame = opened.tile[0].extents if opened.format == "GIF" and opened.tile else None
    opened.load()
    lab, alpha, image = opened.mode == "LAB", None, opened
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.has_transparency_data:
        alpha = _key_mask(image, data) if "transparency" in image.info else _alpha(image)
    if frame is not None and frame != (0, 0, *image.size):
        alpha = _within(alpha, frame, image.size)
    colours = to_srgb(_colours(image), None if lab else profile)
    if alpha is None or alpha.getextrema()[0] == 255:
        return np.array(colours)
    paper = Image.new("RGB", image.size, "white")
    paper.paste(colours, mask=alpha)
    return np.array(paper)


def _alpha(image: Image.Image) -> Image.Image | None:
    """The last channel; None in a BMP where it is nought everywhere: programs that know no alpha leave it so."""
    alpha = image.getchannel(len(image.getbands()) - 1)
    return None if image.format == "BMP" and alpha.getbbox() is None else alpha


def _key_mask(image: Image.Image, data: bytes) -> Image.Image:
    """Transparent where a pixel has the one value or colour that the file calls transparent."""
    key, pixels = np.asarray(image.info["transparency"]), np.asarray(image)
    depth = data[_PNG_DEPTH] if image.format == "PNG" else 8
    if image.mode == "1":
        key = key > 0
    elif image.mode == "L":
        key = key * (255 // (2**depth - 1))  # kept in the file's levels, which may be 4 or 16
    if image.mode == "RGB" and depth == 16:
        same = (pixels == key >> 8) & (_low_bytes(data) == key & 255)
    else:
        same = pixels == key
    return Image.fromarray((~same.reshape(*same.shape[:2], -1).all(axis=2)).astype(np.uint8) * 255)


def _low_bytes(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8: the lower halves of the 16-bit samples of an RGB PNG, of which Pillow keeps the upper ones."""
    image = Image.open(io.BytesIO(png.pixels_only(data)), formats=("PNG",))
    image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]  # the other byte order
    return np.asarray(image)


def _within(alpha: Image.Image | None, box: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
    """Transparent outside the box too: a GIF's first frame may leave parts of the canvas free."""
    mask = Image.new("L", size, 0)
    mask.paste(255 if alpha is None else alpha.crop(box), box)
    return mask


def _colours(image: Image.Image) -> Image.Image:
    """The image without alpha, in mode L, RGB or CMYK."""
    if image.mode.startswith("I"):
        return Image.fromarray(_grey(image))
    if image.mode == "F":
        raise Undecodable("floating-point pixels have no defined white")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    if image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    if image.mode in ("1", "LA"):
        return image.convert("L")
    return image.convert("RGB")


def _grey(image: Image.Image) -> np.ndarray:
    """Samples of more than 8 bits -> (H, W) uint8, rounded; Pillow's own conversion would cut them at 255."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (16,))[0]
    white = 2**bits - 1 if tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED else 65535
    samples = np.asarray(image)
    if image.mode == "I":
        unsigned = samples.view(np.uint32) if white == 2**32 - 1 else samples
        return ((unsigned.astype(np.int64).clip(0, white) * 510 + white) // (2 * white)).astype(np.uint8)
    table = ((np.arange(65536, dtype=np.int64).clip(0, white) * 510 + white) // (2 * white)).astype(np.uint8)
    return (255 - table if tags.get(_PHOTOMETRIC, 1) == _WHITE_IS_ZERO else table)[samples]
