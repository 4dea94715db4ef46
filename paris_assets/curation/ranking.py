"""Occurrences of images, and these by number and in order of rank: a few dozen bytes of each of many millions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

LIGHT = ("image_id", "shard", "source_row", "phash", "width", "height", "aesthetic")


@dataclass(frozen=True)
class Ranked:
    """M occurrences of N images. An image's number is its place among all image_ids, its rank counts from the best.

    Attributes:
        image_ids: (N,) by number, ascending.
        occurrences: `image` (number), `shard` (categorical), `source_row` and `primary`, whether it is the occurrence
            that stands for its image: the published keeper's, else the first; sorted by source_row.
        order: (N,) number of each rank.
        ranks: (N,) rank of each number.
        phash: (N,) by rank.
        owner: (N,) by rank: the rank of the keeper that it was published with; -1 of a new image.
        group: (N,) by rank: place in `group_ids` of the group that it was published in; -1 of a new image.
        group_ids: of published groups.
    """

    image_ids: pl.Series
    occurrences: pl.DataFrame
    order: np.ndarray
    ranks: np.ndarray
    phash: pl.Series
    owner: np.ndarray
    group: np.ndarray
    group_ids: pl.Series

    def names(self, rows: np.ndarray) -> pl.Series:
        """image_ids of ranks."""
        return self.image_ids.gather(self.order[rows])

    def groups_of(self, keeper: np.ndarray) -> tuple[pl.Series, np.ndarray]:
        """Names, and by rank (N,) the place among them of each one's group_id: that which the keeper was published in,
        else the smallest image_id of those with this keeper.

        Args:
            keeper: (N,) rank of each one's keeper.
        """
        smallest = np.full(len(keeper), len(keeper), np.int64)
        np.minimum.at(smallest, keeper, self.order)
        known = self.group[keeper]
        places = np.where(known < 0, smallest[keeper], len(keeper) + known)
        return pl.concat([self.image_ids, self.group_ids], rechunk=True), places


def ranked(images: pl.DataFrame | pl.LazyFrame, published: pl.DataFrame | None) -> Ranked:
    """Images by rank: published keepers first, then by aesthetic score (unknown last), pixels and image_id.

    Raises:
        ValueError: a published row of an image that is not there.
    """
    table = images.lazy()
    if "aesthetic" not in table.collect_schema():
        table = table.with_columns(aesthetic=pl.lit(None, pl.Float64))
    number, shard = pl.col("image_id").rank("dense").sub(1), pl.col("shard").cast(pl.Categorical)
    light = table.select(LIGHT).with_columns(number.alias("image"), shard).collect()
    image_ids = light["image_id"].gather(np.unique(light["image"], return_index=True)[1])
    light = light.drop("image_id").sort("source_row")
    image = light["image"].to_numpy()
    firsts = np.unique(image, return_index=True)[1]
    here, owner, group, group_ids = _published(light, image_ids, published)
    stays, primary = np.zeros(len(owner), bool), np.zeros(len(image), bool)
    firsts[image[here]], stays[image[here]] = here, True
    primary[firsts] = True
    best = light.select("phash", "aesthetic", "width", "height")[firsts]
    scores = best["aesthetic"].cast(pl.Float64).fill_nan(None).fill_null(float("-inf")).to_numpy()
    pixels = (best["width"].cast(pl.Int64) * best["height"]).to_numpy()
    order = np.lexsort((-pixels, -scores, ~stays))  # stable: equal ones stay in the order of their image_ids
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    known = owner[order] >= 0
    owner = np.where(known, ranks[owner[order]], -1)
    occurrences = light.select("image", "shard", "source_row", primary=pl.Series(primary))
    return Ranked(image_ids, occurrences, order, ranks, best["phash"].gather(order), owner, group[order], group_ids)


def _published(
    light: pl.DataFrame, image_ids: pl.Series, published: pl.DataFrame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, pl.Series]:
    """Places in `light` of published keepers; by number the number of the keeper that an image was published with and
    the place of its group among these group_ids, -1 of a new one; the group_ids."""
    owner, group = np.full(len(image_ids), -1, np.int64), np.full(len(image_ids), -1, np.int64)
    if published is None or published.is_empty():
        return np.zeros(0, np.int64), owner, group, image_ids.clear()
    numbers = pl.DataFrame({"image_id": image_ids}).with_row_index("image")
    places = light.select(pl.col("image").cast(numbers.schema["image"]), "shard", "source_row").with_row_index("place")
    rows = published.with_columns(pl.col("shard").cast(pl.Categorical)).join(numbers, on="image_id", how="left")
    rows = rows.join(places, on=("image", "shard", "source_row"), how="left")
    gone = rows.filter(pl.col("place").is_null())
    if len(gone):
        raise ValueError(
            f"{len(gone)} published rows are of images that are not there, {gone['image_id'][0]} among them"
        )
    keepers = rows.filter("keeper")
    owners = keepers.select("group_id", owner="image").with_row_index("group")
    known = rows.select("image", "group_id").unique().join(owners, on="group_id")
    owner[known["image"].to_numpy()], group[known["image"].to_numpy()] = known["owner"], known["group"]
    return keepers["place"].to_numpy(), owner, group, owners["group_id"]
