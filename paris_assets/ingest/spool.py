"""The images of a shard on their way into its tar."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import polars as pl

from paris_assets.images.decode import Header
from paris_assets.ingest.schema import RAW_IMAGES

STORED = ("stored_bytes", "stored_width", "stored_height", "stored_format", "stored_sha256", "faces_blurred")
"""Columns of the ledger that say what is kept of an image."""


class Stored(NamedTuple):
    """What is kept of an image: its file, and how many faces were blurred in it; None where none are looked for."""

    body: bytes
    header: Header
    sha256: str
    faces: int | None = None

    @classmethod
    def of(cls, body: bytes, header: Header, faces: int | None = None) -> Stored:
        """A file that is hashed here."""
        return cls(body, header, hashlib.sha256(body).hexdigest(), faces)


class Arrival(NamedTuple):
    """What became of a source row: its row of the ledger and, where an image arrived, that."""

    row: dict[str, Any]
    body: bytes | None = None
    header: Header | None = None


class _Place(NamedTuple):
    """Where an image lies in the spool, and what is said of it."""

    start: int
    size_bytes: int
    header: Header
    sha256: str
    faces: int | None

    def columns(self) -> tuple[int, int, int, str, str, int | None]:
        """The values of ``STORED``."""
        header = self.header
        return self.size_bytes, header.width, header.height, header.format, self.sha256, self.faces


class Spool:
    """Images on disk in the order they came, each distinct image once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._end = 0
        self._places: dict[str, _Place] = {}

    def put(self, image_id: str, stored: Stored) -> None:
        """Keep an image, unless it is there already; another file that was kept of it before is left out."""
        body, header, sha256, faces = stored
        if image_id in self._places and self._places[image_id].sha256 == sha256:
            return
        self._file.write(body)
        self._places[image_id] = _Place(self._end, len(body), header, sha256, faces)
        self._end += len(body)

    def members(self) -> Iterator[tuple[str, bytes]]:
        """(member name, body) sorted by image_id."""
        self._file.flush()
        for image_id in sorted(self._places):
            place = self._places[image_id]
            content = os.pread(self._file.fileno(), place.size_bytes, place.start)
            yield f"{image_id}.{place.header.extension}", content

    def ledger(self, offsets: list[int]) -> pl.DataFrame:
        """image_id, offset and ``STORED`` of each image.

        Args:
            offsets: where ``members`` were written, in their order.
        """
        ids = sorted(self._places)
        kinds = RAW_IMAGES.polars()
        schema = {name: kinds[name] for name in ("image_id", "offset", *STORED)}
        placed = zip(ids, offsets, strict=True)
        rows = [(image_id, offset, *self._places[image_id].columns()) for image_id, offset in placed]
        return pl.DataFrame(rows, schema=schema, orient="row")
