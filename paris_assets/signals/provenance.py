"""Where a picture comes from, by what its file says: a reason, and no guess."""

from __future__ import annotations

import re
import struct
from contextlib import suppress

import polars as pl
from PIL import Image

from paris_assets.images.blocks import Block, exif, png_texts, xmp
from paris_assets.images.errors import NotAnImage
from paris_assets.images.file import ImageFile

MAX_SOFTWARE = 200  # characters kept

# IPTC's digital source types that say that a model made the picture, or parts of it (newscodes digitalsourcetype).
_SOURCE_TYPES = re.compile(rb"\b(compositeWithTrainedAlgorithmicMedia|trainedAlgorithmicMedia)\b")
# Generators that name themselves as the software of a file, by their own spelling.
_GENERATORS = re.compile(
    r"\b(Midjourney|DALL[-·]?E|Stable Diffusion|NovelAI|ComfyUI|InvokeAI|Adobe Firefly|Fooocus|SwarmUI|Draw Things)\b",
    re.IGNORECASE,
)
# Keywords of PNG texts in which programs keep how a picture was generated, and how such a text begins or what it holds.
# No pattern may try a repetition anew from every place of the text: that takes the square of its length.
_PNG_TEXTS = {
    "parameters": re.compile(r"\bSteps: \d+, "),  # Stable Diffusion web UI
    "prompt": re.compile(r"\A\s*\{"),  # ComfyUI
    "workflow": re.compile(r"\A\s*\{"),
    "invokeai_metadata": re.compile(r"\A\s*\{"),
    "sd-metadata": re.compile(r"\A\s*\{"),
    "Dream": re.compile(r" -s ?\d"),
}
_USER_COMMENT = re.compile(rb"\bSteps: \d+, |\bS\0t\0e\0p\0s\0:\0 \0\d|\0S\0t\0e\0p\0s\0:\0 \0\d")
_SOFTWARE, _EXIF_FOLDER, _COMMENT = 0x0131, 0x8769, 0x9286  # tags of EXIF 2.3
_APP11, _JUMBF = b"\xff\xeb", b"jumb"  # C2PA 2.1, A.3.1: JUMBF boxes (ISO 19566-5) in segments that begin with JP
_PNG_C2PA, _WEBP_C2PA = b"caBX", b"C2PA"


class Provenance:
    """What the file says of its own making.

    - `generator`: what states that a model made the picture or parts of it, as `where:what`: `png:parameters` (texts of
      Stable Diffusion web UI, ComfyUI, InvokeAI), `exif:UserComment`, `software:Midjourney`, and IPTC's digital source
      type in XMP or in a C2PA manifest (`xmp:trainedAlgorithmicMedia`, `c2pa:...`). Null where nothing states it: which
      is no sign that a camera made it, as sites take such data off.
    - `declared_generated`: whether there is one.
    - `software`: EXIF's Software tag or a PNG's text of that name, cut at 200 characters.
    - `c2pa`: whether there is a C2PA manifest (cameras and editors sign as well as generators; no signature is
      checked).
    - `orientation`: EXIF's, 1 to 8, as it was applied before anything was measured; 1 in a TIFF.

    JPEG, PNG and WebP are read for all of these, other formats for their orientation.
    """

    schema = {
        "generator": pl.String,
        "declared_generated": pl.Boolean,
        "software": pl.String,
        "c2pa": pl.Boolean,
        "orientation": pl.Int8,
    }

    def measure(self, files: list[ImageFile]) -> dict[str, list[str | bool | int | None]]:
        """See `Signal.measure`."""
        found = [_provenance(file.blocks) for file in files]
        return {
            "generator": [generator for generator, _, _ in found],
            "declared_generated": [generator is not None for generator, _, _ in found],
            "software": [software for _, software, _ in found],
            "c2pa": [manifest for _, _, manifest in found],
            "orientation": [orientation(file) for file in files],
        }


def orientation(file: ImageFile) -> int | None:
    """EXIF orientation as the decoder applies it; None where the header cannot be read."""
    if file.blocks and exif(file.blocks) is None and not xmp(file.blocks):
        return 1
    with suppress(NotAnImage):
        return file.header.orientation
    return None


def _provenance(parts: list[Block]) -> tuple[str | None, str | None, bool]:
    """Generator, software, and whether there is a C2PA manifest."""
    texts, manifest = png_texts(parts), _c2pa(parts)
    stated, comment = _exif_fields(exif(parts))
    software = (texts.get("Software") or stated or "").strip("\0 ")[:MAX_SOFTWARE] or None
    reasons = (
        _by_texts(texts),
        "exif:UserComment" if _USER_COMMENT.search(comment) else None,
        _source_type("xmp", xmp(parts)),
        _source_type("c2pa", manifest),
        _by_software(software),
    )
    return next(filter(None, reasons), None), software, bool(manifest)


def _by_texts(texts: dict[str, str]) -> str | None:
    found = (name for name, expected in _PNG_TEXTS.items() if name in texts and expected.search(texts[name]))
    return next((f"png:{name}" for name in found), None)


def _source_type(where: str, content: bytes) -> str | None:
    found = _SOURCE_TYPES.search(content)
    return f"{where}:{found[1].decode()}" if found else None


def _by_software(software: str | None) -> str | None:
    found = _GENERATORS.search(software or "")
    return f"software:{found[1]}" if found else None


def _exif_fields(data: bytes | None) -> tuple[str | None, bytes]:
    """The tags Software and UserComment."""
    if data is None:
        return None, b""
    tags = Image.Exif()
    try:
        tags.load(b"Exif\0\0" + data)
        software, comment = tags.get(_SOFTWARE), tags.get_ifd(_EXIF_FOLDER).get(_COMMENT)
    except (SyntaxError, ValueError, TypeError, LookupError, OSError, OverflowError, struct.error):
        return None, b""  # damaged metadata says nothing
    return (software if isinstance(software, str) else None), (comment if isinstance(comment, bytes) else b"")


def _c2pa(parts: list[Block]) -> bytes:
    """The C2PA manifest store, with the heads of the segments that it is spread over; empty where there is none."""
    found = [
        content
        for name, content in parts
        if name in (_PNG_C2PA, _WEBP_C2PA) or (name == _APP11 and content.startswith(b"JP"))
    ]
    store = b"".join(found)
    return store if _JUMBF in store and b"c2pa" in store else b""
