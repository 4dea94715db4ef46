"""Whether two tables of a shard speak of the same images."""

from __future__ import annotations

import polars as pl

from paris_assets.dag.checks import CheckOutcome, Figures, make_again


def same_images(asset: str, shard: str, table: pl.LazyFrame, expected: pl.LazyFrame) -> CheckOutcome:
    """image_ids of a partition are unique and are those expected, no more and no fewer.

    Args:
        asset: whose partition is checked; ``table`` holds its rows.
        expected: has the column ``image_id``.
    """
    ids = table.select("image_id").collect()["image_id"]
    wanted = set(expected.select("image_id").collect()["image_id"])
    lost, new = sorted(wanted - set(ids)), sorted(set(ids) - wanted)
    repeated = len(ids) - ids.n_unique()
    problems = []
    if lost:
        problems.append(f"{len(lost)} of {len(wanted)} images have no row in {asset}, first {lost[0]}")
    if repeated:
        problems.append(f"{repeated} rows of {asset} repeat an image")
    if new:
        problems.append(f"{len(new)} rows of {asset} are of images that the tables before do not have, first {new[0]}")
    figures: Figures = {"missing": len(lost), "repeated": repeated, "unknown": len(new)}
    good = f"{len(ids)} images, each with one row"
    return CheckOutcome.of(problems, good, figures, make_again(asset, shard))
