from __future__ import annotations

import imagehash
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from paris_assets.signals.perceptual_hash import PerceptualHash
from paris_assets_tests.fixtures.photographs import photographs


def assert_equal_to_imagehash(images: list[np.ndarray]) -> None:
    hashes = PerceptualHash().measure(images)
    for row, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        assert int(hashes["phash"][row]) == int(str(imagehash.phash(image)), 16), pixels.shape
        assert int(hashes["dhash"][row]) == int(str(imagehash.dhash(image)), 16), pixels.shape


def test_every_sample_photograph_equals_imagehash() -> None:
    photos = [np.array(photo) for photo in photographs()]
    assert len(photos) > 200
    assert_equal_to_imagehash(photos)


@st.composite
def pictures(draw: st.DrawFn) -> np.ndarray:
    """Flat, striped, graded, noisy and mixed pictures of any shape: where DCT coefficients vanish but for rounding."""
    height, width = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    y, x = np.mgrid[:height, :width]
    period = draw(st.integers(1, 40))
    low, high = draw(st.integers(0, 255)), draw(st.integers(0, 255))
    grey = {
        "flat": np.full((height, width), low),
        "rows": np.where(y // period % 2, low, high),
        "columns": np.where(x // period % 2, low, high),
        "checks": np.where((x // period + y // period) % 2, low, high),
        "gradient": (x * low // width + y * high // height) // 2,
        "noise": random.integers(0, 256, (height, width)),
        "dot": np.where((x == width // 2) & (y == height // 2), high, low),
    }[draw(st.sampled_from(["flat", "rows", "columns", "checks", "gradient", "noise", "dot"]))]
    tint = np.array(draw(st.sampled_from([(1, 1, 1), (1, 0.5, 0.25), (0, 1, 0)])))
    return np.round(grey[..., None] * tint).astype(np.uint8)


@settings(max_examples=80, deadline=None)
@given(st.lists(pictures(), min_size=1, max_size=5))
def test_synthetic_pictures_equal_imagehash(images: list[np.ndarray]) -> None:
    assert_equal_to_imagehash(images)


def test_extreme_shapes_equal_imagehash() -> None:
    random = np.random.default_rng(0)
    shapes = [(1, 1), (1, 3000), (3000, 1), (31, 33), (32, 32), (8, 9), (2000, 1500)]
    assert_equal_to_imagehash([random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes])


def test_thumbnail_is_luma_then_chroma() -> None:
    pixels = np.full((64, 96, 3), 255, np.uint8)
    pixels[:32] = (255, 0, 0)
    thumbnail = PerceptualHash().measure([pixels])["thumbnail"][0]
    assert thumbnail.shape == (384,)
    luma, cb, cr = thumbnail[:256].reshape(16, 16), thumbnail[256:320], thumbnail[320:]
    assert set(luma[:8].ravel().tolist()) == {76}
    assert set(luma[8:].ravel().tolist()) == {255}
    assert abs(int(cb[0]) - 85) <= 1
    assert int(cr[0]) == 255
    assert cb[-1] == cr[-1] == 128
