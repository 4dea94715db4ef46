"""Text in a picture, found and read by PP-OCR's networks in rapidocr (extra `text`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl
from rapidocr import RapidOCR

SIDE = 736  # pixels that the detector sees of the longer side; smaller pictures as they are
SMALLEST = 16  # pixels on a side
LONGEST = 40  # sides by each other: beyond that nothing is left of the shorter one
LEGIBLE = 0.5  # of the recogniser's confidence
FEWEST = 2  # characters: a lone one is a shape (a hammer reads as a 7)
_ONE_THREAD = {
    f"EngineConfig.onnxruntime.{name}": 1 for name in ("intra_op_num_threads", "inter_op_num_threads")
}  # as many pictures side by side as there are cores


class TextArea:
    """Lines of text: regions that PP-OCRv6's detector finds at a longer side of up to 736 pixels and in which its
    recogniser (Chinese, English, Japanese, Latin) reads two characters or more with a confidence of 0.5 or more.

    - `text_area`: share of the picture in these regions, 0 to 1 (overlaps count once per region, at most 1).
    - `text_regions`: how many there are.
    - `smallest_glyph`: height of the lowest region by the height of the picture; null without text.
    - `ocr_text`: what was read, a line per region from top to bottom; null without text.

    All are null for pictures of less than 16 pixels on a side, or more than 40 times as long as wide. A picture takes
    50 to 300 ms of a core.
    """

    schema = {"text_area": pl.Float64, "text_regions": pl.Int16, "smallest_glyph": pl.Float64, "ocr_text": pl.String}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[Any]]:
        """See `Signal.measure`."""
        found = [_text(pixels) for pixels in rgb]
        return {name: [values[place] for values in found] for place, name in enumerate(self.schema)}


def _text(pixels: np.ndarray) -> tuple[float | None, int | None, float | None, str | None]:
    """The columns of one picture, (H, W, 3) uint8."""
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST or max(height, width) > LONGEST * min(height, width):
        return None, None, None, None
    read: Any = _reader()(np.ascontiguousarray(pixels[..., ::-1]), use_cls=False)
    lines = [
        (np.asarray(box, np.float64), text.strip())
        for box, text in zip(() if read.boxes is None else read.boxes, read.txts or (), strict=True)
        if len(text.strip()) >= FEWEST
    ]
    if not lines:
        return 0.0, 0, None, None
    share = sum(area(box) for box, _ in lines) / (height * width)
    return min(1.0, share), len(lines), min(low(box) for box, _ in lines) / height, "\n".join(text for _, text in lines)


def area(corners: np.ndarray) -> float:
    """Pixels within a polygon, (N, 2) corners in turn (the shoelace formula)."""
    x, y = corners.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def low(corners: np.ndarray) -> float:
    """The shorter side of a box of four corners, (4, 2), in pixels."""
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    return float(min(sides[1], sides[2]))


@cache
def _reader() -> RapidOCR:
    settings = {"Det.limit_type": "max", "Det.limit_side_len": SIDE, "Global.text_score": LEGIBLE}
    return RapidOCR(params={**settings, **_ONE_THREAD, "Global.log_level": "error"})
