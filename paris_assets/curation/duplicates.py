"""Groups of images that show the same picture, and the one of each that stays.

Exact copies share an image_id. Near copies are found as all pairs of pHashes within a Hamming radius whose thumbnails
agree (`same_picture`). Pairs connect images into groups, but a chain of small changes can join different pictures
(SemDeDup's over-deletion), so a member must also agree with its keeper:

1. Rank images: aesthetic score (unknown last), pixels, image_id.
2. Within each connected group the best-ranked image is a keeper; those that agree with it are its copies; what remains
   is judged again in the same way.

Where a source grows and what was published has to stay, the rows that were decided before are settled: their keepers
rank before all others and stay keepers, even where a new image shows that two of them are the same picture, and their
copies stay theirs. A new image is a copy of the best settled keeper that it agrees with, else it is judged among the
new ones. The result depends on the set of images and of settled rows only, not on their order.
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
    images: pl.DataFrame | pl.LazyFrame, settings: Duplicates, settled: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Group all images that passed the rules, over all shards.

    Args:
        images: one row per occurrence: `image_id`, `shard` (str), `source_row`, `phash` (uint64), `thumbnail`
            (uint8 array of PerceptualHash), `width`, `height`, and `aesthetic` if there is one. Thumbnails are read
            only for images that some hash is close to.
        settings: radius and smallest correlation.
        settled: rows of an earlier result on some of these images; they come back as they are.

    Returns:
        **Every** occurrence, groups of one included, so the keepers are the curated set. `group_id` is the smallest
        image_id of the group when it was first decided; exactly one row per group has `keeper`. `distance` is the
        Hamming distance to the keeper's pHash (0 for exact copies); `method` is `exact` for a further occurrence of the
        same bytes, `phash` for a near copy, null for keepers. Sorted by shard, image_id, source_row.

    Raises:
        ValueError: a missing column, or a settled row of an image that is not there.
    """
    occurrences = _occurrences(images, settled)
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
    ).with_columns(
        group_id=pl.coalesce(ranked["settled_group"].gather(keeper), pl.col("image_id").min().over("keeper_row"))
    )
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


def _occurrences(images: pl.DataFrame | pl.LazyFrame, settled: pl.DataFrame | None) -> pl.DataFrame:
    """Light columns with `rank` of each image, its `primary` occurrence (the settled keeper's, else the first), and of
    settled images `settled_keeper` (its image_id) and `settled_group`."""
    table = images.lazy()
    present = table.collect_schema()
    missing = [name for name in (*_LIGHT[:-1], "thumbnail") if name not in present]
    if missing:
        raise ValueError(f"duplicates need the columns {missing}, which are missing from {sorted(present)}")
    if "aesthetic" not in present:
        table = table.with_columns(aesthetic=pl.lit(None, pl.Float64))
    light = table.select(_LIGHT).collect()
    settled = pl.DataFrame(schema=SCHEMA) if settled is None else settled
    gone = settled.join(light, on=("image_id", "shard", "source_row"), how="anti")
    if len(gone):
        raise ValueError(f"{len(gone)} settled rows are of images that are not there, {gone['image_id'][0]} among them")
    keepers = settled.filter("keeper")
    owners = keepers.select("group_id", settled_keeper="image_id")
    known = settled.select("image_id", "group_id").unique().join(owners, on="group_id")
    here = keepers.select("image_id", "shard", "source_row", settled_here=True)
    light = light.join(known.rename({"group_id": "settled_group"}), on="image_id", how="left")
    light = light.join(here, on=("image_id", "shard", "source_row"), how="left")
    first = light.sort(pl.col("settled_here").is_null(), "shard", "source_row").unique(
        "image_id", keep="first", maintain_order=True
    )
    ranked = first.sort(
        pl.col("settled_here").is_null(),
        -pl.col("aesthetic").cast(pl.Float64).fill_nan(None).fill_null(float("-inf")),
        -(pl.col("width").cast(pl.Int64) * pl.col("height")),
        "image_id",
    ).select("image_id", pl.col("shard").alias("primary_shard"), pl.col("source_row").alias("primary_row"))
    return light.join(ranked.with_row_index("rank"), on="image_id").with_columns(
        primary=(pl.col("shard") == pl.col("primary_shard")) & (pl.col("source_row") == pl.col("primary_row"))
    )


