from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from paris_assets.storage.decode import NotAnImage, Undecodable, decode_rgb, read_header

PHOTOS = sorted((Path(__file__).parents[2] / "data/sample").rglob("*.jpg"))


def encode(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def picture(width: int = 48, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Smooth colours with a bright corner, so that every orientation differs."""
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)
    pixels[:8, :12] = 255
    return Image.fromarray(pixels).convert(mode)


def shown(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_pixels_equal_pillows(subsampling: str, progressive: bool) -> None:
    data = encode(picture(131, 97), "JPEG", quality=80, subsampling=subsampling, progressive=progressive)
    assert np.array_equal(decode_rgb(data), shown(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpeg_modes_equal_pillows(mode: str) -> None:
    data = encode(picture(mode=mode), "JPEG")
    assert np.array_equal(decode_rgb(data), shown(data))


def test_sample_photos_equal_pillows() -> None:
    for photo in PHOTOS:
        data = photo.read_bytes()
        try:
            expected = shown(data)
        except OSError:
            continue
        assert np.array_equal(decode_rgb(data), expected), photo


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(), format, exif=exif)
    expected = shown(data)
    assert np.array_equal(decode_rgb(data), expected)
    header = read_header(data)
    assert (header.height, header.width) == expected.shape[:2]
    assert (header.width, header.height) == ((40, 48) if orientation >= 5 else (48, 40))


def test_damaged_exif_is_ignored() -> None:
    data = encode(picture(), "JPEG", exif=b"Exif\0\0nonsense")
    assert decode_rgb(data).shape == (40, 48, 3)


@pytest.mark.parametrize(
    ("format", "name", "extension"),
    [("JPEG", "jpeg", "jpg"), ("PNG", "png", "png"), ("WEBP", "webp", "webp"), ("GIF", "gif", "gif"),
     ("BMP", "bmp", "bmp"), ("TIFF", "tiff", "tif"), ("AVIF", "avif", "avif")],
)  # fmt: skip
def test_formats(format: str, name: str, extension: str) -> None:
    header = read_header(encode(picture(), format))
    assert (header.width, header.height, header.format, header.extension) == (48, 40, name, extension)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_white(mode: str) -> None:
    image = picture().convert("L").convert(mode)
    alpha = np.full((40, 48), 255, np.uint8)
    alpha[:, :10] = 0
    image.putalpha(Image.fromarray(alpha))
    rgb = decode_rgb(encode(image, "PNG"))
    assert (rgb[:, :10] == 255).all()
    assert np.array_equal(rgb[:, 10:], np.asarray(picture().convert("L").convert("RGB"))[:, 10:])


def test_half_transparent_black_is_grey() -> None:
    rgb = decode_rgb(encode(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG"))
    assert abs(int(rgb[0, 0, 0]) - 127) <= 1


def test_transparent_palette() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 30, 40])
    image.putpixel((0, 0), 0)
    rgb = decode_rgb(encode(image, "PNG", transparency=0))
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[1, 1].tolist() == [200, 30, 40]


def test_sixteen_bits_are_rounded_not_clipped() -> None:
    values = np.array([[0, 257, 32896, 65535, 300, 100]], np.uint16)
    rgb = decode_rgb(encode(Image.fromarray(values), "PNG"))
    assert rgb[0, :, 1].tolist() == [0, 1, 128, 255, 1, 0]


def test_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    rgb = decode_rgb(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert rgb[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("min_side", [1, 30, 60, 61, 119, 120, 240, 241, 500])
def test_scaled_decode_keeps_the_short_side(min_side: int) -> None:
    data = encode(picture(360, 240), "JPEG")
    rgb = decode_rgb(data, min_side=min_side)
    assert min(rgb.shape[:2]) >= min(min_side, 240)
    factor = 240 / rgb.shape[0]
    assert factor in (1, 2, 4, 8)
    assert factor == 8 or 240 / (2 * factor) < min_side
    full = Image.fromarray(decode_rgb(data)).resize((rgb.shape[1], rgb.shape[0]), Image.Resampling.BOX)
    assert np.abs(np.asarray(full, np.int16) - rgb).mean() < 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_truncation_is_undecodable_but_has_a_header(format: str) -> None:
    data = encode(picture(200, 160), format, quality=95)
    if format != "WEBP":  # whose size field promises bytes that are missing
        assert read_header(data[: len(data) // 2]).width == 200
    with pytest.raises(Undecodable):
        decode_rgb(data[: len(data) // 2])


def test_bombs_are_refused_from_the_header() -> None:
    data = encode(Image.new("1", (30_000, 10_000)), "PNG")
    assert read_header(data).width == 30_000
    with pytest.raises(Undecodable, match="30000 x 10000"):
        decode_rgb(data)
    jpeg = encode(picture(), "JPEG")
    with pytest.raises(Undecodable, match="48 x 40"):
        decode_rgb(jpeg, max_pixels=48 * 40 - 1)
    assert decode_rgb(jpeg, max_pixels=48 * 40).shape == (40, 48, 3)


@pytest.mark.parametrize(
    "data", [b"", b"<html><body>404</body></html>", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"]
)
def test_other_bytes(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        read_header(data)
    with pytest.raises(Undecodable):
        decode_rgb(data)


@settings(max_examples=150, deadline=None)
@given(
    format=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"]),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
    keep=st.floats(0.05, 1),
)
def test_damaged_files_raise_nothing_else(format: str, damage: list[tuple[float, int]], keep: float) -> None:
    data = bytearray(encode(picture(), format))
    for position, value in damage:
        data[int(position * len(data))] = value
    damaged = bytes(data[: max(1, int(keep * len(data)))])
    try:
        header = read_header(damaged)
    except NotAnImage:
        header = None
    try:
        rgb = decode_rgb(damaged, max_pixels=4_000_000)
    except Undecodable:
        return
    assert header is not None
    assert rgb.dtype == np.uint8
    assert rgb.shape == (header.height, header.width, 3)
