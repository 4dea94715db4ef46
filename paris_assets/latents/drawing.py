"""The picture of the report: originals beside decoded latents."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS, _GAP, _TITLE, _LABEL = 4, 12, 44, 44


class Pair(NamedTuple):
    """An original crop beside its decoded latent, both (height, width, 3) uint8."""

    image_id: str
    original: np.ndarray
    decoded: np.ndarray
    psnr_db: float
    upscaled: bool
    trained_on: bool | None


def draw(pairs: Sequence[Pair], resolution: int, name: str, columns: int = COLUMNS) -> bytes:
    """A PNG of all pairs, ``columns`` to a row: the original on the left, the decoded latent on the right."""
    width = max((pair.original.shape[1] for pair in pairs), default=resolution)
    height = max((pair.original.shape[0] for pair in pairs), default=resolution)
    cell = (2 * width + _GAP, height + _LABEL + _GAP)
    rows = -(-len(pairs) // columns)
    columns = max(1, min(columns, len(pairs)))
    canvas = Image.new("RGB", (columns * cell[0] + _GAP, _TITLE + rows * cell[1]), "white")
    pen, large, small = ImageDraw.Draw(canvas), ImageFont.load_default(20), ImageFont.load_default(15)
    mean = f", mean {np.mean([pair.psnr_db for pair in pairs]):.2f} dB" if pairs else ", no images"
    pen.text((_GAP, 10), f"{name}, {resolution} px: original | decoded latent{mean}", "black", large)
    for index, pair in enumerate(pairs):
        left, top = _GAP + index % columns * cell[0], _TITLE + index // columns * cell[1]
        canvas.paste(Image.fromarray(pair.original), (left, top))
        canvas.paste(Image.fromarray(pair.decoded), (left + pair.original.shape[1], top))
        pen.text((left, top + pair.original.shape[0] + 4), _caption(pair), "black", small)
    file = io.BytesIO()
    canvas.save(file, "PNG", optimize=True)
    return file.getvalue()


def _caption(pair: Pair) -> str:
    trained = {True: "trained on", False: "not trained on", None: "training set unknown"}[pair.trained_on]
    upscaled = ", upscaled" if pair.upscaled else ""
    return f"{pair.image_id[:8]}  {pair.psnr_db:.2f} dB\n{trained}{upscaled}"
