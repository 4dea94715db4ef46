"""Parts of a picture made unrecognisable."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of width and height."""

# Of the longer side of a box, as DataComp blurs faces (Gadre et al. 2023, appendix; after Yang et al. 2022).
_MARGIN = _SIGMA = 0.1
_REACH = 3  # deviations after which nothing is left of the edge


def blur_boxes(rgb: np.ndarray, boxes: Sequence[Box]) -> None:
    """Blur parts of a picture in place, by a Gaussian of a tenth of the largest box's longer side.

    A box is grown by a tenth of its longer side on every side. All of that is blurred; from there the blur fades out
    over three deviations, and pixels beyond keep their values.

    Args:
        rgb: (H, W, 3) uint8, writable.
        boxes: with left < right and top < bottom; they may reach over the edges.
    """
    height, width = rgb.shape[:2]
    placed = [(x0 * width, y0 * height, x1 * width, y1 * height) for x0, y0, x1, y1 in boxes]
    sigma = max([1.0, *(_SIGMA * _longer_side(box) for box in placed)])
    for box in placed:
        _blur(rgb, box, sigma)


def _longer_side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _blur(rgb: np.ndarray, box: Box, sigma: float) -> None:
    """Blur one box, given in pixels."""
    height, width = rgb.shape[:2]
    margin, fade = _MARGIN * _longer_side(box), math.ceil(_REACH * sigma)
    left, top = (max(math.floor(side - margin), 0) for side in box[:2])
    right, bottom = (min(math.ceil(side + margin), end) for side, end in zip(box[2:], (width, height), strict=True))
    if left >= right or top >= bottom:
        return
    x0, y0, x1, y1 = max(left - fade, 0), max(top - fade, 0), min(right + fade, width), min(bottom + fade, height)
    region = rgb[y0:y1, x0:x1]
    sharp, mask = Image.fromarray(region), Image.new("L", (x1 - x0, y1 - y0))
    ImageDraw.Draw(mask).rectangle((left - x0, top - y0, right - x0 - 1, bottom - y0 - 1), fill=255)
    faded = ImageChops.lighter(mask, mask.filter(ImageFilter.GaussianBlur(sigma)))
    region[...] = np.asarray(Image.composite(sharp.filter(ImageFilter.GaussianBlur(sigma)), sharp, faded))
