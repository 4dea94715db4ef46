"""Groups of images that show the same picture, and the one of each that stays.

Exact copies share an image_id. Near copies are found as all pairs of pHashes within a Hamming radius whose thumbnails
agree (`same_picture`). Pairs connect images into groups, but a chain of small changes can join different pictures
(SemDeDup's over-deletion), so a member must also agree with its keeper:

1. Rank images: published keepers first (unless settings say `rerank`), then aesthetic score (unknown last), pixels,
   image_id.
2. Within each connected group the best-ranked image is a keeper; those that agree with it are its copies; what remains
   is judged again in the same way.

Published images stay keepers, even of the same group. The result depends on the set of images only, not on their order.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from paris_assets.config import Duplicates
from paris_assets.curation.hamming import close_pairs
from paris_assets.curation.same_picture import same_picture

SCHEMA = pl.Schema(
    {
        "image_id": pl.String,
        "shard": pl.String,
        "source_row": pl.Int64,
        "group_id": pl.String,
        "keeper": pl.Boolean,
        "distance": pl.UInt8,
        "method": pl.String,
    }
)
BLOCK_LINKS = 1 << 16
BLOCK_PAIRS = 1 << 14
_LIGHT = ("image_id", "shard", "source_row", "phash", "width", "height", "aesthetic")


def find_duplicates(
    images: pl.DataFrame | pl.LazyFrame, settings: Duplicates, published: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Group all images that passed the rules, over all shards.

    Args:
        images: one row per occurrence: `image_id`, `shard` (str), `source_row`, `phash` (uint64), `thumbnail`
            (uint8 array of PerceptualHash), `width`, `height`, and `aesthetic` if there is one. Thumbnails are read
            only for images that some hash is close to.
        settings: radius, smallest correlation, and growth.
        published: `image_id` (and, if known, `shard` and `source_row`) of images that are curated already.

    Returns:
        **Every** occurrence, groups of one included, so the keepers are the curated set. `group_id` is the smallest
        image_id of the group; exactly one row per group has `keeper`. `distance` is the Hamming distance to the
        keeper's pHash (0 for exact copies); `method` is `exact` for a further occurrence of the same bytes, `phash`
        for a near copy, null for keepers. Sorted by shard, image_id, source_row.

    Raises:
        ValueError: a missing column.
    """
    occurrences = _occurrences(images, settings, published)
    ranked = occurrences.filter(pl.col("primary")).sort("rank")
    keeper = _keepers(images, ranked, settings)
    ids, hashes = ranked["image_id"], ranked["phash"].fill_null(0).to_numpy()
    members = pl.DataFrame(
        {
            "image_id": ids,
            "keeper_row": keeper,
            "near": keeper != np.arange(len(keeper)),
            "bits": np.bitwise_count(hashes ^ hashes[keeper]),
        }
    ).with_columns(group_id=pl.col("image_id").min().over("keeper_row"))
    near, primary = pl.col("near"), pl.col("primary")
    return (
        occurrences.join(members, on="image_id")
        .select(
            "image_id",
            "shard",
            "source_row",
            "group_id",
            keeper=primary & ~near,
            distance=pl.when(primary & ~near).then(None).otherwise("bits").cast(pl.UInt8),
            method=pl.when(near).then(pl.lit("phash")).when(~primary).then(pl.lit("exact")),
        )
        .sort("shard", "image_id", "source_row")
        .cast(SCHEMA)
    )


def _occurrences(
    images: pl.DataFrame | pl.LazyFrame, settings: Duplicates, published: pl.DataFrame | None
) -> pl.DataFrame:
    """Light columns with `rank` of each image and its `primary` occurrence (the published, else the first)."""
    table = images.lazy()
    present = table.collect_schema()
    missing = [name for name in (*_LIGHT[:-1], "thumbnail") if name not in present]
    if missing:
        raise ValueError(f"duplicates need the columns {missing}, which are missing from {sorted(present)}")
    if "aesthetic" not in present:
        table = table.with_columns(aesthetic=pl.lit(None, pl.Float64))
    light = table.select(_LIGHT).collect()
    if published is None or settings.growth == "rerank":
        published = pl.DataFrame(schema={"image_id": pl.String})
    known = published.select(name for name in ("image_id", "shard", "source_row") if name in published.columns).unique()
    light = light.with_columns(published=pl.col("image_id").is_in(published["image_id"].implode()))
    light = light.join(known.with_columns(published_here=True), on=known.columns, how="left")
    first = light.sort(pl.col("published_here").is_null(), "shard", "source_row").unique(
        "image_id", keep="first", maintain_order=True
    )
    ranked = first.sort(
        ~pl.col("published"),
        -pl.col("aesthetic").cast(pl.Float64).fill_nan(None).fill_null(float("-inf")),
        -(pl.col("width").cast(pl.Int64) * pl.col("height")),
        "image_id",
    ).select("image_id", pl.col("shard").alias("primary_shard"), pl.col("source_row").alias("primary_row"))
    return light.join(ranked.with_row_index("rank"), on="image_id").with_columns(
        primary=(pl.col("shard") == pl.col("primary_shard")) & (pl.col("source_row") == pl.col("primary_row"))
    )


