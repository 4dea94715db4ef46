"""JPEGs that lack only their end mark, told from those that lack pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb, read_header
from paris_assets.images.jpeg import MAX_SEGMENTS, SCAN, head, with_end_mark
from paris_assets_tests.images.files import encode


def photo(mode: str = "RGB") -> Image.Image:
    draw = np.random.default_rng(0)
    coarse = Image.fromarray(draw.integers(0, 256, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize((60, 44), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((smooth + draw.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)).convert(mode)


KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "full colour": {"subsampling": 0},
    "restart marks": {"restart_marker_blocks": 3},
    "progressive, restart marks": {"restart_marker_blocks": 3, "progressive": True},
    "RGB": {"keep_rgb": True},
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_pixel_is_there_or_the_file_is_truncated(kind: str, mode: str) -> None:
    data = encode(photo(mode), "JPEG", **KINDS[kind])
    expected = decode_rgb(data)
    for missing in (1, 2):
        assert np.array_equal(decode_rgb(data[:-missing]), expected)
    for missing in (3, 4, 5, 8, 20, 100, 300):
        assert with_end_mark(data[:-missing]) is None, missing
        with pytest.raises(Undecodable):
            decode_rgb(data[:-missing])


def test_a_progressive_file_that_lacks_whole_scans_is_truncated() -> None:
    data = encode(photo(), "JPEG", progressive=True)
    starts = [place for place in range(len(data)) if data.startswith(SCAN, place)]
    assert len(starts) > 5
    for start in starts[1:]:
        tables = data.rfind(b"\xff\xc4", 0, start)
        with pytest.raises(Undecodable):
            decode_rgb(data[:tables])


@pytest.mark.parametrize("rest", [b"\0" * 700, b"<html>404</html>", b"\xff\xd8\xff\xe0rest", b"\xff\xd9"])
def test_what_follows_the_end_mark_is_left_aside(rest: bytes) -> None:
    data = encode(photo(), "JPEG")
    assert np.array_equal(decode_rgb(data + rest), decode_rgb(data))
    assert with_end_mark(data + rest) is None


def test_scaled_decoding_takes_a_file_without_end_mark_too() -> None:
    data = encode(photo().resize((480, 352)), "JPEG")
    assert min(decode_rgb(data[:-2], min_side=100).shape[:2]) >= 100


def test_the_limit_on_pixels_comes_first() -> None:
    with pytest.raises(Undecodable, match="60 x 44 pixels are more than"):
        decode_rgb(encode(photo(), "JPEG")[:-2], max_pixels=60 * 44 - 1)


def test_several_frames_in_one_file_give_the_first() -> None:
    first, second = photo(), Image.new("RGB", (60, 44), "blue")
    data = encode(first, "MPO", save_all=True, append_images=[second])
    assert np.abs(decode_rgb(data).astype(int) - np.asarray(first)).mean() < 10


def test_other_files_have_no_such_mark() -> None:
    for data in (b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff", encode(photo(), "PNG"), b"\xff\xd8\xff\xc0\0\x05\x08\0\0"):
        assert with_end_mark(data) is None


def test_endless_segments_are_no_picture() -> None:
    """Readers that put them together take the square of their number."""
    data = encode(photo(), "JPEG")
    room = MAX_SEGMENTS - len(head(data))
    few, many = (data[:2] + b"\xff\xe1\0\4ab" * count + data[2:] for count in (room, room + 1))
    assert np.array_equal(decode_rgb(few), decode_rgb(data))
    assert len(head(many * 2)) == MAX_SEGMENTS + 1
    with pytest.raises(NotAnImage, match="more than 1000 segments"):
        read_header(many)
    with pytest.raises(Undecodable, match="more than 1000 segments"):
        decode_rgb(many)
