from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image, ImageFilter

from paris_assets.signals.degradation import Degradation
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals import plain


def degradation(*images: np.ndarray | Image.Image) -> dict[str, list[float | None]]:
    return Degradation().measure([np.array(image) for image in images])


@pytest.mark.parametrize("sigma", [1, 2, 4, 8])
def test_blur_is_the_width_of_an_edge(sigma: float) -> None:
    page = np.full((128, 200), 30.0)
    page[:, 100:] = 220
    soft = scipy.ndimage.gaussian_filter(page, sigma).round().astype(np.uint8)
    assert degradation(np.repeat(soft[..., None], 3, axis=2))["blur"] == pytest.approx([sigma], rel=0.1)


def test_a_sharp_edge_has_no_width_and_a_flat_picture_no_edge() -> None:
    page = np.full((300, 400, 3), 30, np.uint8)
    assert degradation(page)["blur"] == [None]
    page[80:220, 100:300] = 220
    assert degradation(page)["blur"] == pytest.approx([0], abs=0.02)


def test_noise_is_no_sharpness() -> None:
    """The seed's and everyone's variance of the Laplacian grows by 20 sigma^2."""
    photo = np.asarray(photographs()[0].filter(ImageFilter.GaussianBlur(2))).astype(np.float64)
    noisy = photo + np.random.default_rng(0).normal(0, 15, photo.shape)
    plain_blur, noisy_blur = degradation(photo.astype(np.uint8), noisy.round().clip(0, 255).astype(np.uint8))["blur"]
    assert noisy_blur == pytest.approx(plain_blur, rel=0.1)


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
    assert degradation(np.full((9, 50, 3), 10, np.uint8))["blur"] == [None]
    assert values["exposure"] == pytest.approx([10 / 255])
