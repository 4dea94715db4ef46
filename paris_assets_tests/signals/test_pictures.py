"""What frames, collages, colours, complexity and detail are, on pictures that are known."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from paris_assets.signals.collage import Collage
from paris_assets.signals.colour import Colour
from paris_assets.signals.complexity import Complexity
from paris_assets.signals.detail import Detail
from paris_assets.signals.frame import Frame
from paris_assets_tests.fixtures.photographs import photographs
from paris_assets_tests.signals.ladder import sample

RANDOM = np.random.default_rng(0)


def measured(signal: Any, pixels: np.ndarray | Image.Image) -> dict[str, Any]:
    return {name: values[0] for name, values in signal.measure([np.array(pixels)]).items()}


def complexity(pixels: np.ndarray) -> Any:
    return measured(Complexity(), pixels)["complexity"]


def noise(height: int, width: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("colour", ["white", "black", (12, 90, 200)])
@pytest.mark.parametrize("width", [8, 30])
def test_a_frame_has_four_sides_and_its_share(colour: Any, width: int) -> None:
    inner = Image.fromarray(noise(200, 300))
    found = measured(Frame(), ImageOps.expand(inner, width, colour))
    assert found["flat_sides"] == 4
    assert found["frame_share"] == pytest.approx(1 - 200 * 300 / ((200 + 2 * width) * (300 + 2 * width)), abs=0.02)


def test_bars_are_two_sides() -> None:
    bars = np.concatenate([np.zeros((30, 320, 3), np.uint8), noise(180, 320), np.zeros((30, 320, 3), np.uint8)])
    assert measured(Frame(), bars) == {"flat_sides": 2, "frame_share": pytest.approx(0.25, abs=0.02)}
    bars[-30:] = (0, 0, 60)
    assert measured(Frame(), bars)["flat_sides"] == 1, "sides of two colours are no frame"


def test_photographs_have_few_frames_and_a_blank_page_is_one() -> None:
    found = [measured(Frame(), photo)["flat_sides"] for photo in photographs()]
    assert sum(sides == 4 for sides in found) <= 15
    assert sum(sides >= 2 for sides in found) <= 25
    assert measured(Frame(), np.full((50, 60, 3), 240, np.uint8)) == {"flat_sides": 4, "frame_share": 1}


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3), (9, 9)])
def test_tiny_pictures_are_measured(shape: tuple[int, int]) -> None:
    for signal in (Frame(), Collage(), Colour(), Complexity(), Detail()):
        for pixels in (noise(*shape), np.zeros((*shape, 3), np.uint8)):
            assert set(measured(signal, pixels)) == set(signal.schema)


def collage(rows: int, columns: int, gap: int, frame: int = 0) -> Image.Image:
    whole = [photo for photo in sample(40) if measured(Frame(), photo)["flat_sides"] == 0]
    photos = [photo.resize((160, 160)) for photo in whole[: rows * columns]]
    page = Image.new("RGB", (columns * (160 + gap) - gap, rows * (160 + gap) - gap), "white")
    for i, photo in enumerate(photos):
        page.paste(photo, (i % columns * (160 + gap), i // columns * (160 + gap)))
    return ImageOps.expand(page, frame, "white")


@pytest.mark.parametrize("quality", [None, 85])
@pytest.mark.parametrize(("rows", "columns", "frame"), [(1, 2, 0), (2, 2, 0), (2, 3, 0)])
def test_gutters_of_a_collage(rows: int, columns: int, frame: int, quality: int | None) -> None:
    page = collage(rows, columns, 10, frame)
    if quality:
        buffer = io.BytesIO()
        page.save(buffer, "JPEG", quality=quality)
        page = Image.open(buffer).convert("RGB")
    assert measured(Collage(), page)["gutters"] == rows - 1 + columns - 1


def test_photographs_have_hardly_any_gutters() -> None:
    found = [measured(Collage(), photo)["gutters"] for photo in photographs()]
    assert sum(map(bool, found)) <= 2
    framed = [ImageOps.expand(photo, 12, "white") for photo in sample(20)]
    assert not any(measured(Collage(), photo)["gutters"] for photo in framed)


def test_colours() -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 200
    assert measured(Colour(), red) == {
        "saturation": 1, "saturated_share": 1, "chroma_deviation": pytest.approx(0, abs=1e-6), "greyscale": True,
    }  # fmt: skip
    grey = Image.fromarray(noise(100, 100)).convert("L").convert("RGB")
    assert measured(Colour(), grey) == {
        "saturation": 0, "saturated_share": 0, "chroma_deviation": pytest.approx(0, abs=1e-6), "greyscale": True,
    }  # fmt: skip
    assert sum(measured(Colour(), photo)["greyscale"] for photo in photographs()) < 10
    sepia = ImageOps.colorize(photographs()[0].convert("L"), "black", "white", mid=(150, 120, 90))
    assert measured(Colour(), sepia)["chroma_deviation"] > 2, "the tint of sepia grows with its tone"


def test_complexity_of_known_pictures() -> None:
    """The figures that the bound of 0.3 comes from."""
    white = np.full((512, 512, 3), 255, np.uint8)
    gradient = np.repeat(np.add.outer(np.arange(512), np.arange(512)).astype(np.float64)[..., None] / 4.02, 3, axis=2)
    assert complexity(white) == pytest.approx(0.20, abs=0.03)
    assert complexity(gradient.astype(np.uint8)) == pytest.approx(0.34, abs=0.08)
    assert complexity(noise(256, 256)) == pytest.approx(5.2, abs=0.4)  # 4.9 with means of all chroma


def test_complexity_is_that_of_pillows_jpeg() -> None:
    """Reduced by Pillow and encoded by it, with chroma of all pixels."""
    for photo in sample(12):
        large = photo.resize((photo.width * 2, photo.height * 2), Image.Resampling.BICUBIC)
        scale = min(large.size) / 256
        small = large.resize((round(large.width / scale), round(large.height / scale)), Image.Resampling.BOX)
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=75)
        expected = 8 * len(buffer.getvalue()) / (small.width * small.height)
        assert complexity(np.array(large)) == pytest.approx(expected, rel=0.03)


def test_complexity_hardly_depends_on_size() -> None:
    for photo in sample(8):
        large = photo.resize((photo.width * 4, photo.height * 4), Image.Resampling.BICUBIC)
        small = photo.resize((photo.width * 2, photo.height * 2), Image.Resampling.BICUBIC)
        assert complexity(np.array(large)) == pytest.approx(complexity(np.array(small)), rel=0.1)


def test_complexity_of_odd_sides_is_of_their_pixels_alone() -> None:
    """The encoder reads pairs of rows and of columns: beyond an odd plane lies whatever memory holds."""
    odd = np.repeat(noise(255, 301)[..., :1], 3, axis=2)
    even = np.pad(odd, ((0, 1), (0, 1), (0, 0)), "edge")
    bits = complexity(odd) * odd[..., 0].size
    assert bits == pytest.approx(complexity(even) * even[..., 0].size, rel=1e-12)


def test_complexity_of_what_no_jpeg_holds_is_unknown() -> None:
    assert complexity(np.zeros((1, 70_000, 3), np.uint8)) is None


def test_texture_tells_lines_from_noise() -> None:
    lines = np.where(np.arange(300) // 5 % 2, 255, 0).astype(np.uint8)
    striped = np.broadcast_to(lines[None, :, None], (300, 300, 3))
    assert measured(Detail(), striped)["texture"] == pytest.approx(0)
    assert measured(Detail(), noise(300, 300))["texture"] > 0.7
    assert measured(Detail(), np.zeros((300, 300, 3), np.uint8)) == {"texture": None, "upscaled": None}


def test_enlarged_pictures_are_told() -> None:
    values = [
        [measured(Detail(), sharp.resize((sharp.width * f, sharp.height * f), 3))["upscaled"] for f in (1, 2, 4)]
        for sharp in (photo.reduce(2) for photo in sample(15))
    ]
    native, twice, four_times = np.median(values, axis=0)
    assert native < 12 < twice < 20 < four_times < 40
    assert all(row == sorted(row) for row in values)
