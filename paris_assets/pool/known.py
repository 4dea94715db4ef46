"""What steps read of a pool's rows, a column at a time."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from paris_assets.errors import did_you_mean
from paris_assets.pool.pool_table import UnusablePool
from paris_assets.storage.shards import Shards

NOT_VALUES = ("source_row", "uid")


@dataclass(frozen=True)
class Known:
    """The tables of a pool; None where the profile has none."""

    source_rows: Shards
    pool_vectors: Shards | None
    caption_figures: Shards
    concept_model: pl.LazyFrame | None
    concept_assignments: Shards | None
    concept_verdicts: pl.LazyFrame | None

    def table(self, column: str) -> pl.LazyFrame:
        """The table of all shards that has a column.

        Raises:
            UnusablePool: none has.
        """
        tables = [
            shards.frame() for shards in (self.source_rows, self.caption_figures, self.concept_assignments) if shards
        ]
        schemas = [table.collect_schema() for table in tables]
        for table, schema in zip(tables, schemas, strict=True):
            if column in schema and column not in NOT_VALUES:
                return table
        names = sorted({name for schema in schemas for name in schema} - set(NOT_VALUES))
        raise UnusablePool(
            f"no column {column} is known of the pool{did_you_mean(column, names)}: name one of {', '.join(names)}"
        )


def require_values(known: Known, needed: dict[str, str]) -> None:
    """Every column that a step needs has a value somewhere: scores are never made up.

    Args:
        needed: column -> the step that needs it.

    Raises:
        UnusablePool: a column is unknown, or null in every row.
    """
    for column, step in needed.items():
        values = known.table(column).select(pl.col(column).is_not_null().any()).collect(engine="streaming").item()
        if not values:
            raise UnusablePool(
                f"the step {step} needs {column}, which no row of the pool has: scores that are missing are not made "
                "up; leave the step out, or name the list's column with source.columns"
            )
