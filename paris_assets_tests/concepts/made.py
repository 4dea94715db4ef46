"""Tags of made-up images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from paris_assets.concepts.counts import counted
from paris_assets.concepts.schema import CONCEPTS
from paris_assets.config import Concepts
from paris_assets.storage.parquet import Chunk
from paris_assets.storage.shards import Shards

Tags = Mapping[str, Sequence[str]]


def table(listed: Tags, labels: Mapping[str, Mapping[str, str | None]] | None = None) -> pl.DataFrame:
    """Columns of `concepts`, sorted by image_id: tags of the source, and label -> broader concept."""
    known = labels or {}
    rows: list[dict[str, Any]] = [
        {
            "image_id": name,
            "labels": list(known.get(name, {})),
            "label_parents": list(known.get(name, {}).values()),
            "phrases": [],
            "listed": sorted(listed.get(name, ())),
        }
        for name in sorted({*listed, *known})
    ]
    return CONCEPTS.frame(rows)


def model_of(tables: Mapping[str, pl.DataFrame], settings: Concepts, scratch: Any) -> pl.DataFrame:
    """`concept_counts` of shards, as the asset makes it."""
    output = counted(Shards.of(dict(tables)), settings)
    output.scratch = scratch
    chunks: list[Chunk] = list(output.rows(None) if callable(output.rows) else output.rows)
    (rows,) = chunks
    assert isinstance(rows, pl.DataFrame)
    return rows
