"""A grid of the pictures nearest to a centroid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from PIL import Image, ImageDraw, ImageFont

from paris_assets.pages.pictures import TILE, encoded

GAP = 12
CAPTION = 20
HEADER = 56
COLUMNS = 5
INK, SOFT, PAPER, EMPTY = "#1c1b1a", "#6b6762", "#ffffff", "#f1efec"


def grid(tiles: Sequence[Image.Image], captions: Sequence[str], title: str, subtitle: str, accent: str) -> bytes:
    """PNG of up to 25 tiles in five columns, each with its caption; places without an image stay empty.

    Args:
        tiles: (n <= 25) of ``tile``, in reading order.
        captions: (n), cut to the width of a tile.
        accent: colour of the mark beside the title, ``#rrggbb``.
    """
    step, rows = TILE + GAP, COLUMNS
    sheet = Image.new("RGB", (GAP + COLUMNS * step, HEADER + GAP + rows * (step + CAPTION)), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((GAP, 15, GAP + 7, HEADER - 5), fill=accent)
    bold = _font(20, bold=True)
    draw.text((GAP + 20, 10), fitted(title, bold, sheet.width - 60), fill=INK, font=bold)
    draw.text((GAP + 20, 36), fitted(subtitle, _font(12), sheet.width - 60), fill=SOFT, font=_font(12))
    for place in range(COLUMNS * rows):
        x, y = GAP + place % COLUMNS * step, HEADER + GAP + place // COLUMNS * (step + CAPTION)
        if place < len(tiles):
            sheet.paste(tiles[place], (x, y))
            draw.text((x, y + TILE + 4), fitted(captions[place], _font(11), TILE), fill=SOFT, font=_font(11))
        else:
            draw.rectangle((x, y, x + TILE - 1, y + TILE - 1), fill=EMPTY)
    return encoded(sheet, "PNG")


def fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """``text`` on one line, cut with an ellipsis where it is wider than ``width`` pixels."""
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text[:400]).split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    # The fonts that matplotlib brings cover Latin, Greek, Cyrillic and more; Pillow's own is Latin only.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size)
