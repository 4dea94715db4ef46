from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from paris_assets.signals.degradation import Degradation
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals import plain


def degradation(*images: np.ndarray | Image.Image) -> dict[str, list[float | None]]:
    return Degradation().measure([np.array(image) for image in images])


def test_blurring_lowers_blur() -> None:
    for photo in photographs()[:12]:
        blurred = [photo, *(photo.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 2, 4))]
        values = degradation(*blurred)["blur"]
        assert values == sorted(values, key=lambda value: value or 0, reverse=True)
        assert values[3] < values[0] / 4  # type: ignore[operator]


def test_blur_is_measured_at_one_scale() -> None:
    photo = photographs()[0].resize((400, 300))
    large = photo.resize((1600, 1200), Image.Resampling.NEAREST)
    values = degradation(photo, large)["blur"]
    assert values[1] == pytest.approx(values[0], rel=1e-6)


@pytest.mark.parametrize("sigma", [3, 8, 20])
def test_noise_is_its_standard_deviation(sigma: float) -> None:
    random = np.random.default_rng(0)
    ramp = np.add.outer(np.linspace(70, 120, 300), np.linspace(0, 60, 400))
    noisy = (ramp + random.normal(0, sigma, ramp.shape)).round().clip(0, 255).astype(np.uint8)
    assert degradation(np.repeat(noisy[..., None], 3, axis=2))["noise"] == pytest.approx([sigma], rel=0.03)


def test_noise_ignores_gradients() -> None:
    ramp = np.add.outer(np.arange(100), np.arange(100)).astype(np.uint8)
    assert degradation(np.repeat(ramp[..., None], 3, axis=2))["noise"] == [0]


def test_tinted_photographs_have_a_cast() -> None:
    for photo in photographs()[:12]:
        grey = photo.convert("L").convert("RGB")
        tinted = (np.array(grey) * [1.0, 0.8, 0.6]).astype(np.uint8)
        neutral, cast = degradation(grey, tinted)["colour_cast"]
        assert neutral == pytest.approx(0, abs=0.05)
        assert cast > 0.5  # type: ignore[operator]


def test_lab_known_answers() -> None:
    """Values of the CIE formulas for sRGB primaries under D65."""
    colours = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    expected = [[0, 0, 0], [100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    assert plain.lab(colours) == pytest.approx(np.array(expected), abs=0.05)


def test_tones() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:, 5:] = 255
    pixels[0] = 128
    values = degradation(pixels)
    assert values["exposure"] == pytest.approx([(0.45 * 255 + 0.1 * 128) / 255])
    assert values["shadows"] == pytest.approx([0.45])
    assert values["highlights"] == pytest.approx([0.45])
    assert values["contrast"] == pytest.approx([float((pixels[..., 0] / 255).std())])


def test_too_small_is_unknown() -> None:
    values = degradation(np.full((2, 50, 3), 10, np.uint8))
    assert values["blur"] == values["noise"] == [None]
    assert values["exposure"] == pytest.approx([10 / 255])
