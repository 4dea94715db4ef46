import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from paris_assets.images.sheet import EMPTY, GAP, LINE, LINES, TILE, _lines, sheet, small_jpeg


def png(colour: str, size: tuple[int, int] = (300, 200)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def test_images_stand_in_reading_order_and_what_gives_no_pixels_is_grey() -> None:
    colours = ["red", "lime", "blue", "yellow"]
    found = sheet([*map(png, colours[:3]), None, b"no image", png("yellow", (1, 900))], ["words"] * 6, columns=3)
    assert found.size == (GAP + 3 * (TILE + GAP), GAP + 2 * (TILE + GAP + LINES * LINE))
    step = TILE + GAP
    middles = [
        (GAP + column * step + TILE // 2, GAP + row * (step + LINES * LINE) + TILE // 2)
        for row in range(2)
        for column in range(3)
    ]
    seen = [found.getpixel(place) for place in middles]
    named = [Image.new("RGB", (1, 1), colour).getpixel((0, 0)) for colour in (*colours[:3], EMPTY, EMPTY, "yellow")]
    assert seen == named


def test_words_are_cut_to_two_lines_that_fit_a_tile() -> None:
    font = ImageFont.load_default(11)
    assert _lines("two words", font) == ["two words", ""]
    first, second = _lines("a caption that goes on and on " * 9, font)
    assert not first.endswith(("...", " "))
    assert second.endswith("...")
    assert all(font.getlength(line) <= TILE for line in (first, second))
    assert _lines("x" * 200, font)[0].strip("x") == ""
    assert _lines("line\nbreak\u200b", font)[0] == "line break"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: Image.fromarray(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8)),
        lambda: Image.new("RGB", (2000, 40), "red"),
        lambda: Image.new("RGBA", (300, 4000)),
    ],
)
def test_a_picture_is_made_as_small_as_it_has_to_be(draw: Callable[[], Image.Image]) -> None:
    data = small_jpeg(draw(), 50_000)
    found = Image.open(io.BytesIO(data))
    assert len(data) <= 50_000
    assert found.format == "JPEG"
    assert found.width <= 400


def test_an_easy_picture_stays_as_wide_as_the_column() -> None:
    picture = Image.new("RGB", (1000, 500), "white")
    ImageDraw.Draw(picture).line((0, 0, 1000, 500), "black", 5)
    assert Image.open(io.BytesIO(small_jpeg(picture, 50_000))).size == (400, 200)
