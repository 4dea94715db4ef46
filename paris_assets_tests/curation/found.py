"""Duplicate groups as one table."""

from __future__ import annotations

from typing import Any

import polars as pl

from paris_assets.curation.duplicates import find_duplicates


def duplicates(images: pl.DataFrame | pl.LazyFrame, *arguments: Any, **named: Any) -> pl.DataFrame:
    """All rows that `find_duplicates` decides about."""
    return find_duplicates(images, *arguments, **named).table()
