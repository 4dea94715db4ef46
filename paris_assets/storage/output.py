"""What an asset hands to the IO manager: rows still to be made, files beside them, and what to count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.storage.parquet import Chunk

Rows = Iterable[Chunk] | Callable[[pl.LazyFrame | None], Iterable[Chunk]]
"""Chunks with equal columns, sorted as the table is to be; at least one, which may be empty. Or what makes them from
the rows of the partition as it stands, where these may be kept (see ``reuse.reuse_rows``), else from None."""

MADE_AS = "made_as"
"""A fact that says how what stands behind the keys of a partition was made, where the keys do not tell: rows that
others made of it may be kept only while it is the same."""


@dataclass(frozen=True)
class Samples:
    """A few images of a partition, to be looked at.

    Attributes:
        choose: the table as it was written -> (n < 10) ``image_id`` and ``words``, what is said below each image.
        read: image_id -> file bytes.
        columns: how many stand side by side.
    """

    choose: Callable[[pl.LazyFrame], pl.DataFrame]
    read: Callable[[str], bytes]
    columns: int = 3


@dataclass
class Output:
    """A partition in the making.

    ``rows`` is consumed once, while the table is written, so a generator streams. Whatever the generator finds out on
    its way (rejects, facts, files) it adds to these fields before it ends.

    Attributes:
        rows: see ``Rows``.
        rows_in: rows that entered this partition.
        rejects: reason -> rows that did not go on.
        facts: small JSON values kept in the record and shown in the UI.
        files: path relative to the root -> finished local file; moved into place before the record is written.
        hashes: path -> sha256 of those of these files that were hashed while they were written; others are read again.
        pictures: path relative to the root -> PNG bytes, shown in the UI and not kept in the record.
        samples: images of the table that the UI shows, where the root is on this disk.
        links: name -> path relative to the root of a published file that the UI points to.
        rows_of_models: whether any row comes from a model, be it one that ran before and is kept.
        scratch: local folder for files in the making; set before the rows are consumed.
    """

    rows: Rows = ()
    rows_in: int | None = None
    rejects: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)
    samples: Samples | None = None
    links: dict[str, str] = field(default_factory=dict)
    rows_of_models: bool = True
    scratch: Path = Path()

    def add_file(self, path: str, data: bytes) -> None:
        """Publish a small file at ``path`` below the root."""
        local = self.scratch / path.replace("/", "-")
        local.write_bytes(data)
        self.files[path] = local

    def note_halved(self, halved: dict[str, int]) -> None:
        """Record that memory ran out and which batch size was used instead: the bytes may then differ."""
        if halved:
            self.facts["halved_batches"] = halved
