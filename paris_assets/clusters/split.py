"""Which samples are held out for validation: of every expert the same share, copies never on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.clusters.schema import TRAINING_SPLIT
from paris_assets.clusters.selection import select
from paris_assets.config import Profile
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

TRAIN, VALIDATION = 0, 1


def split(
    curated: Shards, captions: Shards, latents: Shards, assignments: Shards, values: pl.LazyFrame, profile: Profile
) -> Output:
    """Rows of `training_split` for every image that will be a training sample; the output covers exactly these shards.

    Where the source has only grown, samples stay on their side, unless ``duplicates.growth`` is ``rerank``.

    Args:
        curated: `curated_images`.
        values: `cluster_values`.
    """
    output, keys, verdicts = Output(), list(curated.keys), values.collect()

    def samples(shard: str) -> pl.LazyFrame:
        selection = select(assignments[shard].collect(), verdicts, profile.clusters)
        captioned = captions[shard].filter(pl.col("caption") != "").select("image_id")
        return (
            selection.lazy()
            .filter("selected")
            .select("image_id", "cluster")
            .join(latents[shard].select("image_id"), on="image_id", how="semi")
            .join(captioned, on="image_id", how="semi")
            .join(curated[shard].select("image_id", "group_id"), on="image_id")
            .with_columns(pl.lit(shard).alias("shard"))
            .sort("image_id")
        )

    def rows(standing: pl.LazyFrame | None) -> Iterator[pl.DataFrame]:
        keeps = standing is not None and profile.duplicates.growth == "keep_published"
        published = standing.collect() if standing is not None and keeps else None
        wanted = pl.concat([samples(shard).collect() for shard in keys])
        found = divided(wanted, profile.experts.validation_fraction, published)
        output.rows_in = found.height
        output.facts = {"shards": keys, "validation": int(found["split"].sum())}
        yield found

    output.rows = rows
    return output


def divided(samples: pl.DataFrame, fraction: float, published: pl.DataFrame | None = None) -> pl.DataFrame:
    """Columns of `training_split`, in the order of the samples: shard by shard, sorted by image_id.

    Args:
        samples: ``image_id``, ``shard``, ``cluster``, ``group_id`` of all training samples.
        fraction: share of each expert's duplicate groups that is held out.
        published: rows that keep the side that they have, if any.
    """
    if published is None:
        published = TRAINING_SPLIT.frame()
    sides = published.group_by("group_id").agg(pl.col("split").max())
    groups = samples.select("cluster", "group_id").unique().join(sides, on="group_id", how="left")
    held_out = validation_groups(groups, fraction)
    side = pl.col("group_id").is_in(held_out.implode()).cast(pl.UInt8).alias("split")
    return samples.with_columns(side).select(TRAINING_SPLIT.select())


def validation_groups(groups: pl.DataFrame, fraction: float) -> pl.Series:
    """The groups held out: of each expert ``quota`` many, those first in the order of their hashes.

    The choice depends on which groups there are, and on no order, shard or image beside them. A group with images in
    several experts counts for each of them, and experts with few groups choose first.

    Args:
        groups: ``cluster``, ``group_id``, each pair once, and ``split``: the side of groups that were decided
            before, else null.
    """
    held_out = set(groups.filter(split=VALIDATION)["group_id"])
    # Digits 16-24 of the sha256: tables are sorted by the first ones, so these are another, as uniform order.
    ordered = groups.sort(pl.col("group_id").str.slice(16, 8), "group_id")
    experts = ordered.partition_by("cluster")
    for expert in sorted(experts, key=lambda rows: (rows.height, rows["cluster"][0])):
        taken = expert["group_id"].is_in(list(held_out))
        free = expert.filter(~taken & expert["split"].is_null())["group_id"]
        held_out.update(free.head(max(0, quota(expert.height, fraction) - int(taken.sum()))))
    return pl.Series("group_id", sorted(held_out), dtype=pl.String)


def quota(groups: int, fraction: float) -> int:
    """How many of an expert's groups are held out: the nearest whole number to the share, but at least one, and at
    least one is left to train on; of a single group, and of fraction 0, none."""
    return 0 if groups < 2 or not fraction else min(max(1, round(groups * fraction)), groups - 1)
