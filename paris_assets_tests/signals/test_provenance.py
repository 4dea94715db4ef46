from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from paris_assets.images.decode import decode_rgb
from paris_assets.images.file import ImageFile
from paris_assets.signals.provenance import Provenance
from paris_assets_tests.fixtures.photographs import SAMPLE

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8))
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><Iptc4xmpExt:DigitalSourceType>'
    b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType></x:xmpmeta>"
)
NOTHING = {"generator": None, "declared_generated": False, "software": None, "c2pa": False, "orientation": 1}


def saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, **options)
    return buffer.getvalue()


def provenance(data: bytes) -> dict[str, object]:
    return {name: values[0] for name, values in Provenance().measure([ImageFile(data)]).items()}


def png_with(key: str, text: str, packed: bool = False, international: bool = False) -> bytes:
    texts = PngImagePlugin.PngInfo()
    (texts.add_itxt if international else texts.add_text)(key, text, zip=packed)
    return saved("PNG", pnginfo=texts)


def exif(software: str | None = None, comment: bytes | None = None, orientation: int | None = None) -> bytes:
    tags = Image.Exif()
    if software:
        tags[0x0131] = software
    if orientation:
        tags[0x0112] = orientation
    if comment:
        tags.get_ifd(0x8769)[0x9286] = comment
    return tags.tobytes()


def manifest(more: bytes = b"") -> bytes:
    """The outermost box of a C2PA manifest store, as far as it names itself."""
    content = b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0" + more
    described = struct.pack(">I", len(content) + 8) + b"jumd" + content
    return struct.pack(">I", len(described) + 8) + b"jumb" + described


def jpeg_with_segment(marker: bytes, content: bytes) -> bytes:
    data = saved("JPEG")
    return data[:2] + marker + struct.pack(">H", len(content) + 2) + content + data[2:]


def png_with_chunk(name: bytes, content: bytes) -> bytes:
    data = saved("PNG")
    crc = struct.pack(">I", zlib.crc32(name + content))
    return data[:33] + struct.pack(">I", len(content)) + name + content + crc + data[33:]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("international", [False, True])
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("parameters", "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"),
        ("prompt", '{"3": {"class_type": "KSampler"}}'),
        ("workflow", '{"nodes": []}'),
    ],
)
def test_texts_of_generators(key: str, text: str, packed: bool, international: bool) -> None:
    found = provenance(png_with(key, text, packed, international))
    assert found == NOTHING | {"generator": f"png:{key}", "declared_generated": True}


@pytest.mark.parametrize(
    ("key", "text"), [("parameters", "exposure 1/60"), ("prompt", "Write a caption"), ("Title", "{")]
)
def test_texts_of_others_under_the_same_names_are_no_sign(key: str, text: str) -> None:
    assert provenance(png_with(key, text)) == NOTHING


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_software_is_told_and_only_generators_are_generators(kind: str) -> None:
    found = provenance(saved(kind, exif=exif("Adobe Photoshop 25.1 (Windows)")))
    assert found == NOTHING | {"software": "Adobe Photoshop 25.1 (Windows)"}
    found = provenance(saved(kind, exif=exif("Midjourney v6")))
    assert (found["generator"], found["declared_generated"]) == ("software:Midjourney", True)


@pytest.mark.parametrize("encoding", ["ascii", "utf-16-le", "utf-16-be"])
def test_settings_of_a_generator_in_the_users_comment(encoding: str) -> None:
    comment = b"UNICODE\0" + "a cat Steps: 20, Sampler: Euler".encode(encoding)
    assert provenance(saved("JPEG", exif=exif(comment=comment)))["generator"] == "exif:UserComment"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_iptc_in_xmp(kind: str) -> None:
    data = png_with("XML:com.adobe.xmp", XMP.decode(), international=True) if kind == "PNG" else saved(kind, xmp=XMP)
    assert provenance(data)["generator"] == "xmp:trainedAlgorithmicMedia"
    assert provenance(data.replace(b"trainedAlgorithmicMedia", b"digitalCaptureXXXXXXXXX"))["generator"] is None


@pytest.mark.parametrize("more", [b"", b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"])
def test_c2pa(more: bytes) -> None:
    """A camera signs too: a manifest alone is no sign of a generator."""
    expected = ("c2pa:trainedAlgorithmicMedia" if more else None, True)
    segment = b"JP\0\1\0\0\0\1" + manifest(more)
    for data in (jpeg_with_segment(b"\xff\xeb", segment), png_with_chunk(b"caBX", manifest(more))):
        found = provenance(data)
        assert (found["generator"], found["c2pa"]) == expected
    assert not provenance(jpeg_with_segment(b"\xff\xeb", b"JP\0\1\0\0\0\1 another box"))["c2pa"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_what_the_decoder_applies(orientation: int) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        data = saved(kind, exif=exif(orientation=orientation), **({"lossless": True} if kind == "WEBP" else {}))
        assert provenance(data)["orientation"] == orientation
        assert (decode_rgb(data).shape[0] == 24) == (orientation >= 5)


def test_photographs_make_no_false_alarm() -> None:
    files = [ImageFile(path.read_bytes()) for path in sorted(SAMPLE.rglob("*.jpg"))]
    found = Provenance().measure(files)
    assert len(files) > 200
    assert not any(found["declared_generated"])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_metadata_says_nothing() -> None:
    random = np.random.default_rng(0)
    sources = [
        saved("JPEG", exif=exif("Midjourney", b"x" * 50, 6)),
        png_with("prompt", "{}", packed=True),
        saved("WEBP", xmp=XMP),
    ]
    for data in sources:
        for _ in range(60):
            damaged = bytearray(data[: random.integers(1, len(data))])
            damaged[random.integers(0, len(damaged))] = random.integers(256)
            found = provenance(bytes(damaged))
            assert found.keys() == NOTHING.keys()
            assert found["declared_generated"] == (found["generator"] is not None)


def test_a_text_that_unpacks_to_gigabytes_is_cut() -> None:
    packed = zlib.compress(b"a" * 50_000_000)
    assert provenance(png_with_chunk(b"zTXt", b"prompt\0\0" + packed)) == NOTHING


@pytest.mark.parametrize("key", ["Dream", "prompt", "workflow", "parameters", "sd-metadata", "invokeai_metadata"])
@pytest.mark.parametrize("text", ["a" * 60_000, " " * 60_000, " -s" * 20_000, "Steps: " + "1" * 60_000])
def test_no_text_takes_the_square_of_its_length(key: str, text: str) -> None:
    started = time.process_time()
    assert provenance(png_with(key, text, packed=True)) == NOTHING
    assert time.process_time() - started < 1
