"""Good files of every format that is decoded, to be damaged."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, PngImagePlugin

from paris_assets_tests.fixtures.icc import cmyk_profile, grey_profile, rgb_profile
from paris_assets_tests.images.files import bmp32, chunk, encode, png

TEXT = "a cat, Steps: 20, Sampler: Euler, CFG scale: 7"
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/>trainedAlgorithmicMedia</x:xmpmeta>'


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft patches of colour with grain."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (6, 8, 3), np.uint8))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((soft + draw.integers(-8, 9, soft.shape)).clip(0, 255).astype(np.uint8))


def originals() -> dict[str, bytes]:
    """Name -> file; the name begins with the format."""
    return {**_jpegs(), **_pngs(), **_webps(), **_others()}


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x0131] = orientation, "Midjourney"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + TEXT.encode()
    return exif


def _jpegs() -> dict[str, bytes]:
    small, large = photo(131, 97), photo(560, 530, 1)
    return {
        "jpeg baseline": encode(small, "JPEG", quality=80),
        "jpeg 4:4:4": encode(small, "JPEG", subsampling=0),
        "jpeg progressive": encode(small, "JPEG", progressive=True, icc_profile=rgb_profile()),
        "jpeg restarts": encode(small, "JPEG", restart_marker_blocks=3),
        "jpeg grey": encode(small.convert("L"), "JPEG", icc_profile=grey_profile()),
        "jpeg cmyk": encode(small.convert("CMYK"), "JPEG", icc_profile=cmyk_profile(lambda inks: 100 - 20 * sum(inks))),
        "jpeg metadata": encode(small, "JPEG", exif=_exif(6), xmp=XMP, comment=b"comment", icc_profile=rgb_profile()),
        "jpeg large": encode(large, "JPEG", quality=60),
        "jpeg large progressive": encode(large, "JPEG", quality=60, progressive=True, exif=_exif(8)),
        "jpeg frames": encode(small, "MPO", save_all=True, append_images=[photo(131, 97, 2)]),
    }


def _pngs() -> dict[str, bytes]:
    small, texts = photo(67, 45), PngImagePlugin.PngInfo()
    texts.add_text("parameters", TEXT)
    texts.add_text("prompt", "{}" * 200, zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    deep = [bytes(np.random.default_rng(y).integers(0, 256, 20 * 6, np.uint8)) for y in range(12)]
    return {
        "png rgb": encode(small, "PNG"),
        "png metadata": encode(small, "PNG", pnginfo=texts, exif=_exif(3), icc_profile=rgb_profile()),
        "png grey 16 bits": encode(Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257), "PNG"),
        "png rgb 16 bits": png(20, 16, 2, deep, chunk(b"tRNS", bytes(6)), chunk(b"gAMA", (100_000).to_bytes(4))),
        "png palette": encode(small.convert("P"), "PNG", transparency=0),
        "png alpha": encode(_half_clear(small), "PNG"),
        "png 1 bit": encode(small.convert("1"), "PNG"),
        "png animation": encode(small, "PNG", save_all=True, append_images=[photo(67, 45, 2)]),
    }


def _webps() -> dict[str, bytes]:
    small, frames = photo(67, 45), [photo(67, 45, 2), photo(67, 45, 3)]
    return {
        "webp lossy": encode(small, "WEBP"),
        "webp lossless": encode(small, "WEBP", lossless=True, exif=_exif(5), icc_profile=rgb_profile(), xmp=XMP),
        "webp alpha": encode(_half_clear(small), "WEBP"),
        "webp animation": encode(small, "WEBP", save_all=True, append_images=frames),
    }


def _others() -> dict[str, bytes]:
    small, frames = photo(67, 45), [photo(67, 45, 2).convert("P")]
    deep = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257)
    return {
        "gif": encode(small.convert("P"), "GIF", transparency=3),
        "gif animation": encode(small.convert("P"), "GIF", save_all=True, append_images=frames, disposal=2),
        "tiff": encode(small, "TIFF", icc_profile=rgb_profile()),
        "tiff lzw": encode(small, "TIFF", compression="tiff_lzw"),
        "tiff deflate 16 bits": encode(deep, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": encode(small, "TIFF", compression="jpeg"),
        "tiff fax": encode(small.convert("1"), "TIFF", compression="group4"),
        "tiff cmyk": encode(small.convert("CMYK"), "TIFF", compression="packbits"),
        "bmp": encode(small, "BMP"),
        "bmp palette": encode(small.convert("P"), "BMP"),
        "bmp masks": bmp32([(1, 2, 3, 4)] * 40, 124, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
        "avif": encode(small, "AVIF", exif=_exif(7), icc_profile=rgb_profile()),
        "avif animation": encode(small, "AVIF", save_all=True, append_images=[photo(67, 45, 2)]),
        "ppm": encode(small, "PPM"),
        "pgm text": b"P2\n# comment\n5 3\n1000\n" + b" ".join(b"%d" % (70 * i) for i in range(15)) + b"\n",
    }


def _half_clear(image: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(image.size)
    image = image.copy()
    image.putalpha(alpha)
    return image


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height by Pillow."""
    return Image.open(io.BytesIO(data)).size