def _keepers(images: pl.DataFrame | pl.LazyFrame, ranked: pl.DataFrame, settings: Duplicates) -> np.ndarray:
    """Position of each image's keeper in `ranked`, (N,) int64; its own position for a keeper."""
    keeper = np.arange(len(ranked))
    hashed = np.flatnonzero(ranked["phash"].is_not_null().to_numpy())
    hashes, bucket, sizes = np.unique(ranked["phash"].drop_nulls().to_numpy(), return_inverse=True, return_counts=True)
    found = [np.stack(pairs[:2], axis=1) for pairs in close_pairs(hashes, settings.radius)]
    links = np.concatenate([np.zeros((0, 2), np.int64), *found])
    involved = sizes > 1
    involved[links] = True
    rows, bucket = hashed[involved[bucket]], bucket[involved[bucket]]
    if len(rows) == 0:
        return keeper
    gallery = _Gallery(images, ranked[rows], settings.verify_correlation)
    # Images with one pHash (thousands, when they are flat) meet the others through their leaders only.
    leader = gallery.stars(bucket)
    edges = [np.stack([np.arange(len(rows)), leader], axis=1)]
    edges.extend(gallery.verified(pairs) for pairs in _leader_pairs(links, bucket, leader))
    left, right = np.concatenate(edges).T
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(rows), len(rows)))
    keeper[rows] = rows[gallery.stars(connected_components(graph, directed=False)[1])]
    return keeper


def _leader_pairs(links: np.ndarray, bucket: np.ndarray, leader: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of (P, 2) leaders whose buckets are linked."""
    leaders = np.flatnonzero(leader == np.arange(len(leader)))
    leaders = leaders[np.argsort(bucket[leaders], kind="stable")]
    first, last = (np.searchsorted(bucket[leaders], links, side=side) for side in ("left", "right"))
    counts = last - first
    for start in range(0, len(links), BLOCK_LINKS):
        block = slice(start, start + BLOCK_LINKS)
        # Every leader of the left bucket, then every leader of the right one for each of these.
        link = np.repeat(np.arange(len(links))[block], counts[block, 0])
        left = first[link, 0] + _position_in_run(counts[block, 0])
        met = counts[link, 1]
        right = np.repeat(first[link, 1], met) + _position_in_run(met)
        yield np.stack([leaders[np.repeat(left, met)], leaders[right]], axis=1)


def _position_in_run(lengths: np.ndarray) -> np.ndarray:
    """[2, 3] -> [0, 1, 0, 1, 2]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


class _Gallery:
    """Thumbnails of the images that have a close hash, in order of rank."""

    def __init__(self, images: pl.DataFrame | pl.LazyFrame, ranked: pl.DataFrame, min_correlation: float) -> None:
        wanted = pl.col("image_id").is_in(ranked["image_id"].implode())
        stored = images.lazy().select("image_id", "thumbnail").filter(wanted).unique("image_id").collect()
        thumbnails = ranked.join(stored, on="image_id", how="left", maintain_order="left")
        without = thumbnails.filter(pl.col("thumbnail").is_null())["image_id"]
        if len(without):
            raise ValueError(f"{len(without)} images have a pHash but no thumbnail, {without[0]} among them")
        self.thumbnails = thumbnails["thumbnail"].to_numpy()
        self.published = ranked["published"].to_numpy()
        self.min_correlation = min_correlation

    def verified(self, pairs: np.ndarray) -> np.ndarray:
        """Those of (P, 2) pairs that show the same picture."""
        same = [
            same_picture(self.thumbnails[block[:, 0]], self.thumbnails[block[:, 1]], self.min_correlation)
            for block in np.split(pairs, range(BLOCK_PAIRS, len(pairs), BLOCK_PAIRS))
        ]
        return pairs[np.concatenate(same)]

    def stars(self, group: np.ndarray) -> np.ndarray:
        """Leader of each image, (N,): within its group, the best-ranked one that it agrees with and that is no copy."""
        leader = np.arange(len(group))
        order = np.argsort(group, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            while len(members) > 1:
                first, members = members[0], members[1:]
                free = members[~self.published[members]]
                copies = self.verified(np.stack([np.full(len(free), first), free], axis=1))[:, 1]
                leader[copies] = first
                members = np.setdiff1d(members, copies, assume_unique=True)
        return leader
