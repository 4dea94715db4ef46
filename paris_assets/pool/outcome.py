"""What a step of a selection sees, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.pool.known import Known
from paris_assets.pool.pool_table import PoolTable


@dataclass(frozen=True)
class View:
    """The pool as a step sees it.

    Attributes:
        rows: (M,) int64 positions in `table` of what the steps before it left.
        scratch: local folder for what does not fit into memory.
    """

    table: PoolTable
    known: Known
    rows: np.ndarray
    seed: int
    scratch: Path

    def numbers(self, column: str) -> np.ndarray:
        """(M,) float64 of a column for `rows`; NaN where it is unknown."""
        return self.all_numbers(column)[self.rows]

    def all_numbers(self, column: str) -> np.ndarray:
        """(N,) the same for the whole pool."""
        return self.table.aligned(self.known.table(column), column).cast(pl.Float64).fill_null(np.nan).to_numpy()

    def concepts(self) -> np.ndarray:
        """(M,) int32 concept of `rows`; -1 without one."""
        aligned = self.table.aligned(self.known.table("concept"), "concept")
        return aligned.fill_null(-1).to_numpy().astype(np.int32)[self.rows]


@dataclass(frozen=True)
class Outcome:
    """What a step says of the rows it saw, (M,) each.

    Attributes:
        kept: bool.
        missing: bool, whether what it needs is unknown of the row; such rows are not kept. None: of none.
        value: float64, what it saw; NaN where that is no number. None: it sees no numbers.
        rank: int64 place, 0 the best, -1 without one; None where it does not rank.
        facts: bounds as they were resolved.
    """

    kept: np.ndarray
    missing: np.ndarray | None = None
    value: np.ndarray | None = None
    rank: np.ndarray | None = None
    facts: dict[str, Any] = field(default_factory=dict)
