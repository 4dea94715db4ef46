"""The most and the least frequent concepts, as a page to read."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from paris_assets.concepts.weights import median_df
from paris_assets.pages.environment import pages

PAGE = "analysis/concepts.html"
ROWS = 60


def page(model: pl.DataFrame, total: int) -> str:
    """One HTML file.

    Args:
        model: columns of `concept_counts`.
        total: curated images.
    """
    ranked = model.sort("df", "concept", descending=[True, False])
    tables = {"Most frequent": ranked.head(ROWS), "Least frequent": model.sort("df", "concept").head(ROWS)}
    values = {
        "images": total,
        "concepts": model.height,
        "median": median_df(model),
        "tables": {name: rows.to_dicts() for name, rows in tables.items()},
    }
    return pages(Path(__file__).parent).get_template("concepts.html.jinja").render(**values)
