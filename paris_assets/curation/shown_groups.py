"""Which groups of copies the curation report shows, for a person to judge."""

from __future__ import annotations

from typing import Any

import polars as pl

from paris_assets.config import Duplicates
from paris_assets.curation.schema import COPY_EMBEDDING, VECTORS

GROUPS, COPIES = 12, 6


def largest_groups(groups: pl.LazyFrame, settings: Duplicates) -> list[dict[str, Any]]:
    """The largest groups of different files that show one picture: the keeper, then its copies, the surest first."""
    files = groups.sort("source_row").unique("image_id", keep="first", maintain_order=True)
    sizes = files.group_by("group_id").len("size").filter(pl.col("size") > 1)
    largest = sizes.sort("size", "group_id", descending=[True, False]).head(GROUPS)
    return _shown(groups, largest, settings, surest_first=True)


def doubtful_groups(groups: pl.LazyFrame, settings: Duplicates) -> list[dict[str, Any]]:
    """The groups with a copy that is nearest to the bound, that copy after the keeper: where to look for mistakes."""
    near = groups.filter(~pl.col("keeper") & (pl.col("method") != "exact"))
    sized = near.group_by("group_id").agg(_sureness(groups, settings).min(), size=pl.col("image_id").n_unique() + 1)
    return _shown(groups, sized.sort("sureness", "group_id").head(GROUPS), settings, surest_first=False)


def _shown(
    groups: pl.LazyFrame, chosen: pl.LazyFrame, settings: Duplicates, surest_first: bool
) -> list[dict[str, Any]]:
    """`size` and `members` of each chosen group (`group_id`, `size`), in their order."""
    order = chosen.select("group_id", "size").collect()
    sureness = _sureness(groups, settings)
    own = groups.join(order.lazy(), on="group_id").with_columns(sureness)
    own = own.sort("keeper", "shard", "source_row", descending=[True, False, False])
    members = own.unique("image_id", keep="first", maintain_order=True).collect()
    found = []
    for group, size in order.iter_rows():
        copies = members.filter(group_id=group).sort(
            ~pl.col("keeper"), -pl.col("sureness") if surest_first else "sureness", "image_id"
        )
        found.append({"size": size, "members": copies.head(COPIES).to_dicts()})
    return found


def _sureness(groups: pl.LazyFrame, settings: Duplicates) -> pl.Expr:
    """How far within the bound of its method a copy is, 0 at the bound and 1 where nothing differs."""
    sure = 1 - pl.col("distance").cast(pl.Float64) / max(settings.radius, 1)
    if "cosine" in groups.collect_schema():
        least = settings.vectors.cosine if settings.vectors else settings.copies.cosine
        by_vectors = 1 - (1 - pl.col("cosine").cast(pl.Float64)) / max(1 - least, 1e-6)
        sure = pl.when(pl.col("method").is_in([VECTORS, COPY_EMBEDDING])).then(by_vectors).otherwise(sure)
    return sure.clip(0, 1).alias("sureness")
