from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from paris_assets.images import decode
from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb, read_header
from paris_assets.images.jpeg import head, is_one_scan, scan_count
from paris_assets.images.webp import canvas
from paris_assets_tests.images.files import chunk, encode

PHOTOS = sorted((Path(__file__).parents[2] / "data/sample").rglob("*.jpg"))


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
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_orientation(orientation: int, format: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(picture(), format, exif=exif)
    expected = shown(data)
    assert np.array_equal(decode_rgb(data), expected)
    header = read_header(data)
    assert (header.height, header.width) == expected.shape[:2]
    assert (header.width, header.height) == ((40, 48) if orientation >= 5 else (48, 40))


@pytest.mark.parametrize("packed", [False, True])
def test_exif_that_a_png_keeps_as_a_text_turns_it_too(packed: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    raw, texts = exif.tobytes(), PngImagePlugin.PngInfo()
    texts.add_text("Comment", "of something else", zip=packed)
    texts.add_text("Raw profile type exif", f"\nexif\n{len(raw):8}\n{raw.hex()}\n", zip=packed)
    assert np.array_equal(
        decode_rgb(encode(picture(), "PNG", pnginfo=texts)), np.asarray(picture())[::-1].swapaxes(0, 1)
    )


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
    with pytest.raises(Undecodable) as raised:
        decode_rgb(data)
    assert " at 0x" not in str(raised.value)  # the message is a value of a table


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


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of given size with 1,000 bytes of pixels and further chunks before them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *chunks, pixels, chunk(b"IEND", b"")])


