"""The router's arrays by row: mapped, in one file each or in numbered ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from paris_assets.errors import UsageError, UserError, did_you_mean
from paris_assets.training.byte_files import ByteFiles
from paris_assets.training.codec import read_codecs
from paris_assets.training.listing import Fault, npy_form
from paris_assets.training.places import MissingFiles, find_place
from paris_assets.training.samples import SIDES

ROOM, INDEX = "router_training/", "index.json"
NEEDED = ("latents", "labels", "image_ids", "split")


class BadArrays(UserError, ValueError):
    """Router arrays that are damaged or differ in rows."""


class RouterArrays:
    """The arrays that the router is trained on, row i of all of them being one image.

    Args:
        where: a root, its `pipeline_manifest.json`, or the folder of the arrays; a path or an fsspec URL.
        split: ``train``, ``validation``, or None for both.
        cache: a local folder for copies of the files of a remote root, which stay there.

    Attributes:
        labels, split, image_ids: (N,) int64, uint8, S32, of the rows of the chosen side.
        codecs: of latents in 8 bits, see ``codec``.

    Raises:
        MissingFiles: an array is not there.
        BadArrays: it is none, or has another number of rows than the others.
        UsageError: the root is remote and there is no ``cache``, or no row is of the split.
    """

    def __init__(self, where: str | Path, *, split: str | None = None, cache: str | Path | None = None) -> None:
        if split not in (None, *SIDES):
            raise UsageError(f"no split {split!r}: give one of {', '.join(SIDES)}, or None for both")
        self._place = find_place(where)
        if self._place.location.remote and not cache:
            raise UsageError(f"{self._place.location.url}: arrays are mapped, so give cache= a local folder for copies")
        self._folder = ROOM if self._found(f"{ROOM}labels.npy") or self._found(f"{ROOM}{INDEX}") else ""
        self._parts = self._numbered() if self._found(f"{self._folder}{INDEX}") else {}
        self._cache, self._opened = cache, dict[str, list[np.ndarray]]()
        self._lengths: tuple[int, ...] | None = None
        for name in NEEDED:
            self._arrays(name)
        self.codecs = read_codecs(self._place, self._folder)
        self._starts = np.cumsum([0, *map(len, self._arrays("labels"))])
        sides = self._whole("split")
        self.rows = np.arange(len(sides)) if split is None else np.flatnonzero(sides == SIDES[split])
        self.split, self.labels = sides[self.rows], self._whole("labels")[self.rows]
        self.image_ids = self._whole("image_ids")[self.rows]
        if not len(self.rows):
            raise UsageError(f"{self._place.location.uri(self._folder)} has {len(sides)} rows, none of split {split}")

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": {}}

    def read(self, name: str, numbers: np.ndarray) -> np.ndarray:
        """Values of an array, of rows of the chosen side by their numbers, in that order; (len(numbers), ...).

        Raises:
            MissingFiles: there is no such array.
        """
        parts, rows = self._arrays(name), self.rows[numbers]
        if len(parts) == 1:
            return np.take(parts[0], rows, axis=0)
        found = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
        of_part = np.searchsorted(self._starts, rows, side="right") - 1
        for part in np.unique(of_part).tolist():
            chosen = of_part == part
            found[chosen] = parts[part][rows[chosen] - self._starts[part]]
        return found

    def _whole(self, name: str) -> np.ndarray:
        return np.concatenate(self._arrays(name))

    def _arrays(self, name: str) -> list[np.ndarray]:
        """The mapped files of an array."""
        if name not in self._opened:
            files = [f"{self._folder}{file}" for file in self._files(name)]
            bytes_of = ByteFiles(self._place.location, files, self._cache)
            found = [self._array(path, bytes_of.view(number)) for number, path in enumerate(files)]
            lengths = tuple(map(len, found))
            if self._lengths not in (None, lengths):
                uri, rows = self._place.location.uri(self._folder), f"{name} {lengths}, the others {self._lengths}"
                raise BadArrays(f"{uri}: arrays differ in rows ({rows}): fetch again")
            self._opened[name], self._lengths = found, lengths
        return self._opened[name]

    def _array(self, path: str, data: memoryview) -> np.ndarray:
        try:
            form, start = npy_form(bytes(data[:256]), path)
            if len(data) - start != form.nbytes:
                raise Fault(f"{len(data) - start} bytes of values, where {form.dtype} {form.shape} takes {form.nbytes}")
        except Fault as error:
            raise BadArrays(f"{self._place.location.uri(path)}: {error}; fetch it again") from error
        empty = np.zeros(form.shape, form.dtype)
        return np.frombuffer(data[start:], form.dtype).reshape(form.shape) if form.nbytes else empty

    def _files(self, name: str) -> list[str]:
        if self._parts and name not in self._parts:
            known = ", ".join(self._parts)
            raise MissingFiles(f"no array {name!r}{did_you_mean(name, self._parts)}: there are {known}")
        return self._parts[name] if self._parts else [f"{name}.npy"]

    def _numbered(self) -> dict[str, list[str]]:
        """Array -> its numbered files."""
        path = f"{self._folder}{INDEX}"
        try:
            return {name: list(files) for name, files in json.loads(self._place.read(path))["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadArrays(f"{self._place.location.uri(path)} lists no files of arrays: fetch it again") from error

    def _found(self, path: str) -> bool:
        return path in (self._place.files or {}) or self._place.location.stamp(path) is not None
