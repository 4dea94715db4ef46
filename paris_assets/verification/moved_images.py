"""Which published images two roots differ in, and why: told from their tables."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from paris_assets.dag.records import ALL
from paris_assets.dag.tables import Tables

PUBLISHED = "router_arrays"
REASON = pl.Schema({"image_id": pl.String, "stage": pl.String, "reason": pl.String})


class Moved(NamedTuple):
    """Published images.

    Attributes:
        lost, gained: those of one side only: `image_id`, `cluster`, and `stage` and `reason` why the other lacks it.
        moved: `image_id`, `before`, `after`: of another expert now.
        other_side: `image_id`, `before`, `after`: on the other side of the split now.
        same: how many are in the same expert.
    """

    lost: pl.DataFrame
    gained: pl.DataFrame
    moved: pl.DataFrame
    other_side: pl.DataFrame
    same: int


def moved_images(before: Tables, after: Tables) -> Moved:
    """Compare what two roots publish, by image."""
    old, new = _published(before), _published(after)
    both = old.join(new, on="image_id", suffix="_after")
    moved = both.filter(pl.col("cluster") != pl.col("cluster_after"))
    sides = both.filter(pl.col("split") != pl.col("split_after"))
    lost, gained = (one.join(other, on="image_id", how="anti") for one, other in ((old, new), (new, old)))
    columns = {"cluster": moved, "split": sides}
    said = {
        name: rows.select("image_id", before=name, after=f"{name}_after").sort("image_id")
        for name, rows in columns.items()
    }
    return Moved(
        lost=_with_reasons(lost, before, after),
        gained=_with_reasons(gained, after, before),
        moved=said["cluster"],
        other_side=said["split"],
        same=both.height - moved.height,
    )


def _published(tables: Tables) -> pl.DataFrame:
    return _all(tables, PUBLISHED, ["image_id", "cluster", "split"])


def _with_reasons(rows: pl.DataFrame, having: Tables, lacking: Tables) -> pl.DataFrame:
    """Rows with why the other root publishes no such image."""
    images = rows.select("image_id")
    reasons = pl.concat([_reason(lacking, images), _never_fetched(having, lacking, images), REASON.to_frame()])
    first = reasons.unique("image_id", keep="first", maintain_order=True)
    joined = rows.select("image_id", "cluster").join(first, on="image_id", how="left").sort("image_id")
    return joined.with_columns(pl.col("stage").fill_null(PUBLISHED), pl.col("reason").fill_null("not published"))


def _reason(tables: Tables, images: pl.DataFrame) -> pl.DataFrame:
    """Where each of some images that a root has fetched ended."""
    verdicts = _all(tables, "filtered_images", ["image_id", "kept", "reason"], images).filter(~pl.col("kept"))
    groups = _all(tables, "duplicate_groups", ["image_id", "group_id", "keeper", "method"])
    keepers = groups.filter("keeper").select("group_id", kept="image_id")
    copies = groups.filter(~pl.col("keeper")).join(images, on="image_id", how="semi").join(keepers, on="group_id")
    copies = copies.filter(pl.col("kept") != pl.col("image_id"))
    selection = _all(tables, "training_selection", ["image_id", "selected", "reason"], images)
    captions = _all(tables, "captions", ["image_id", "caption"], images)
    placed = _all(tables, "latents", ["image_id"], images)
    without = captions.join(placed, on="image_id", how="anti")
    copy = pl.format("copy ({}) of {}", "method", "kept")
    parts = [
        verdicts.select("image_id", stage=pl.lit("filtered_images"), reason="reason"),
        copies.select("image_id", stage=pl.lit("duplicate_groups"), reason=copy),
        selection.filter(~pl.col("selected")).select("image_id", stage=pl.lit("training_selection"), reason="reason"),
        captions.filter(caption="").select("image_id", stage=pl.lit("captions"), reason=pl.lit("no_valid_caption")),
        without.select("image_id", stage=pl.lit("latents"), reason=pl.lit("no_latent")),
    ]
    return pl.concat([REASON.to_frame(), *(part.cast(dict(REASON.items())) for part in parts)])  # type: ignore[arg-type]


def _never_fetched(having: Tables, lacking: Tables, images: pl.DataFrame) -> pl.DataFrame:
    """What became of the rows of some images in a root that has not fetched them."""
    place = pl.coalesce("url", "uid", pl.format("row {}", "source_row")).alias("place")
    columns = ["image_id", "url", "uid", "source_row", "status", "reason"]
    ledger = _all(lacking, "raw_images", columns)
    known = ledger.select("image_id").drop_nulls()
    rows = _all(having, "raw_images", columns, images.join(known, on="image_id", how="anti"))
    there = ledger.select(place, "status", other_reason="reason")
    joined = rows.select("image_id", place).join(there, on="place", how="left")
    said = (
        pl.when(pl.col("status").is_null())
        .then(pl.lit("not in the source"))
        .when(pl.col("status") == "ok")
        .then(pl.lit("other bytes at its place"))
        .otherwise("other_reason")
    )
    return joined.select("image_id", stage=pl.lit("raw_images"), reason=said).unique("image_id", keep="first")


def _all(tables: Tables, asset: str, columns: list[str], images: pl.DataFrame | None = None) -> pl.DataFrame:
    """Columns of all partitions that are there; of some images where these are given."""
    catalog = tables.catalog
    keys = catalog.keys(asset) if asset in catalog.graph else []
    there = [key for key in keys if catalog.record(asset, key)]
    if not there:
        return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
    rows = tables.scan(asset, there if catalog.graph[asset].partitioned else [ALL]).select(columns)
    return (rows if images is None else rows.join(images.lazy(), on="image_id", how="semi")).collect()
