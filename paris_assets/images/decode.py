"""Image bytes to pixels: one decoder for the whole project.

JPEGs are decoded by libjpeg-turbo through simplejpeg, everything else, and every JPEG it refuses, by Pillow. Both give
the same RGB pixels at full size. `docs/pictures.md` says what is taken and refused.

Bytes come from strangers: formats are few, and the size is known from the header before pixels are decoded. What a
decoder holds is bounded by `max_pixels`; only an AVIF may lie about its size, up to libavif's own 16384 x 16384.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import simplejpeg
from PIL import Image, ImageFile, PngImagePlugin, UnidentifiedImageError

from paris_assets.images import jpeg, png, webp
from paris_assets.images.colour import MAX_PROFILE_BYTES, is_srgb, to_srgb
from paris_assets.images.errors import NotAnImage, Undecodable
from paris_assets.images.pixels import on_white

# Raster formats whose cost Pillow bounds by the size in the header. Not EPS, which would start Ghostscript; not ICO,
# which decodes the picture inside before its size is known; not JPEG2000, whose 87 bytes can take 6 GB.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
_NAMES = {"MPO": "jpeg"}  # a JPEG that holds further frames
_EXTENSIONS = {"jpeg": "jpg", "tiff": "tif"}

# What Pillow raises on damaged files, over its formats.
_DAMAGE = (
    AssertionError, EOFError, IndexError, KeyError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError,
    ValueError, struct.error, zlib.error,
)  # fmt: skip

_ORIENTATION = 0x0112
_TILE_WIDTH, _TILE_HEIGHT = 0x0142, 0x0143
_MAX_TILE_PIXELS = 1 << 24
_MAX_SIDE = 2**31 - 1

# Each scan of a progressive JPEG goes over the whole image: a few bytes that cost seconds. Encoders write about ten.
_MAX_SCANS = 64


@dataclass(frozen=True)
class Header:
    """What the start of a file says.

    Attributes:
        width, height: pixels after EXIF orientation.
        format: `jpeg`, `png`, ...
        orientation: EXIF's (tag 0x0112), 1 to 8; 1 where there is none.
    """

    width: int
    height: int
    format: str
    orientation: int = 1

    @property
    def extension(self) -> str:
        """File name extension without the dot."""
        return _EXTENSIONS.get(self.format, self.format)


def read_header(data: bytes, max_pixels: int = sys.maxsize) -> Header:
    """Size and format of an image, without decoding its pixels.

    Args:
        data: the file.
        max_pixels: of a WebP of more, of which no more is read, the size as it is stored and no orientation.

    Raises:
        NotAnImage: no format that is read here, or a header that is damaged.
    """
    canvas = webp.canvas(data)
    if canvas is not None and canvas[0] * canvas[1] > max_pixels:
        return Header(*canvas, "webp")
    image = _open(data)
    width, height = image.size
    orientation = _orientation(image)
    if orientation >= 5:
        width, height = height, width
    name = image.format or ""
    return Header(width, height, _NAMES.get(name, name.lower()), orientation)


def decode_rgb(data: bytes, min_side: int | None = None, max_pixels: int = 100_000_000) -> np.ndarray:
    """Pixels of an image (the first frame of an animation), as a person would see it on white paper.

    EXIF orientation is applied, colours become sRGB by the file's own profile, transparency is laid over white, 16-bit
    samples are rounded to 8, and CMYK, palette and grey images become RGB. A JPEG that lacks nothing but its end mark
    is whole.

    Args:
        data: the file.
        min_side: allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size (several times faster), as long as its
            short side stays at least this long. Other formats, and small images, are decoded at full size.
        max_pixels: largest width x height that is decoded, judged by the header.

    Returns:
        (H, W, 3) uint8, contiguous and writable.

    Raises:
        Undecodable: not an image, truncated, damaged, or more than `max_pixels`.
    """
    if data[:3] == b"\xff\xd8\xff":
        return _decode_jpeg(data, min_side, max_pixels)
    return _decode_other(data, max_pixels)


def _decode_jpeg(data: bytes, min_side: int | None, max_pixels: int) -> np.ndarray:
    """By the fast path, or by Pillow, which must decide on CMYK, warnings that it ignores, and truncation."""
    head = jpeg.head(data)
    if len(head) > jpeg.MAX_SEGMENTS:
        raise Undecodable(f"{len(data)} bytes of JPEG in more than {jpeg.MAX_SEGMENTS} segments")
    if not jpeg.is_one_scan(head) and jpeg.scan_count(data) > _MAX_SCANS:
        raise Undecodable(f"{len(data)} bytes of JPEG in more than {_MAX_SCANS} scans")
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        height, width = int(height), int(width)
        _check_size(width, height, max_pixels)
        if colorspace in ("CMYK", "YCCK"):
            return _decode_other(jpeg.with_end_mark(data) or data, max_pixels)
        factor = next((f for f in (8, 4, 2) if min_side and -(-min(width, height) // f) >= min_side), 1)
        rgb = simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // factor), min_width=-(-width // factor))
    except Undecodable:
        raise
    except ValueError:
        return _decode_other(jpeg.with_end_mark(data) or data, max_pixels)
    if profile := jpeg.colour_profile(head):
        rgb = _as_srgb(rgb, profile, colorspace)
    return _oriented(rgb, _orientation(_open(data))) if jpeg.has_orientation(head) else rgb


def _as_srgb(rgb: np.ndarray, profile: bytes, colorspace: str) -> np.ndarray:
    """Decoded pixels of a colour or grey JPEG -> sRGB."""
    mode = "L" if colorspace == "Gray" else "RGB"
    if is_srgb(profile, mode):
        return rgb
    return np.array(to_srgb(Image.fromarray(rgb[..., 0] if mode == "L" else rgb), profile))


def _decode_other(data: bytes, max_pixels: int) -> np.ndarray:
    try:
        _check_size(*(webp.canvas(data) or (0, 0)), max_pixels)
        image = _open(data)
        _check_size(*image.size, max_pixels)
        orientation = _orientation(image)
        return _oriented(on_white(image, data), orientation)
    except Undecodable:
        raise
    except _DAMAGE as error:
        raise Undecodable(f"{len(data)} bytes give no pixels: {_words(error)}") from error


@cache
def _set_limits_of_pillow() -> None:
    """Once in a process that decodes; whoever only imports this keeps Pillow's own."""
    # Its limit of pixels raises before the size can be reported; `max_pixels` is checked before any pixel is decoded.
    Image.MAX_IMAGE_PIXELS = None
    # What a compressed text or profile of a PNG may unpack to; Pillow's 1 MB refuses profiles of print shops.
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES


