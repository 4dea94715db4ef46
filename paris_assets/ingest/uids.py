"""Ids of rows, as DataComp's lists hold them: 128 bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from paris_assets.ingest.lists.columns import SourceError

UID = r"^[0-9a-f]{32}$"


def require_uids(rows: pl.DataFrame, entry: Mapping[str, Any]) -> pl.DataFrame:
    """The rows themselves, where each uid is 32 lower-case hex digits; a blank one is none, and null.

    Args:
        rows: of `source_rows`.
        entry: the shard's row of the registry.

    Raises:
        SourceError: another uid; names file, row and uid.
    """
    rows = rows.with_columns(pl.when(pl.col("uid").str.strip_chars() != "").then("uid"))
    wrong = rows.filter(~pl.col("uid").str.contains(UID))
    if wrong.height:
        number, uid = entry["first_row"] + wrong["source_row"][0] - entry["source_row"], wrong["uid"][0]
        more = f" ({wrong.height} such rows in shard {entry['shard']})" if wrong.height > 1 else ""
        raise SourceError(
            f"{entry['file']}, row {number}: the uid {uid!r} is not 32 lower-case hex digits{more}, which lists of "
            "uids are made of: mend it, or name another column with source.columns (without one, uids are made of url "
            "and text)"
        )
    return rows
