"""What is inside one member of a sample, by its field: arrays, JSON, text and images. Nothing is unpickled."""

from __future__ import annotations

import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from paris_assets.images.decode import NotAnImage, read_header
from paris_assets.lint.arrays import BadArray, Form, fault_of, read_npy

TEXT = ("txt", "text", "caption", "cap", "html", "srt", "vtt")
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "ppm", "tif", "tiff")
PICKLES = ("pth", "pt", "pkl", "pickle", "pyd", "joblib", "ckpt")
NUMBERS = ("cls", "cls2", "index", "inx", "id", "count")
KNOWN = (*TEXT, *IMAGES, *PICKLES, *NUMBERS, "npy", "npz", "json", "jsonl", "safetensors", "mp4", "mp3", "wav", "flac")
"""Last parts of fields that say what a member holds."""

UNREADABLE = (ValueError, EOFError, OSError, RuntimeError, OverflowError, MemoryError, struct.error,
              zipfile.BadZipFile, zlib.error, lzma.LZMAError)  # fmt: skip
"""What is raised of archives that are damaged, encrypted or packed in an unknown way."""

Faults = Iterator[tuple[str, str]]
"""Kind of problem and what it is."""


class Seen:
    """What was found out about a member on the way.

    Attributes:
        form: of an array.
        value: of JSON.
    """

    def __init__(self) -> None:
        self.form: Form | None = None
        self.value: Any = None


def faults(field: str, data: bytes, seen: Seen) -> Faults:
    """What is wrong with a member.

    Args:
        field: what its name has behind the key, such as `latent.npy`.
    """
    kind = field.rpartition(".")[2].lower()
    if kind in PICKLES:
        yield "pickle", f"{field} is a pickle by its name"
    elif not data:
        yield "empty_member", f"{field} is empty"
    elif kind == "npy":
        yield from _of_array(field, data, seen)
    elif kind == "npz":
        yield from _of_archive(field, data)
    elif kind == "json":
        try:
            seen.value = json.loads(data)
        except (ValueError, RecursionError) as error:
            yield "unreadable_member", f"{field} is no JSON ({str(error)[:80]})"
    elif kind in TEXT:
        yield from _of_text(field, data)
    elif kind in NUMBERS and not data.strip().lstrip(b"+-").isdigit():
        yield "unreadable_member", f"{field} is no whole number"
    elif kind in IMAGES:
        try:
            read_header(data)
        except NotAnImage as error:
            yield "unreadable_member", f"{field} is no image that can be read ({str(error)[:80]})"


def of_values(field: str, array: np.ndarray, seen: Seen) -> Faults:
    """What is wrong with an array's values; its form is noted."""
    seen.form = Form(str(array.dtype), array.shape)
    if fault := fault_of(array):
        yield fault[0], f"{field}: {fault[1]}"


def _of_array(field: str, data: bytes, seen: Seen) -> Faults:
    try:
        array = read_npy(data)
    except BadArray as error:
        yield error.kind, f"{field}: {error}"
        return
    yield from of_values(field, array, seen)


def _of_archive(field: str, data: bytes) -> Faults:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from _of_array(f"{field}/{name}", archive.read(name), Seen())
    except UNREADABLE as error:
        yield "unreadable_member", f"{field} is no .npz archive ({str(error)[:80]})"


def _of_text(field: str, data: bytes) -> Faults:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        yield "unreadable_member", f"{field} is no UTF-8 at byte {error.start}"
        return
    if not text.strip():
        yield "empty_member", f"{field} is blank"
    elif "\0" in text:
        yield "unreadable_member", f"{field} holds a NUL"
