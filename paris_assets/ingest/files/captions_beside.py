"""Files beside an image that describe it: `a.json` as img2dataset writes it, and its caption in `a.txt`.

Of `a.jpg` these are `a.json` and `a.jpg.json`, `a.txt`, `a.text`, `a.caption`, `a.cap`, and the same after `a.jpg`.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable
from typing import Any, cast

from fsspec import AbstractFileSystem

from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import alike, extension_of, stem_of
from paris_assets.ingest.files.source_file import reached

MAX_BYTES = 1 << 20  # of a caption or JSON; more is no description
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def by_image(images: Iterable[str], files: Iterable[str]) -> dict[str, list[str]]:
    """Image -> the files that describe it, JSON first; images without any are left out.

    Files of the very name go before those of one that is `alike`, which count where no other image is alike.
    """
    exact: dict[str, list[str]] = {}
    for file in sorted(files, key=lambda file: (extension_of(file) != "json", file)):
        exact.setdefault(stem_of(file), []).append(file)
    if not exact:
        return {}
    found, others = dict[str, list[str]](), dict[str, list[str]]()
    for image in images:
        names = (image,) if stem_of(image) == image else (stem_of(image), image)
        own = [file for name in names for file in exact.get(name, ())]
        if own:
            found[image] = own
        else:
            others.setdefault(alike(stem_of(image)), []).append(image)
    taken = {file for files in found.values() for file in files}
    for name, files_of in exact.items() if others else ():
        near = others.get(alike(name)) or others.get(alike(stem_of(name)), [])
        if len(near) == 1:
            found.setdefault(near[0], []).extend(file for file in files_of if file not in taken)
    return {image: files for image, files in found.items() if files}


def described(
    fs: AbstractFileSystem, base: str, files: Iterable[str], unread: LeftOut
) -> tuple[dict[str, Any], str | None]:
    """(columns and values of the JSON files, first caption) of the files beside one image.

    What cannot be read is counted and gives nothing.
    """
    columns: dict[str, Any] = {}
    text: str | None = None
    for file in files:
        with reached(fs, f"{base}/{file}"):
            content = cast(bytes, fs.cat_file(f"{base}/{file}", 0, MAX_BYTES))
        if extension_of(file) == "json":
            columns = {**json_object(content, file, unread), **columns}
        else:
            text = text or caption(content, file, unread)
    return columns, text


def caption(content: bytes, name: str, unread: LeftOut) -> str | None:
    """The caption in a text file, all of its lines, without space at its ends; None for an empty one.

    A byte-order mark says what it is written in, and without one it is UTF-8; what is neither is counted, as nobody
    knows which letters are meant.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(encoding).strip() or None
    except UnicodeDecodeError:
        unread.add("captions that are no UTF-8", name)
        return None


def json_object(content: bytes, name: str, unread: LeftOut) -> dict[str, Any]:
    """The columns of a JSON file; none, and counted, for one that is no object."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    unread.add("JSON files that hold no object", name)
    return {}
