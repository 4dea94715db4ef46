"""Transparency and sample depths of every kind, as seen on white."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from paris_assets.images.decode import Undecodable, decode_rgb, read_header
from paris_assets_tests.images.files import bmp32, chunk, encode, png

WHITE = [255, 255, 255]
RGB_MASKS = (0xFF0000, 0xFF00, 0xFF)
RGBA_MASKS = (*RGB_MASKS, 0xFF000000)
PIXELS = ((10, 20, 30, 0), (40, 50, 60, 255))
OPAQUE = [[30, 20, 10], [60, 50, 40]]


def row(data: bytes) -> list[list[int]]:
    """Pixels of an image of one row."""
    return decode_rgb(data)[0].tolist()


def key(*values: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


@pytest.mark.parametrize(
    ("width", "depth", "colour_type", "packed", "transparent", "shown"),
    [
        (2, 1, 0, b"\x40", (1,), [0, 255]),
        (2, 1, 0, b"\x40", (0,), [255, 255]),
        (4, 2, 0, b"\x1b", (2,), [0, 85, 255, 255]),
        (2, 4, 0, b"\x5a", (5,), [255, 170]),
        (2, 8, 0, b"\x05\x5a", (5,), [255, 90]),
        (2, 16, 0, b"\x12\x34\x12\x35", (0x1234,), [255, 18]),
        (2, 8, 2, b"\1\2\3\1\2\4", (1, 2, 3), [WHITE, [1, 2, 4]]),
        (2, 16, 2, b"\1\1\2\2\3\3\1\1\2\2\3\4", (0x0101, 0x0202, 0x0303), [WHITE, [1, 2, 3]]),
    ],
)
def test_the_one_transparent_colour_of_a_png(
    width: int, depth: int, colour_type: int, packed: bytes, transparent: tuple[int, ...], shown: list[Any]
) -> None:
    expected = [[level] * 3 if isinstance(level, int) else level for level in shown]
    assert row(png(width, depth, colour_type, [packed], key(*transparent))) == expected


def test_a_palette_that_is_missing_is_damage() -> None:
    with pytest.raises(Undecodable, match="bytes give no pixels"):
        decode_rgb(png(2, 8, 3, [b"\0\1"]))


PIXEL = [100, 150, 200]
UNSOUND = {
    "checksum": chunk(b"tEXt", b"k\0v")[:-4] + b"\0\0\0\0",
    "short gamma": chunk(b"gAMA", b"\0"),
    "short primaries": chunk(b"cHRM", bytes(9)),
    "short sRGB": chunk(b"sRGB", b""),
    "profile packed in no known way": chunk(b"iCCP", b"name\0\1" + zlib.compress(b"x" * 200)),
    "profile that is not packed": chunk(b"iCCP", b"name\0\0plain"),
    "long text": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(5_000_000))),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_what_is_unsound_beside_the_pixels_of_a_png_hides_them_not(kind: str) -> None:
    before = png(1, 8, 2, [bytes(PIXEL)], UNSOUND[kind])
    plain = png(1, 8, 2, [bytes(PIXEL)])
    for data in (before, plain[:-12] + UNSOUND[kind] + plain[-12:], before + b"rest"):
        assert row(data) == [PIXEL]
        assert read_header(data).width == 1


def test_what_a_png_needs_for_its_pixels_must_be_sound() -> None:
    data = png(1, 8, 2, [bytes(PIXEL)])
    assert row(data[:-12]) == [PIXEL]  # an end mark is none of it
    with pytest.raises(Undecodable):
        decode_rgb(data[:-26])
    with pytest.raises(Undecodable):
        decode_rgb(data[:29] + b"\0\0\0\0" + data[33:])
    with pytest.raises(Undecodable):
        decode_rgb(png(1, 8, 2, [bytes(PIXEL)], key(1)))


def test_partly_transparent_palette_entries() -> None:
    palette = chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]))
    data = png(3, 8, 3, [b"\0\1\2"], palette, chunk(b"tRNS", b"\0\x80"))
    assert row(data) == [WHITE, [127, 255, 127], [0, 0, 255]]


@pytest.mark.parametrize(
    ("format", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("TIFF", "RGBA"), ("TIFF", "LA"), ("TIFF", "PA"), ("WEBP", "RGBA"),
     ("GIF", "RGBA"), ("AVIF", "RGBA")],
)  # fmt: skip
def test_alpha_in_every_mode_and_format(format: str, mode: str) -> None:
    image = Image.new("RGBA", (16, 16), (90, 90, 90, 255))
    image.paste((7, 7, 7, 0), (0, 0, 8, 16))
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100}}.get(format, {})
    rgb = decode_rgb(encode(image, format, **options))
    assert (rgb[:, :7] == 255).all()
    assert np.abs(rgb[:, 9:].astype(int) - 90).max() <= (2 if format == "AVIF" else 0)


@pytest.mark.parametrize(
    ("tag_value", "shown"), [(2, 152), (1, 177), (0, 50)], ids=["plain", "premultiplied", "unused"]
)
def test_a_tiffs_fourth_channel_is_what_it_says(tag_value: int, shown: int) -> None:
    data = bytearray(encode(Image.new("RGBA", (2, 2), (50, 50, 50, 128)), "TIFF"))
    data[data.index(struct.pack("<HHI", 338, 3, 1)) + 8] = tag_value
    assert abs(int(decode_rgb(bytes(data))[0, 0, 0]) - shown) <= 1


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (bmp32(PIXELS), OPAQUE),
        (bmp32(PIXELS, 40, RGB_MASKS), OPAQUE),
        (bmp32(PIXELS, 108), OPAQUE),
        (bmp32(PIXELS, 124, RGBA_MASKS), [WHITE, OPAQUE[1]]),
        (bmp32([(10, 20, 30, 0), (40, 50, 60, 0)], 108, RGBA_MASKS), OPAQUE),
    ],
    ids=["BI_RGB", "masks of three", "BI_RGB with a long header", "alpha", "alpha nowhere"],
)
def test_a_bmps_fourth_byte_is_alpha_only_where_the_file_says_so(data: bytes, shown: list[list[int]]) -> None:
    assert row(data) == shown


def test_a_gifs_first_frame_leaves_the_rest_of_the_canvas_free() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    for options in ({}, {"transparency": 0}):
        data = bytearray(encode(image, "GIF", **options))
        frame = data.index(b",", 13)
        data[6:10], data[frame + 1 : frame + 5] = struct.pack("<HH", 6, 5), struct.pack("<HH", 1, 1)
        rgb = decode_rgb(bytes(data))
        assert rgb.shape == (5, 6, 3)
        assert (rgb[1:, 1:5] == [0, 0, 255]).all()
        assert (rgb[0] == 255).all()
        assert (rgb[:, [0, 5]] == 255).all()


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_an_animation_with_alpha_gives_its_first_frame(format: str) -> None:
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    further = [Image.new("RGBA", (4, 4), "blue")]
    data = encode(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), format, save_all=True, append_images=further, **options)
    assert np.abs(decode_rgb(data)[0, 0].astype(int) - (255, 127, 127)).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_a_tiffs_deep_greys_are_scaled(dtype: type) -> None:
    data = encode(Image.fromarray(np.array([[0, 257, 32896, 65535]], dtype)), "TIFF")
    assert decode_rgb(data)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_white_may_be_nought_and_samples_may_have_twelve_bits() -> None:
    data = bytearray(encode(Image.fromarray(np.array([[0, 32896, 65535]], np.uint16)), "TIFF"))
    photometric = data.index(struct.pack("<HHI", 262, 3, 1)) + 8
    data[photometric] = 0
    assert decode_rgb(bytes(data))[0, :, 0].tolist() == [255, 127, 0]
    packed = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 12 * 8 + 4), (277, 1), (279, 3)]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in packed)
    twelve = b"II*\0" + struct.pack("<IH", 8, len(packed)) + entries + bytes(4) + b"\xff\xf8\x00"
    assert decode_rgb(twelve)[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize(("white", "half"), [(100, 50), (1023, 512), (65535, 32896)])
def test_a_pgm_names_its_white(white: int, half: int) -> None:
    samples = bytes([half, white]) if white < 256 else struct.pack(">HH", half, white)
    assert decode_rgb(b"P5 2 1 %d\n" % white + samples)[0, :, 0].tolist() == [128, 255]


def test_lab_is_shown_as_colours() -> None:
    rgb = decode_rgb(encode(Image.new("LAB", (2, 2), (128, 128, 128)), "TIFF"))
    assert np.abs(rgb.astype(int) - 119).max() <= 1


def test_no_number_is_white_in_floating_point() -> None:
    with pytest.raises(Undecodable, match="no defined white"):
        decode_rgb(encode(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", UNSOUND)
def test_nor_those_of_16_bits_with_a_transparent_colour(kind: str) -> None:
    clear = bytes([1, 2, 3, 4, 5, 6])
    assert row(png(2, 16, 2, [clear + bytes(6)], chunk(b"tRNS", clear), UNSOUND[kind])) == [WHITE, [0, 0, 0]]
