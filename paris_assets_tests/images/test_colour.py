"""Colours that a file's own profile gives to its pixels."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms

from paris_assets.images.colour import is_srgb, to_srgb
from paris_assets.images.decode import decode_rgb
from paris_assets.images.icc import CURVES, PRIMARIES, SRGB, coded_profile, matrix_profile, srgb
from paris_assets_tests.fixtures.icc import ADOBE_RGB, cmyk_profile, grey_profile, rgb_profile
from paris_assets_tests.images.files import chunk, encode, png

SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# XYZ under D50 -> linear sRGB (Lindbloom, "RGB/XYZ matrices", adapted by Bradford's method).
TO_LINEAR = np.linalg.inv(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
PIXEL = (100, 150, 200)
RED = (255, 0, 0)


def encoded_light(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


def seen(pixel: tuple[int, ...], gamma: float = 563 / 256) -> np.ndarray:
    """sRGB of a pixel in Adobe RGB, by its specification."""
    return encoded_light(TO_LINEAR @ np.array(ADOBE_RGB).T @ (np.array(pixel) / 255) ** gamma)


def flat(colour: Any, mode: str = "RGB", side: int = 64) -> Image.Image:
    return Image.new(mode, (side, side), colour)


def decoded(image: Image.Image, format: str, **options: Any) -> np.ndarray:
    rgb = decode_rgb(encode(image, format, **options))
    assert rgb.flags.writeable
    assert rgb.flags.c_contiguous
    return rgb[0, 0].astype(int)


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100, "subsampling": 0}),
     ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True})],
)  # fmt: skip
def test_a_profile_is_followed_in_every_format(format: str, options: dict[str, Any]) -> None:
    found = decoded(flat(PIXEL), format, icc_profile=rgb_profile(), **options)
    assert np.abs(found - seen(PIXEL)).max() <= 2
    assert np.abs(found - PIXEL).max() > 30


def test_an_avif_follows_its_profile_and_its_code_points() -> None:
    found = decoded(flat(PIXEL), "AVIF", quality=100, subsampling="4:4:4", icc_profile=rgb_profile())
    assert np.abs(found - seen(PIXEL)).max() <= 6
    plain = bytearray(encode(flat(PIXEL), "AVIF", quality=100, subsampling="4:4:4"))
    place = plain.index(b"colrnclx") + 8
    assert np.abs(decode_rgb(bytes(plain))[0, 0].astype(int) - PIXEL).max() <= 3
    plain[place : place + 2] = (12).to_bytes(2)  # Display P3
    assert np.abs(decode_rgb(bytes(plain))[0, 0].astype(int) - (83, 152, 205)).max() <= 4


def test_transparency_and_palettes_are_converted_too() -> None:
    half = decoded(flat((*PIXEL, 128), "RGBA"), "PNG", icc_profile=rgb_profile())
    assert np.abs(half - (255 + (seen(PIXEL) - 255) * 128 / 255)).max() <= 1
    palette = flat(PIXEL).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.abs(decoded(palette, "PNG", icc_profile=rgb_profile()) - seen(PIXEL)).max() <= 1


@pytest.mark.parametrize("size", [60_000, 65_600, 200_000])
def test_a_profile_of_several_segments_is_one_profile(size: int) -> None:
    data = encode(flat(PIXEL), "JPEG", quality=100, icc_profile=rgb_profile().ljust(size, b"\0"))
    assert np.abs(decode_rgb(data)[0, 0] - seen(PIXEL)).max() <= 2
    lacking = data.replace(b"ICC_PROFILE\0\1", b"ICC_PROFILE\0\7", 1)
    assert np.abs(decode_rgb(lacking)[0, 0].astype(int) - PIXEL).max() <= 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_grey_levels_follow_a_grey_profile_and_an_rgb_one(format: str) -> None:
    expected = round(float(encoded_light(np.array(128 / 255))))
    assert decoded(flat(128, "L"), format, icc_profile=grey_profile(1.0)).tolist() == [expected] * 3
    found = decoded(flat(128, "L"), format, icc_profile=rgb_profile(gamma=1.0))
    assert np.abs(found - expected).max() <= 1


def test_sixteen_bits_follow_a_profile() -> None:
    image = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    assert decoded(image, "PNG", icc_profile=grey_profile(1.0)).tolist() == [188] * 3


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("inks", "grey"), [((0, 0, 0, 0), 255), ((255, 0, 0, 0), 119), ((0, 255, 255, 0), 71), ((0, 0, 0, 255), 0)]
)
def test_inks_are_seen_through_their_profile(format: str, inks: tuple[int, ...], grey: int) -> None:
    lightness = {0: 100.0, 1: 50.0, 2: 30.0, 3: 10.0}
    profile = cmyk_profile(lambda whole: 0.0 if whole[3] else lightness[sum(whole)])
    found = decoded(flat(inks, "CMYK"), format, icc_profile=profile)
    assert np.abs(found - grey).max() <= 1


def test_a_large_profile_and_a_long_text_of_a_png_are_read() -> None:
    profile = rgb_profile().ljust(3_000_000, b"\0")
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(3_000_000)))
    data = png(1, 8, 2, [bytes(PIXEL)], chunk(b"iCCP", b"name\0\0" + zlib.compress(profile)), text)
    assert np.abs(decode_rgb(data)[0, 0] - seen(PIXEL)).max() <= 1


def test_inks_that_are_kept_as_ycck_are_those_of_cmyk() -> None:
    inks = np.tile(np.array([200, 30, 60, 10], np.uint8), (16, 16, 1))
    data = simplejpeg.encode_jpeg(255 - inks, quality=100, colorspace="CMYK", colorsubsampling="444")
    assert simplejpeg.decode_jpeg_header(data)[2] == "YCCK"
    expected = (255 - inks[0, 0, :3].astype(int)) * (255 - inks[0, 0, 3]) / 255
    assert np.abs(decode_rgb(data)[0, 0] - expected).max() <= 2


@pytest.mark.parametrize("min_side", [None, 30])
def test_scaled_decoding_gives_the_same_colours(min_side: int | None) -> None:
    data = encode(flat(PIXEL, side=240), "JPEG", quality=100, icc_profile=rgb_profile())
    rgb = decode_rgb(data, min_side=min_side)
    assert len(rgb) == (240 if min_side is None else 30)
    assert np.abs(rgb[5, 5] - seen(PIXEL)).max() <= 2


@pytest.mark.parametrize(
    "profile",
    [SRGB_PROFILE, matrix_profile(SRGB, srgb), b"no profile at all", rgb_profile()[:200], b"", grey_profile(),
     cmyk_profile(lambda inks: 50.0), rgb_profile() + bytes(4_000_000)],
    ids=["sRGB", "sRGB by numbers", "junk", "cut", "empty", "grey's", "inks'", "too large"],
)  # fmt: skip
def test_srgb_and_what_cannot_be_used_leave_every_pixel_as_it_is(profile: bytes) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    data = encode(Image.fromarray(pixels), "TIFF", icc_profile=profile)
    assert np.array_equal(decode_rgb(data), pixels)
    if profile:
        assert is_srgb(profile, "RGB")


def test_other_colours_are_not_taken_for_srgb() -> None:
    assert not is_srgb(rgb_profile(), "RGB")
    assert not is_srgb(grey_profile(2.2), "L"), "dark greys of a power are darker than sRGB's"
    assert not is_srgb(rgb_profile(), "L")
    display_p3 = coded_profile(12, 13)
    assert display_p3 is not None
    assert not is_srgb(display_p3, "RGB")


def _chromaticities(*values: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * value) for value in values)))


def _gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(100_000 * value)))


ADOBE_NUMBERS = _chromaticities(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_NUMBERS = _chromaticities(*SRGB)
CODED_P3 = chunk(b"cICP", bytes([12, 13, 0, 1]))
COMPRESSED = chunk(b"iCCP", b"name\0\0" + zlib.compress(rgb_profile()))


@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        ([], PIXEL),
        ([_gamma(0.45455)], PIXEL),
        ([_gamma(0.45455), SRGB_NUMBERS], PIXEL),
        ([_gamma(0)], PIXEL),
        ([_gamma(42_000)], PIXEL),
        ([_chromaticities(*[0] * 8)], PIXEL),
        ([_chromaticities(*[0.3] * 8)], PIXEL),
        ([_gamma(1)], encoded_light(np.array(PIXEL) / 255)),
        ([_gamma(1 / 1.8)], encoded_light((np.array(PIXEL) / 255) ** 1.8)),
        ([_gamma(1), chunk(b"sRGB", b"\0")], PIXEL),
        ([_gamma(1 / 2.2 * 0.94), ADOBE_NUMBERS], seen(PIXEL, 2.2 / 0.94)),
        ([COMPRESSED], seen(PIXEL)),
        ([COMPRESSED, chunk(b"sRGB", b"\0"), _gamma(1)], seen(PIXEL)),
        ([CODED_P3], (83, 152, 205)),
        ([CODED_P3, COMPRESSED], (83, 152, 205)),
        ([chunk(b"cICP", bytes([1, 13, 0, 1])), COMPRESSED], PIXEL),
        ([chunk(b"cICP", b"\1")], PIXEL),
    ],
)  # fmt: skip
def test_what_a_png_says_of_its_colours_counts_in_this_order(chunks: list[bytes], shown: Any) -> None:
    found = decode_rgb(png(1, 8, 2, [bytes(PIXEL)], *chunks))[0, 0]
    assert np.abs(found - np.array(shown)).max() <= 1.5


def test_every_coded_space_keeps_white_black_and_grey() -> None:
    for primaries in PRIMARIES:
        profile = coded_profile(primaries, 13)
        for level in (0, 90, 255):
            found = np.array(to_srgb(flat((level,) * 3), profile))[0, 0].astype(int)
            assert np.abs(found - level).max() <= 1, primaries


@pytest.mark.parametrize(("transfer", "signal"), [(16, 148), (18, 191)])
def test_diffuse_white_of_hdr_is_white(transfer: int, signal: int) -> None:
    """ITU-R BT.2408: 58 % of PQ, 75 % of HLG."""
    light = CURVES[transfer](np.array([0, signal / 255, 1]))
    assert light == pytest.approx([0, 1, 1], abs=0.02)
    assert coded_profile(9, transfer) is not None


def test_a_picture_is_turned_and_converted() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (64, 32), PIXEL)
    image.paste((0, 0, 0), (0, 0, 32, 32))
    for format, options in (("JPEG", {"quality": 100}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        rgb = decode_rgb(encode(image, format, exif=exif, icc_profile=rgb_profile(), **options))
        assert rgb.shape == (64, 32, 3), format
        assert np.abs(rgb[50, 16] - seen(PIXEL)).max() <= 2, format
        assert rgb[10, 16].max() <= 1, format


def test_threads_share_a_profile() -> None:
    data = encode(Image.effect_noise((300, 200), 60).convert("RGB"), "JPEG", icc_profile=rgb_profile())
    expected, decode = decode_rgb(data), decode_rgb
    with ThreadPoolExecutor(4) as pool:
        found: list[np.ndarray] = list(pool.map(_call(decode, data), range(16)))
    assert all(np.array_equal(rgb, expected) for rgb in found)


def _call(decode: Callable[[bytes], np.ndarray], data: bytes) -> Callable[[int], np.ndarray]:
    return lambda _: decode(data)


def test_red_of_a_wider_space_stays_the_reddest_red() -> None:
    assert decoded(flat(RED), "PNG", icc_profile=rgb_profile()).tolist() == [255, 0, 0]


def test_of_several_profiles_of_a_png_the_first_counts() -> None:
    """And only it is unpacked: each may take 4 MB and some milliseconds."""
    others = [chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(3_900_000)))] * 90
    started = time.process_time()
    rgb = decode_rgb(png(1, 8, 2, [bytes(PIXEL)], COMPRESSED, *others))
    assert time.process_time() - started < 0.4
    assert np.abs(rgb[0, 0] - seen(PIXEL)).max() <= 1


def test_texts_that_are_damaged_leave_a_png_its_profile() -> None:
    broken = chunk(b"tEXt", b"k\0v")[:-4] + b"\0\0\0\0"
    assert np.abs(decode_rgb(png(1, 8, 2, [bytes(PIXEL)], broken, COMPRESSED))[0, 0] - seen(PIXEL)).max() <= 1
