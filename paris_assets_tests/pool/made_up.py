"""Tables of a pool, made by hand: what evidence and verdicts read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from paris_assets.storage.shards import Shards

FILE_NAME = r"(?i)^\S*(\.(jpe?g|png)|\d\S*_\S*)$"


def pool_rows(texts: Sequence[str | None], concepts: Sequence[int | None], **columns: Sequence[Any]) -> pl.DataFrame:
    """Rows with what `source_rows`, `caption_figures` and `concept_assignments` say of them, in one table.

    Without other `columns` a row's distance grows with its number, all are English, and uids are hashes.
    """
    count = len(texts)
    given = {
        "source_row": range(count), "uid": [hashlib.md5(f"{row}".encode()).hexdigest() for row in range(count)],
        "url": [f"http://x.example/{row}" for row in range(count)], "text": texts, "concept": concepts,
        "distance": [row / count for row in range(count)], "similarity": [None] * count, "language": ["en"] * count,
        "template": [re.sub(r"\d+", "0", (text or "").lower()) for text in texts],
    }  # fmt: skip
    kinds = {"concept": pl.Int32, "distance": pl.Float32, "similarity": pl.Float64, "text": pl.String}
    frame = pl.DataFrame({**given, **columns}, schema_overrides=kinds)
    words = pl.col("text").str.split(" ").list.len().cast(pl.Int32)
    return frame.with_columns(words=words.fill_null(0), file_name=pl.col("text").fill_null("").str.contains(FILE_NAME))


def sharded(rows: pl.DataFrame, sizes: Sequence[int]) -> tuple[Shards, Shards, Shards]:
    """The three tables of rows as they lie in shards of these sizes."""
    ends = [sum(sizes[: place + 1]) for place in range(len(sizes))]
    parts = {f"{n:05d}": rows[end - size : end] for n, (size, end) in enumerate(zip(sizes, ends, strict=True))}
    columns = (
        ("source_row", "uid", "url", "text", "similarity"),
        ("source_row", "words", "file_name", "template", "language"),
        ("source_row", "concept", "distance"),
    )
    first, second, third = (Shards.of({key: part.select(names) for key, part in parts.items()}) for names in columns)
    return first, second, third
