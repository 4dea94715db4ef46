"""How often each value occurs, in words."""

from __future__ import annotations

import polars as pl


def counted(values: pl.Series, most: int = 6) -> str:
    """``http_404 8, timeout 2``: the values that are not null, most frequent first, and how many kinds more."""
    counts = values.drop_nulls().alias("value").value_counts().sort(["count", "value"], descending=[True, False])
    said = [f"{value} {count}" for value, count in counts.head(most).iter_rows()]
    more = [f"{counts.height - most} more kinds"] if counts.height > most else []
    return ", ".join(said + more)
