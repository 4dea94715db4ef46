from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from paris_assets.signals.entropy import Entropy


def entropy(*images: np.ndarray) -> list[float]:
    return list(Entropy().measure(list(images))["entropy"])


def test_known_answers() -> None:
    flat = np.full((16, 16, 3), 77, np.uint8)
    uniform = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    halves = flat.copy()
    halves[:8, :, 0] = 200
    assert entropy(flat, uniform, halves) == pytest.approx([0, 8, 1 / 3])


def test_equals_scipy_on_every_channel() -> None:
    pixels = np.random.default_rng(0).normal(120, 30, (90, 70, 3)).clip(0, 255).astype(np.uint8)
    expected = np.mean([scipy.stats.entropy(np.bincount(pixels[..., c].ravel()), base=2) for c in range(3)])
    assert entropy(pixels)[0] == pytest.approx(expected)


def test_sampling_of_large_images_moves_it_by_less_than_stated() -> None:
    pixels = np.random.default_rng(0).normal(120, 60, (1500, 1100, 3)).clip(0, 255).astype(np.uint8)
    expected = np.mean([scipy.stats.entropy(np.bincount(pixels[..., c].ravel()), base=2) for c in range(3)])
    assert entropy(pixels)[0] == pytest.approx(expected, abs=0.02)


def test_single_pixel() -> None:
    assert entropy(np.zeros((1, 1, 3), np.uint8)) == [0]