def tiff(*tags: tuple[int, int, int], count: int = 1, pixels: bytes = b"") -> bytes:
    """A little-endian TIFF with one directory of (tag, type, value) entries."""
    entries = b"".join(struct.pack("<HHII", tag, kind, count, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + pixels


def resized(data: bytes, position: int, width: int, height: int, code: str) -> bytes:
    """The file with another size written at a position of its header."""
    size = struct.pack(code, width, height)
    return data[:position] + size + data[position + len(size) :]


def icon(picture: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(picture), 22) + picture


def jpeg2000(side: int) -> bytes:
    """A header and an empty tile: 87 bytes for which a decoder sets up `side` x `side` samples three times."""
    size = struct.pack(">HIIIIIIIIH", 0, side, side, 0, 0, side, side, 0, 0, 3) + b"\x07\x01\x01" * 3
    segments = [(b"\x51", size), (b"\x52", bytes([0, 0, 0, 1, 0, 0, 0, 0, 0, 1])), (b"\x5c", b"\x20\x40")]
    main = b"".join(b"\xff" + mark + struct.pack(">H", len(content) + 2) + content for mark, content in segments)
    return b"\xff\x4f" + main + b"\xff\x90" + struct.pack(">HHIBB", 10, 0, 14, 0, 1) + b"\xff\x93\xff\xd9"


def bombs() -> dict[str, bytes]:
    """Small files that ask for more than 100 MB, by name; as many ways as formats have."""
    jpeg, gif = encode(picture(16, 16), "JPEG"), encode(picture(16, 16).convert("P"), "GIF")
    webp = encode(picture(16, 16), "WEBP", save_all=True, append_images=[picture(16, 16, "L").convert("RGB")])
    frame, canvas = jpeg.index(b"\xff\xc0"), webp.index(b"VP8X") + 12
    inflated = zlib.compress(bytes(200_000_000), 9)
    grey = [(258, 3, 8), (262, 3, 1), (277, 3, 1)]
    shared = [(number, 7, 8 + 2 + 12 * 3000 + 4) for number in range(1, 3001)]
    big = encode(Image.new("1", (13_000, 13_000)), "PNG")
    return {
        "jpeg": resized(jpeg, frame + 5, 60_000, 60_000, ">HH"),
        "png": png(60_000, 60_000),
        "gif": resized(gif, 6, 60_000, 60_000, "<HH"),
        "gif_frame": resized(gif, gif.index(b",", 13) + 5, 60_000, 60_000, "<HH"),
        "webp": webp[:canvas] + (16_383).to_bytes(3, "little") * 2 + webp[canvas + 6 :],
        "bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "ppm": b"P6\n60000 60000\n255\n",
        "tiff": tiff((256, 4, 60_000), (257, 4, 60_000), *grey[:2], (273, 4, 8), grey[2], (278, 4, 60_000)),
        "tiff_tile": tiff(
            (256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, 20_000),
            (323, 4, 20_000), (324, 4, 134), (325, 4, 17), pixels=zlib.compress(bytes(1000)),
        ),
        "tiff_tags": tiff(*shared, count=200_000, pixels=b"\1" * 200_000),
        "png_profile": png(10, 10, chunk(b"iCCP", b"x\0\0" + inflated)),
        "png_text": png(10, 10, chunk(b"zTXt", b"x\0\0" + inflated), chunk(b"zTXt", b"y\0\0" + inflated)),
        "png_international_text": png(10, 10, chunk(b"iTXt", b"x\0\1\0\0\0" + inflated)),
        "png_exif": png(10, 10, chunk(b"eXIf", tiff(*shared, count=200_000, pixels=b"\1" * 200_000))),
        "icon": icon(big),
        "jpeg2000": jpeg2000(9000),
    }  # fmt: skip


WATCH = """
import json, sys, warnings
from pathlib import Path
from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb, read_header
warnings.simplefilter("ignore")

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

decode_rgb(Path(sys.argv[1], "fine").read_bytes())
for file in sorted(Path(sys.argv[1]).iterdir()):
    data, before, words = file.read_bytes(), peak_mb(), []
    for step in (read_header, decode_rgb):
        try:
            words.append(step(data) and "read" if step is read_header else str(step(data).shape))
        except (NotAnImage, Undecodable) as error:
            words.append(type(error).__name__)
    print(json.dumps([file.name, *words, peak_mb() - before]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_bombs_cost_no_memory(tmp_path: Path) -> None:
    files = {"fine": encode(picture(), "PNG"), **bombs()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert max(map(len, files.values())) < 1_000_000
    done = subprocess.run([sys.executable, "-c", WATCH, str(tmp_path)], capture_output=True, text=True, check=True)
    seen = {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    assert seen.keys() == files.keys()
    # The file itself is read within the time that is watched.
    assert {name: grown for name, (_, _, grown) in seen.items() if grown > 24} == {}
    # Tags that claim more bytes than there are, and texts and profiles of a PNG that unpack to too much, are left out.
    harmless = {"fine", "png_exif", "png_profile", "png_text", "png_international_text"}
    assert {name for name, (_, decoded, _) in seen.items() if decoded != "Undecodable"} == harmless


def test_formats_that_decode_before_their_size_is_known_are_no_images() -> None:
    for data in (icon(encode(picture(16, 16), "PNG")), encode(picture(), "JPEG2000"), jpeg2000(16)):
        with pytest.raises(NotAnImage):
            read_header(data)


def test_a_side_that_no_table_can_hold_is_a_damaged_header() -> None:
    bitmap = b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, -5, 5, 1, 24, 0, 0, 0, 0, 0, 0)
    high = tiff((256, 4, 1), (257, 4, 4_000_000_000), (258, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 9))
    for data in (b"P6\n3000000000 1\n255\n", bitmap, high):
        with pytest.raises(NotAnImage, match="a header of"):
            read_header(data)
        with pytest.raises(Undecodable, match="a header of"):
            decode_rgb(data, max_pixels=sys.maxsize)
    assert read_header(b"P6\n2147483647 1\n255\n").width == 2**31 - 1


def test_a_tile_of_the_image_itself_is_no_bomb() -> None:
    sides = [(256, 4, 5000), (257, 4, 5000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    assert read_header(tiff(*sides, (322, 4, 5008), (323, 4, 5008), (324, 4, 8), (325, 4, 1))).width == 5000
    with pytest.raises(NotAnImage, match="a tile of 25200000 pixels"):
        read_header(tiff(*sides, (322, 4, 5040), (323, 4, 5000), (324, 4, 8), (325, 4, 1)))


def scans_of(data: bytes, repeats: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again; each goes over the whole image."""
    last = data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda"))
    return data[:-2] + data[last:-2] * repeats + data[-2:]


def test_a_jpeg_of_many_scans_is_refused_before_it_is_decoded() -> None:
    data = encode(picture(), "JPEG", progressive=True)
    own = data.count(b"\xff\xda")
    assert decode_rgb(scans_of(data, 64 - own)).shape == (40, 48, 3)
    with pytest.raises(Undecodable, match="more than 64 scans"):
        decode_rgb(scans_of(data, 65 - own))


def test_scans_of_a_jpeg_that_sends_its_components_one_by_one_are_counted_too() -> None:
    data = encode(picture(), "JPEG")
    assert is_one_scan(head(data))
    assert not is_one_scan(head(encode(picture(), "JPEG", progressive=True)))
    partial = bytearray(data)
    partial[data.index(b"\xff\xda") + 4] = 1
    assert not is_one_scan(head(bytes(partial)))
    with pytest.raises(Undecodable, match="more than 64 scans"):
        decode_rgb(bytes(partial[:-2]) + bytes(partial[partial.index(b"\xff\xda") : -2]) * 64 + b"\xff\xd9")


def test_only_scans_of_the_image_count() -> None:
    data, scan = encode(picture(), "JPEG"), b"\xff\xda"
    thumbnail = b"\xff\xe5" + struct.pack(">H", 2 + 200) + scan * 100
    filled = data.replace(scan, b"\xff\xff\xff" + scan)
    for file in (data[:2] + thumbnail + data[2:], data + scan * 100, filled + scan * 100):
        assert np.array_equal(decode_rgb(file), decode_rgb(data))
        assert scan_count(file) == 1


WEBPS = {
    "lossy": (encode(picture(), "WEBP"), 26, "<HH", 0),
    "lossless": (encode(picture(), "WEBP", lossless=True), 21, "<I", None),
    "extended": (encode(picture(), "WEBP", icc_profile=b"x" * 200), 24, "", 1),
}


@pytest.mark.parametrize("kind", WEBPS)
def test_the_canvas_of_a_webp_is_known_before_it_is_opened(kind: str) -> None:
    data, place, code, less = WEBPS[kind]
    assert canvas(data) == (48, 40)
    if kind == "extended":
        sides = (16_382).to_bytes(3, "little") * 2
    else:
        sides = struct.pack(code, *([16_383] * 2 if less == 0 else [16_382 | 16_382 << 14]))
    large = data[:place] + sides + data[place + len(sides) :]
    assert canvas(large) == (16_383, 16_383)
    opened: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "_open", opened.append)
        assert read_header(large, 1_000_000) == decode.Header(16_383, 16_383, "webp")
        with pytest.raises(Undecodable, match="16383 x 16383 pixels are more"):
            decode_rgb(large, max_pixels=1_000_000)
    assert opened == []


def test_other_files_have_no_canvas() -> None:
    for data in (
        b"",
        b"RIFF",
        b"RIFF....WEBP",
        b"RIFF....WEBPVP8 ",
        encode(picture(), "PNG"),
        b"RIFF....WAVEVP8X" + bytes(20),
    ):
        assert canvas(data) is None
