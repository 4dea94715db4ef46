"""Barcodes and text that were drawn are found; photographs have none."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import zxingcpp
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from paris_assets.signals.barcodes import Barcodes
from paris_assets.signals.signal import SignalError, load_signals
from paris_assets.signals.text_area import TextArea, area, low
from paris_assets_tests.signals.ladder import sample

FONT = font_manager.findfont("DejaVu Sans")


def with_code(photo: Image.Image, kind: Any, said: str, turn: int = 0) -> np.ndarray:
    drawn = np.array(zxingcpp.create_barcode(said, kind).to_image(scale=3))
    code = Image.fromarray(drawn).convert("RGB").rotate(turn, expand=True, fillcolor="white")
    canvas = photo.resize((640, 480))
    canvas.paste(code, (90, 70))
    return np.array(canvas)


@pytest.mark.parametrize("turn", [0, 90, 20])
def test_codes_are_read_in_any_direction(turn: int) -> None:
    pictures = [
        with_code(sample(2)[0], zxingcpp.BarcodeFormat.QRCode, "https://example.org/a", turn),
        with_code(sample(2)[1], zxingcpp.BarcodeFormat.EAN13, "4006381333931", 0),
    ]
    found = Barcodes().measure(pictures)
    assert found == {"barcodes": [1, 1], "barcode_kinds": ["QRCode", "EAN13"]}


def test_photographs_have_no_codes() -> None:
    found = Barcodes().measure([np.array(photo) for photo in sample(24)])
    assert found == {"barcodes": [0] * 24, "barcode_kinds": [None] * 24}


def test_a_picture_too_long_for_the_reader_is_unknown() -> None:
    long = np.full((1, 70_000, 3), 200, np.uint8)
    assert Barcodes().measure([long, long[:, :60_000]]) == {"barcodes": [None, 0], "barcode_kinds": [None, None]}


def with_lines(photo: Image.Image, lines: list[str], size: int) -> np.ndarray:
    canvas = photo.resize((640, 480))
    draw = ImageDraw.Draw(canvas)
    for place, line in enumerate(lines):
        at, font = (30, 40 + 2 * size * place), ImageFont.truetype(FONT, size)
        draw.text(at, line, font=font, fill="white", stroke_width=2, stroke_fill="black")
    return np.array(canvas)


def test_lines_are_read() -> None:
    lines = ["SUMMER SALE", "FIFTY PERCENT", "ONLY TODAY"]
    measured = TextArea().measure([with_lines(photo, lines, 40) for photo in sample(4)])
    assert measured["text_regions"] == [3] * 4
    assert [text.upper().replace(" ", "") for text in measured["ocr_text"]] == ["".join(
        line.replace(" ", "") + "\n" for line in lines
    ).strip()] * 4  # fmt: skip
    assert all(0.08 < share < 0.3 for share in measured["text_area"])
    assert all(glyph == pytest.approx(40 / 480, rel=0.5) for glyph in measured["smallest_glyph"])


def test_more_text_covers_more() -> None:
    shares = [TextArea().measure([with_lines(sample(1)[0], ["WORDS HERE"] * n, 30)])["text_area"][0] for n in (1, 3, 6)]
    assert 0 < shares[0] < shares[1] < shares[2] < 0.7


@pytest.mark.slow
def test_photographs_have_hardly_any_text() -> None:
    """The detector alone calls every third of these a single glyph; nothing can be read in it."""
    shares = TextArea().measure([np.array(photo) for photo in sample(36)])["text_area"]
    assert sum(share > 0.05 for share in shares) <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (15, 200), (16, 16), (16, 640), (640, 16), (90, 3600), (16, 3000)])
def test_small_and_narrow_pictures(shape: tuple[int, int]) -> None:
    blank = np.full((*shape, 3), 200, np.uint8)
    measured = {name: values[0] for name, values in TextArea().measure([blank]).items()}
    known = min(shape) >= 16 and max(shape) <= 40 * min(shape)
    assert measured == dict.fromkeys(TextArea.schema) | ({"text_area": 0.0, "text_regions": 0} if known else {})
    assert Barcodes().measure([blank])["barcodes"] == [0]


@pytest.mark.slow
def test_threads_share_the_networks() -> None:
    pictures = [with_lines(photo, ["SOME WORDS", "AND MORE"], 36) for photo in sample(6)]
    alone = [TextArea().measure([picture]) for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda picture: TextArea().measure([picture]), pictures)) == alone


def test_boxes() -> None:
    box = np.array([[0, 0], [40, 0], [40, 10], [0, 10]], np.float64)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert (area(box @ turn), low(box @ turn)) == (pytest.approx(400), pytest.approx(10))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    monkeypatch.delitem(sys.modules, "paris_assets.signals.barcodes")
    with pytest.raises(SignalError, match=r"zxingcpp.*pip install \"paris_assets\[text\]\""):
        load_signals(["paris_assets.signals.barcodes:Barcodes"])
