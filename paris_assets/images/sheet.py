"""Small pictures of a few images, to be looked at."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from paris_assets.images.decode import decode_rgb
from paris_assets.images.errors import NotAnImage, Undecodable

TILE, GAP, LINES, LINE = 118, 8, 2, 14
INK, PAPER, EMPTY = "#1c1b1a", "#ffffff", "#d9d5d0"
QUALITIES = (82, 70, 55, 40, 25)


def sheet(images: Sequence[bytes | None], words: Sequence[str], columns: int) -> Image.Image:
    """The middle squares of images, each with two lines of words below; 3 columns are 386 pixels wide.

    Args:
        images: (n >= 1) file bytes; None, and what gives no pixels, is a grey tile.
        words: (n).
        columns: how many images stand side by side.
    """
    step, rows = TILE + GAP, -(-len(images) // columns)
    width = GAP + min(len(images), columns) * step
    canvas = Image.new("RGB", (width, GAP + rows * (step + LINES * LINE)), PAPER)
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    for place, (data, said) in enumerate(zip(images, words, strict=True)):
        x, y = GAP + place % columns * step, GAP + place // columns * (step + LINES * LINE)
        canvas.paste(_tile(data), (x, y))
        for number, line in enumerate(_lines(said, font)):
            pen.text((x, y + TILE + 2 + number * LINE), line, INK, font)
    return canvas


def small_jpeg(picture: Image.Image, max_bytes: int) -> bytes:
    """A JPEG of at most ``max_bytes`` and 400 pixels wide, which is what a column of Dagster's tables has room for;
    smaller and coarser where it has to be.

    Raises:
        ValueError: not even 50 pixels wide.
    """
    picture = picture.convert("RGB")
    for width in (400, 300, 200, 100, 50):
        picture.thumbnail((width, 4 * width))
        for quality in QUALITIES[: 2 if width > 100 else None]:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=quality)
            if file.tell() <= max_bytes:
                return file.getvalue()
    raise ValueError(f"no picture fits {max_bytes} bytes")


def _tile(data: bytes | None) -> Image.Image:
    grey = Image.new("RGB", (TILE, TILE), EMPTY)
    try:
        pixels = grey if data is None else Image.fromarray(decode_rgb(data, 2 * TILE, max_pixels=sys.maxsize))
    except (NotAnImage, Undecodable):
        return grey
    return ImageOps.fit(pixels, (TILE, TILE), Image.Resampling.LANCZOS)


def _lines(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Up to two lines that fit a tile; what is left out ends with an ellipsis."""
    letters = " ".join("".join(letter if letter.isprintable() else " " for letter in words[:200]).split())
    lines = []
    for last in (False,) * (LINES - 1) + (True,):
        end = len(letters)
        while font.getlength(letters[:end] + ("..." if last and end < len(letters) else "")) > TILE:
            end -= 1
        cut = letters.rfind(" ", 0, end + 1) if not last and end < len(letters) else -1
        end = cut if cut > 0 else end
        lines.append(letters[:end] + ("..." if last and end < len(letters) else ""))
        letters = letters[end:].lstrip()
    return lines
