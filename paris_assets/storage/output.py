"""What an asset hands to the IO manager: rows still to be made, files beside them, and what to count."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from paris_assets.storage.location import Location
from paris_assets.storage.parquet import Chunk

MAX_INLINE_BYTES = 36_000  # base64 makes it 48 KB
MAX_PICTURES = 10


@dataclass
class Output:
    """A partition in the making.

    ``rows`` is consumed once, while the table is written, so a generator streams. Whatever the generator finds out on
    its way (rejects, facts, files) it adds to these fields before it ends.

    Attributes:
        scratch: local folder for files in the making; set before the rows are consumed.
        rows: chunks with equal columns, sorted as the table is to be; at least one chunk, which may be empty.
        rows_in: rows that entered this partition.
        rejects: reason -> rows that did not go on.
        facts: small JSON values kept in the record and shown in the UI.
        files: path relative to the root -> finished local file; moved into place before the record is written.
        volatile: columns that may differ between equal runs and enter no hash (attempts).
        rows_of_models: whether any row comes from a model, be it one that ran before and is kept.
        slice_by: column by whose values readers depend on parts of a global table (shard).
        wanted: fingerprint taken before the inputs were read: what is committed meanwhile makes this partition stale.
        seconds: what the asset's function took before the rows are consumed.
        display: Dagster metadata that is shown in the UI but not kept in the record (pictures, links).
    """

    rows: Iterable[Chunk] = ()
    rows_in: int | None = None
    rejects: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    rows_of_models: bool = True
    slice_by: str | None = None
    wanted: str | None = None
    seconds: float = 0.0
    display: dict[str, Any] = field(default_factory=dict)
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

    def show_picture(self, root: Location, path: str, png: bytes) -> None:
        """Show a picture in the UI: inline as a small JPEG, and where the whole one lies; of many, the first ten."""
        if sum(isinstance(value, dg.MarkdownMetadataValue) for value in self.display.values()) >= MAX_PICTURES:
            return
        self.display[path.rpartition("/")[2]] = dg.MetadataValue.md(
            f"{root.uri(path)}\n\n![{path}](data:image/jpeg;base64,{_thumbnail(png)})"
        )

    def link(self, root: Location, path: str) -> dg.MetadataValue:
        """Where a published file lies, as Dagster shows it."""
        return dg.MetadataValue.url(root.uri(path)) if root.remote else dg.MetadataValue.path(root.uri(path))


def _thumbnail(png: bytes) -> str:
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for side in (900, 700, 500, 350, 200, 100):
        picture.thumbnail((side, side))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=80)
        if len(file.getvalue()) <= MAX_INLINE_BYTES:
            break
    return base64.b64encode(file.getvalue()).decode()
