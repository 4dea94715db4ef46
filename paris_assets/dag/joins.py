"""Whether two tables of a shard speak of the same images."""

from __future__ import annotations

import polars as pl

from paris_assets.dag.checks import Figures, Judgement, make_again
from paris_assets.dag.store import Store


def same_images(store: Store, asset: str, shard: str, expected: pl.LazyFrame) -> Judgement:
    """image_ids of a partition are unique and are those expected, no more and no fewer.

    Args:
        asset: whose partition is judged.
        expected: one column, ``image_id``.
    """
    ids = store.scan(asset, [shard]).select("image_id").collect()["image_id"]
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
    return Judgement.of(problems, good, figures, make_again(asset, shard))
