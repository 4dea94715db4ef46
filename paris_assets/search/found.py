"""What is known of the images that a search found: where they come from, what they show, whether they are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables
from paris_assets.search.stored import StoredVectors
from paris_assets.vectors.nearest import Nearest

KEPT = "kept"
WAITING = "not judged yet"


def nearest_images(
    vectors: StoredVectors, tables: Tables, queries: np.ndarray, count: int, least: float
) -> pl.DataFrame:
    """The images most like each query.

    Args:
        queries: (Q, D).
        count: images for each.
        least: smallest cosine.

    Returns:
        `query` (its position), `rank` (from 1), `cosine`, `image_id`, `shard`, `url`, `caption` (of the captioner, else
        the source's text), `kept` (null where it is not judged yet) and `status`, why it is not.
    """
    nearest = Nearest(queries, count, least)
    for place, (image_ids, rows) in enumerate(vectors.read(tables)):
        if len(image_ids):
            nearest.add(image_ids, rows, place)
    found = nearest.found().with_columns(
        rank=pl.int_range(1, pl.len() + 1).over("query"),
        shard=pl.Series(vectors.shards, dtype=pl.String).gather(nearest.found()["place"]),
    )
    return described(found, tables).select(
        "query", "rank", "cosine", "image_id", "shard", "url", "caption", "kept", "status"
    )


def described(found: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """Add url, caption, kept and status to rows with `image_id` and `shard`."""
    shards = found["shard"].unique().sort().to_list()
    wanted = found.select("image_id").unique()
    files = _rows("raw_images", shards, tables, wanted, ["image_id", "source_row", "url", "text"])
    files = files.sort("source_row").unique("image_id", keep="first")
    captions = _rows("captions", shards, tables, wanted, ["image_id", "caption"]).unique("image_id")
    joined = found.join(files, on="image_id", how="left", maintain_order="left")
    joined = joined.join(captions, on="image_id", how="left", maintain_order="left")
    joined = joined.join(_verdicts(wanted, shards, tables), on="image_id", how="left", maintain_order="left")
    return joined.with_columns(
        caption=pl.coalesce(pl.col("caption").replace("", None), "text"),
        kept=pl.when(pl.col("status") != WAITING).then(pl.col("status").str.starts_with(KEPT)),
    )


def _verdicts(wanted: pl.DataFrame, shards: Sequence[str], tables: Tables) -> pl.DataFrame:
    """`image_id` and `status` of each image."""
    judged = _rows("filtered_images", shards, tables, wanted, ["image_id", "kept", "reason"])
    # An image of several shards may be rejected in one of them, by what the list says there.
    judged = judged.sort("kept", "reason", descending=[True, False]).unique("image_id", keep="first")
    groups = _rows("duplicate_groups", [ALL], tables, wanted, ["image_id", "group_id", "keeper", "method"])
    own = groups.sort("keeper", descending=True).unique("image_id", keep="first", maintain_order=True)
    chosen = _rows("training_selection", shards, tables, wanted, ["image_id", "selected", "reason"])
    rows = (
        wanted.join(judged, on="image_id", how="left")
        .join(own.join(_keepers(own, tables), on="group_id", how="left"), on="image_id", how="left")
        .join(chosen.unique("image_id").rename({"reason": "not_selected"}), on="image_id", how="left")
    )
    return rows.select(
        "image_id",
        status=pl.when(pl.col("kept").is_null())
        .then(pl.lit(WAITING))
        .when(~pl.col("kept"))
        .then(pl.format("rejected: {}", "reason"))
        .when(pl.col("keeper").is_null())
        .then(pl.lit(WAITING))
        .when(~pl.col("keeper"))
        .then(pl.format("copy of {} ({})", "kept_instead", "method"))
        .when(~pl.col("selected").fill_null(True))
        .then(pl.format("kept, and not trained on: {}", "not_selected"))
        .otherwise(pl.lit(KEPT)),
    )


def _keepers(groups: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """`group_id` and `kept_instead`, the image that stays, of these groups."""
    if groups.is_empty():
        return pl.DataFrame(schema={"group_id": pl.String, "kept_instead": pl.String})
    table = tables.scan("duplicate_groups", [ALL]).filter("keeper")
    return table.join(groups.lazy().select("group_id").unique(), on="group_id", how="semi").select(
        "group_id", kept_instead="image_id"
    ).collect()  # fmt: skip


_KINDS = {"source_row": pl.Int64, "kept": pl.Boolean, "keeper": pl.Boolean, "selected": pl.Boolean}


def _rows(asset: str, shards: Sequence[str], tables: Tables, wanted: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Rows about some images, of the shards whose table there is."""
    made = [shard for shard in shards if tables.catalog.record(asset, shard)]
    if not made:
        return pl.DataFrame(schema={name: _KINDS.get(name, pl.String) for name in columns})
    table = tables.scan(asset, made).select(columns)
    return table.join(wanted.lazy(), on="image_id", how="semi").collect()
