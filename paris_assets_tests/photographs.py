"""The sample's photographs, for tests that need real ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PIL import Image

from paris_assets.images.decode import Undecodable, decode_rgb

SAMPLE = Path(__file__).parents[1] / "data/sample/images"


@cache
def photographs() -> list[Image.Image]:
    """Every photograph under data/sample/images of at least 100 pixels a side, as RGB, in order of path."""
    images = []
    for path in sorted(SAMPLE.rglob("*.jpg")):
        try:
            image = Image.fromarray(decode_rgb(path.read_bytes()))
        except Undecodable:
            continue
        if min(image.size) >= 100:
            images.append(image)
    return images
