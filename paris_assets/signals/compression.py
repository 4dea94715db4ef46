"""How hard a file was compressed, by its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl

from paris_assets.images import jpeg
from paris_assets.images.file import ImageFile

# Luma steps of quality 50 in zigzag order (ITU-T T.81, table K.1).
_LUMA = np.array([
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
])  # fmt: skip
_QUALITIES = np.arange(1, 101)
_SCALES = np.where(_QUALITIES < 50, 5000 // _QUALITIES, 200 - 2 * _QUALITIES)  # libjpeg's jpeg_quality_scaling
_STEPS = ((_LUMA * _SCALES[:, None] + 50) // 100).clip(1, 255)

# Sampling factors of luma over those of chroma, as J:a:b.
_SUBSAMPLING: dict[tuple[float, float], str] = {
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
}


class Compression:
    """Bytes for the picture, and what a JPEG says of its own quality.

    - `bits_per_pixel`: 8 x bytes of the file over its pixels. To be compared within one `format` only.
    - `jpeg_quality`: 1 to 100, the quality of libjpeg whose luma table is nearest to the file's, by the sum of absolute
      logarithms of the ratios of its steps; exact for files by libjpeg and its kin (Pillow, ImageMagick, OpenCV), an
      estimate for encoders with tables of their own (Photoshop, cameras, mozjpeg). Of the last encoding alone: a
      picture that was damaged before and then saved well has a high one. Null for other formats.
    - `chroma_subsampling`: of a JPEG, as J:a:b; `4:0:0` is grey, `other` what has no such name. Null for other formats.
    """

    schema = {"bits_per_pixel": pl.Float64, "jpeg_quality": pl.Int16, "chroma_subsampling": pl.String}

    def measure(self, rgb: list[np.ndarray], files: list[ImageFile]) -> dict[str, Sequence[float | str | None]]:
        """See `Signal.measure`."""
        sizes = [pixels.shape[0] * pixels.shape[1] for pixels in rgb]
        heads = [file.blocks if file.data[:2] == b"\xff\xd8" else [] for file in files]
        return {
            "bits_per_pixel": [8 * len(file.data) / size for file, size in zip(files, sizes, strict=True)],
            "jpeg_quality": [jpeg_quality(head) for head in heads],
            "chroma_subsampling": [chroma_subsampling(head) for head in heads],
        }


def jpeg_quality(head: Sequence[jpeg.Segment]) -> int | None:
    """The quality of libjpeg, 1 to 100, that is nearest to a JPEG's luma table; None without such a table.

    Args:
        head: `jpeg.head` of the file.
    """
    components, tables = jpeg.components(head), jpeg.quantisation_tables(head)
    steps = tables.get(components[0][2]) if components else None
    return _nearest_quality(steps) if steps else None


@lru_cache(maxsize=4096)
def _nearest_quality(steps: tuple[int, ...]) -> int:
    return int(_QUALITIES[np.abs(np.log(_STEPS / np.array(steps).clip(1))).sum(axis=1).argmin()])


def chroma_subsampling(head: Sequence[jpeg.Segment]) -> str | None:
    """Chroma subsampling of a JPEG as J:a:b; None without a frame.

    Args:
        head: `jpeg.head` of the file.
    """
    components = jpeg.components(head)
    if len(components) < 3:
        return "4:0:0" if components else None
    (across, down, _), *chroma = components[:3]
    ratios = {(across / max(h, 1), down / max(v, 1)) for h, v, _ in chroma}
    return _SUBSAMPLING.get(ratios.pop(), "other") if len(ratios) == 1 else "other"
