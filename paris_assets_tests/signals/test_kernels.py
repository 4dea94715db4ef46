"""Compiled passes give what plain numpy and Pillow give, on photographs and on any shape."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from paris_assets import compiled
from paris_assets.signals import (
    blocking,
    colour,
    complexity,
    copies,
    degradation,
    detail,
    edges,
    kernels,
    perceptual_hash,
)
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals import plain

SHAPES = [
    (1, 1),
    (1, 3000),
    (3000, 1),
    (3, 3),
    (31, 33),
    (32, 32),
    (9, 8),
    (200, 1025),
    (1500, 1100),
    (513, 2100),
    (2, 9000),
]


def pictures() -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 of noise, of its extremes and of photographs."""
    random = np.random.default_rng(0)
    for height, width in SHAPES:
        yield random.integers(0, 256, (height, width, 3), np.uint8)
        yield random.choice(np.array([0, 255], np.uint8), (height, width, 3))
    yield from (np.array(photo) for photo in photographs()[:20])


@pytest.fixture(scope="module")
def rgb() -> list[np.ndarray]:
    return list(pictures())


def test_luma_and_samples(rgb: list[np.ndarray]) -> None:
    for pixels, grey, planes in zip(rgb, copies.greys(rgb), copies.samples(rgb), strict=True):
        assert (grey == plain.luma(pixels)).all()
        step = max(1, min(grey.shape) // 128)
        assert (planes == np.dstack([pixels, grey])[::step, ::step].transpose(2, 0, 1)).all()


def test_pixels_that_do_not_lie_side_by_side() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    turned = pixels[::-1, :, ::-1]
    assert (copies.greys([turned])[0] == plain.luma(np.ascontiguousarray(turned))).all()


@pytest.mark.parametrize(("width", "height"), [(32, 32), (9, 8), (8, 8), (1, 1), (3, 40)])
def test_resizing_is_pillows_to_the_bit(rgb: list[np.ndarray], width: int, height: int) -> None:
    for grey in copies.greys(rgb):
        assert (copies.resized(grey, width, height) == plain.resized(grey, width, height)).all(), grey.shape


def test_measures_of_luma(rgb: list[np.ndarray]) -> None:
    large = [grey for grey in copies.greys(rgb) if min(grey.shape) > 8]
    assert len(large) > 20
    for grey in large:
        assert degradation.noise_sigma(grey) == pytest.approx(plain.noise_sigma(grey), rel=1e-12)
        assert blocking.blocking(grey) == pytest.approx(plain.blocking(grey), rel=1e-12, abs=1e-12)
        if min(grey.shape) > 9:
            assert edges.step_energies(grey, 3) == pytest.approx(plain.step_energies(grey, 3), rel=1e-12, abs=1e-9)


def test_texture(rgb: list[np.ndarray]) -> None:
    small = [grey for grey in copies.greys(rgb) if 9 <= min(grey.shape) < 512 and max(grey.shape) < 600]
    assert len(small) > 10
    for grey in small:
        assert detail.texture(grey) == pytest.approx(plain.texture(grey), rel=1e-9, abs=1e-9)


def test_sums_of_samples(rgb: list[np.ndarray]) -> None:
    for planes in copies.samples(rgb):
        levels = planes.astype(np.int64)
        rows, columns = kernels.line_sums(planes)
        assert (rows[:, :4] == levels.sum(axis=2).T).all()
        assert (columns[:, :4] == levels.sum(axis=1).T).all()
        assert (rows[:, 4] == (levels[3] ** 2).sum(axis=1)).all()
        assert (columns[:, 4] == (levels[3] ** 2).sum(axis=0)).all()
        saturation, share, _ = colour.colour(planes)
        expected = plain.hsv_saturation(planes[:3, :: colour.STEP, :: colour.STEP].transpose(1, 2, 0))
        assert saturation == pytest.approx(expected.mean(), abs=1e-12)
        assert share == pytest.approx((expected > 0.95).mean(), abs=1e-12)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (3, 1), (9, 8), (256, 300)])
def test_area_means(rgb: list[np.ndarray], height: int, width: int) -> None:
    """Of what is made much smaller, weights of 14 bits are the less exact."""
    for grey in copies.greys(rgb):
        rows, columns = min(height, grey.shape[0]), min(width, grey.shape[1])
        weights = (complexity.area_weights(size, out) for size, out in zip(grey.shape, (rows, columns), strict=True))
        found = complexity.area_reduced(grey, *weights).astype(np.float64)
        most = 0.6 if max(grey.shape[0] / rows, grey.shape[1] / columns) < 20 else 2
        assert np.abs(found - plain.area_means(grey, rows, columns)).max() < most, grey.shape


def test_measures_of_samples(rgb: list[np.ndarray]) -> None:
    for planes, counts in zip(copies.samples(rgb), copies.histograms(rgb), strict=True):
        assert (counts == plain.histograms(planes)).all()
        expected = plain.colour_cast(planes[:3], degradation.CAST_STEP)
        assert degradation.colour_cast(planes[:3]) == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert (perceptual_hash.thumbnail(planes[:3]) == plain.thumbnail(planes[:3])).all(), planes.shape


def test_sums_of_large_extremes_do_not_overflow() -> None:
    checks = (np.indices((70, 70_000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert edges.step_energies(checks, 1).tolist() == [-2 * 255**2, 0, 0]  # the row below is the opposite
    assert set(edges.noise_blocks(checks, 1)[0].tolist()) == {256 * 2040}
    stripes = np.repeat(checks[:1], 70, axis=0)
    assert edges.structure(stripes) == (0, 2 * 64 * 69_992 * 255**2)
    assert (kernels.steps_down(checks, 0, 1) == 70_000 * 255).all()
    assert (kernels.steps_across(checks) == 70 * 255).all()


def test_functions_compile_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available for file")
        return lambda function: function

    monkeypatch.setattr(compiled, "njit", refuse)
    assert compiled.compiled(plain.luma) is plain.luma