def _keepers(images: pl.DataFrame | pl.LazyFrame, ranked: pl.DataFrame, settings: Duplicates) -> np.ndarray:
    """Position of each image's keeper in `ranked`, (N,) int64; its own position for a keeper."""
    keeper, owner = np.arange(len(ranked)), _settled_keepers(ranked)
    known = np.flatnonzero(owner >= 0)
    keeper[known] = owner[known]
    hashed = np.flatnonzero(ranked["phash"].is_not_null().to_numpy())
    hashes, bucket, sizes = np.unique(ranked["phash"].drop_nulls().to_numpy(), return_inverse=True, return_counts=True)
    found = [np.stack(pairs[:2], axis=1) for pairs in close_pairs(hashes, settings.radius)]
    links = np.concatenate([np.zeros((0, 2), np.int64), *found])
    involved = sizes > 1
    involved[links] = True
    rows, bucket = hashed[involved[bucket]], bucket[involved[bucket]]
    if len(rows) == 0:
        return keeper
    gallery = _Gallery(images, ranked[rows], settings.verify_correlation, owner[rows] == rows)
    # Images with one pHash (thousands, when they are flat) meet the others through their leaders only.
    leader = gallery.stars(bucket)
    edges = [np.stack([np.arange(len(rows)), leader], axis=1), _places(np.stack([rows, owner[rows]], axis=1), rows)]
    edges.extend(gallery.verified(pairs) for pairs in _leader_pairs(links, bucket, leader))
    left, right = np.concatenate(edges).T
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(rows), len(rows)))
    component = connected_components(graph, directed=False)[1]
    # Settled copies tie pictures together, but lead no group and join no other one.
    judged = np.flatnonzero((owner[rows] < 0) | (owner[rows] == rows))
    leader = gallery.stars(component, judged)
    keeper[rows[judged]] = rows[leader[judged]]
    return keeper


def _settled_keepers(ranked: pl.DataFrame) -> np.ndarray:
    """Position in `ranked` of the keeper that each image is settled with, (N,) int64; -1 for a new image."""
    positions = ranked.select(settled_keeper="image_id", position=pl.int_range(pl.len()))
    owners = ranked.select("settled_keeper").join(positions, on="settled_keeper", how="left", maintain_order="left")
    return owners["position"].fill_null(-1).to_numpy()


def _places(pairs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(P, 2) values as their positions in `rows` (ascending); pairs with a value that is not there are left out."""
    pairs = pairs[np.isin(pairs, rows).all(axis=1)]
    return np.searchsorted(rows, pairs)


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

    def __init__(
        self, images: pl.DataFrame | pl.LazyFrame, ranked: pl.DataFrame, min_correlation: float, settled: np.ndarray
    ) -> None:
        wanted = pl.col("image_id").is_in(ranked["image_id"].implode())
        stored = images.lazy().select("image_id", "thumbnail").filter(wanted).unique("image_id").collect()
        thumbnails = ranked.join(stored, on="image_id", how="left", maintain_order="left")
        without = thumbnails.filter(pl.col("thumbnail").is_null())["image_id"]
        if len(without):
            raise ValueError(f"{len(without)} images have a pHash but no thumbnail, {without[0]} among them")
        self.thumbnails = thumbnails["thumbnail"].to_numpy()
        self.settled = settled
        self.min_correlation = min_correlation

    def verified(self, pairs: np.ndarray) -> np.ndarray:
        """Those of (P, 2) pairs that show the same picture."""
        same = [
            same_picture(self.thumbnails[block[:, 0]], self.thumbnails[block[:, 1]], self.min_correlation)
            for block in np.split(pairs, range(BLOCK_PAIRS, len(pairs), BLOCK_PAIRS))
        ]
        return pairs[np.concatenate(same)]

    def stars(self, group: np.ndarray, judged: np.ndarray | None = None) -> np.ndarray:
        """Leader of each image, (N,): within its group, the best-ranked one that it agrees with and that is no copy.

        Args:
            group: (N,) group of each image.
            judged: ascending positions of the images that take part; by default all.
        """
        leader = np.arange(len(group))
        judged = leader if judged is None else judged
        order = judged[np.argsort(group[judged], kind="stable")]
        for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
            while len(members) > 1:
                first, members = members[0], members[1:]
                free = members[~self.settled[members]]
                copies = self.verified(np.stack([np.full(len(free), first), free], axis=1))[:, 1]
                leader[copies] = first
                members = np.setdiff1d(members, copies, assume_unique=True)
        return leader
