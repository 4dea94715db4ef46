from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from paris_assets.signals.blocking import Blocking
from paris_assets_tests.fixtures.photographs import photographs


def blocking(image: Image.Image | np.ndarray) -> float | None:
    return Blocking().measure([np.array(image)])["blocking"][0]


def saved(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def test_photographs_are_told_apart() -> None:
    """The sources are JPEGs themselves; at half size nothing is left of their grid."""
    scores = []
    for photo in photographs()[:24]:
        original = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)
        scores.append([blocking(original), blocking(saved(original, 50)), blocking(saved(original, 3))])
    clean, q50, q3 = np.array(scores, float).T
    assert abs(np.median(clean)) < 0.03
    assert np.abs(clean).max() < 0.1
    assert 0.05 < np.median(q50) < 0.24
    assert 0.5 < np.median(q3) < 0.85
    assert (clean < q50).all()
    assert (q50 < q3).all()


def test_steps_at_every_border_and_nowhere_else() -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    assert blocking(tiles) == pytest.approx(1)
    assert blocking(np.roll(tiles, 4, axis=(0, 1))) == pytest.approx(-1)


def test_uint8_differences_do_not_wrap() -> None:
    """Steps of -1 inside blocks would be 255 in wrapping arithmetic, and hide the borders."""
    ramp = 255 - np.arange(64, dtype=np.uint8)
    ramp[8:] -= 30
    pixels = np.repeat(np.minimum.outer(ramp, ramp)[..., None], 3, axis=2)
    columns = np.broadcast_to(ramp[None, :, None], (64, 64, 3)).astype(np.uint8)
    steps = np.full(63, 1.0)
    steps[7] = 31
    border = np.arange(63) % 8 == 7
    across, elsewhere = steps[border].mean(), steps[~border].mean()
    assert blocking(columns) == pytest.approx((across - elsewhere) / (across + elsewhere) / 2)
    assert blocking(pixels) is not None


def test_flat_is_zero_and_small_is_unknown() -> None:
    assert blocking(np.full((32, 32, 3), 9, np.uint8)) == 0
    assert blocking(np.zeros((8, 32, 3), np.uint8)) is None
    assert blocking(np.zeros((32, 8, 3), np.uint8)) is None
    assert blocking(np.zeros((9, 9, 3), np.uint8)) == 0