def _open(data: bytes) -> ImageFile.ImageFile:
    _set_limits_of_pillow()
    try:
        image = _identified(data)
        _check_sides(image)
        _check_tile(image)
    except _DAMAGE as error:
        raise NotAnImage(f"{len(data)} bytes starting {data[:12]!r} are no image: {_words(error)}") from error
    return image


def _words(error: BaseException) -> str:
    """What is wrong, the same each time: Pillow tells of an unknown format with an address in memory."""
    return "no format that is read here" if isinstance(error, UnidentifiedImageError) else str(error)


def _identified(data: bytes) -> ImageFile.ImageFile:
    if data.startswith(b"\xff\xd8\xff") and len(jpeg.head(data)) > jpeg.MAX_SEGMENTS:
        raise ValueError(f"more than {jpeg.MAX_SEGMENTS} segments")
    if not data.startswith(png.SIGNATURE):
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    data = png.shown(data)
    try:
        return Image.open(io.BytesIO(data), formats=("PNG",))
    except _DAMAGE:
        return Image.open(io.BytesIO(png.pixels_only(data)), formats=("PNG",))


def _check_sides(image: Image.Image) -> None:
    """Sides that a table cannot hold as whole numbers of 32 bits are those of a damaged header."""
    if max(image.size) > _MAX_SIDE:
        raise ValueError(f"a header of {image.width} x {image.height} pixels")


def _check_tile(image: Image.Image) -> None:
    """A TIFF is decoded by whole tiles: one that is far larger than the image would get round the limit on pixels."""
    tags = getattr(image, "tag_v2", {})
    pixels = int(tags.get(_TILE_WIDTH, 1)) * int(tags.get(_TILE_HEIGHT, 1))
    if pixels > max(_MAX_TILE_PIXELS, (image.width + 15) * (image.height + 15)):
        raise ValueError(f"a tile of {pixels} pixels for an image of {image.width} x {image.height}")


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Undecodable(f"{width} x {height} pixels are more than the {max_pixels} that are decoded")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where the metadata is damaged, as viewers do."""
    if image.format == "TIFF":  # Pillow's TIFF reader turns the image itself
        return 1
    try:
        # The base class's method: the PNG reader's own would decode all pixels to look for metadata behind them.
        orientation = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _oriented(rgb: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as stored -> pixels as shown (EXIF 2.3, tag 0x0112)."""
    if orientation >= 5:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    return np.ascontiguousarray(rgb)
