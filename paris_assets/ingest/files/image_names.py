"""The images of a folder by the names that a table may give them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from paris_assets.ingest.files.names import alike, stem_of

USUAL = (
    "images", "image", "imgs", "img", "photos", "pictures", "jpegimages", "flicker8k_dataset", "flickr30k_images",
)  # fmt: skip
"""Folders that lists name though they lie in them, or do not name though they lie beside them."""
ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
BY_STEM = 1_000  # further from the exact name than any other


def _none(_path: str) -> bool:
    return False


@dataclass
class Names:
    """Images by the names that a table may give them.

    As they are, relative to the table or to a folder that it lies in; else by names that are `alike`, with or without
    the folders that they lie in, or in a usual one beside the table; a full path of another machine by any of its ends;
    else without their extension, which then names every image of that stem.

    Attributes:
        base: the folder.
        images: paths below it.
        others: whether there is another image of this path, where `images` are only some of the folder's.
    """

    base: str
    images: Iterable[str]
    others: Callable[[str], bool] = _none
    exact: set[str] = field(init=False)
    alike: dict[str, str | None] = field(init=False)
    stems: dict[str, list[str]] = field(init=False)
    last: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.exact, self.alike, self.stems = set(self.images), {}, {}
        for image in self.images:
            key = alike(image)
            self.alike[key] = image if self.alike.get(key, image) == image else None  # two are alike: neither is meant
            self.stems.setdefault(alike(stem_of(image)), []).append(image)
        self.last = {key.rpartition("/")[2] for keys in (self.alike, self.stems) for key in keys}

    def find(self, folder: str, given: str) -> tuple[int, list[str]] | None:
        """(how far from the exact name, images) for what a table in a folder of the source calls `given`."""
        literal = f"{folder}/{given}" if folder else given
        if literal in self.exact:
            return 0, [literal]
        name = given.strip().replace("\\", "/")
        if alike(_normal(name).rpartition("/")[2]) not in self.last:  # as most of a table that describes many shards
            return None
        tried: list[str] = []
        for rank, path in enumerate(self._paths(folder, name)):
            tried.append(path)
            found = path if path in self.exact else self.alike.get(alike(path))
            if found is not None:
                taken = any(self.others(path) for path in tried if path != found)
                return None if taken else (2 * rank + (found != path), [found])
        stems = next((path for path in tried if alike(path) in self.stems), None)
        if stems is None or any(map(self.others, tried)):
            return None
        return BY_STEM, self.stems[alike(stems)]

    def _paths(self, folder: str, name: str) -> Iterator[str]:
        """Paths that may be meant, the likeliest first; all have the last part of the name for their own."""
        while True:
            yield from (
                _normal(f"{folder}/{shorter}" if folder else shorter) for shorter in self._shorter(folder, name)
            )
            if not folder:
                return
            folder = folder.rpartition("/")[0]

    def _shorter(self, folder: str, name: str) -> Iterator[str]:
        yield name
        parts = _normal(name).split("/")
        above = f"{self.base}/{folder}".strip("/").split("/")
        full = ABSOLUTE.match(name) is not None
        for count in range(1, len(parts)):
            if full or parts[:count] == above[-count:] or (count == 1 and parts[0].lower() in USUAL):
                yield "/".join(parts[count:])
        yield from (f"{folder}/{name}" for folder in USUAL)


def _normal(path: str) -> str:
    """The path without `.`, `..` and empty parts."""
    return posixpath.normpath("/" + path.lstrip("/"))[1:] if "/" in path else path
