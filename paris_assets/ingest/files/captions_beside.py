"""Files beside an image that describe it: `a.json` as img2dataset writes it, and its caption in `a.txt`.

Of `a.jpg` these are `a.json` and `a.jpg.json`, `a.txt`, `a.text`, `a.caption`, `a.cap`, and the same after `a.jpg`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, cast

from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import alike, extension_of, stem_of
from paris_assets.ingest.files.places import Place
from paris_assets.ingest.files.source_file import reached
from paris_assets.ingest.lists.encodings import AUTO, decoded

MAX_BYTES = 1 << 20  # of a caption or JSON; more is no description


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


def described(place: Place, files: Iterable[str], encoding: str, unread: LeftOut) -> tuple[dict[str, Any], list[str]]:
    """(columns and values of the JSON files, captions) of the files beside one image.

    What cannot be read is counted and gives nothing.
    """
    columns: dict[str, Any] = {}
    texts: list[str] = []
    for file in files:
        path = f"{place.base}/{file}"
        with reached(place.fs, path):
            content = cast(bytes, place.fs.cat_file(path, 0, MAX_BYTES))
        if extension_of(file) == "json":
            columns = {**json_object(content, file, encoding, unread), **columns}
        else:
            texts += caption(content, file, encoding, unread)
    return columns, texts


def caption(content: bytes, name: str, encoding: str, unread: LeftOut) -> list[str]:
    """The caption in a text file, all of its lines, without space at its ends; none for an empty one.

    What is not in the encoding that the profile names, or no Unicode where it names none, is counted, as nobody knows
    which letters are meant.
    """
    try:
        text = decoded(content, encoding).strip()
    except UnicodeDecodeError:
        unread.add(f"captions that are no {'UTF-8' if encoding == AUTO else encoding}", name)
        return []
    return [text] if text else []


def json_object(content: bytes, name: str, encoding: str, unread: LeftOut) -> dict[str, Any]:
    """The columns of a JSON file, which may be nothing but texts; none, and counted, for any other."""
    try:
        value = json.loads(decoded(content, encoding))
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    if isinstance(value, str) or (value and isinstance(value, list) and all(isinstance(text, str) for text in value)):
        return {"captions": value}
    unread.add("JSON files that hold no object", name)
    return {}
