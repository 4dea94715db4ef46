"""Near copies among clustered images, and whether clusters cut through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from paris_assets.clusters.features import Chunk
from paris_assets.vectors.nearest import Nearest
from paris_assets.vectors.pairs import ClosePairs

PRODUCTS = 10**10
"""Cosines computed at most: of larger sets fewer images are asked for their near copies."""
LEAST_ASKED = 100
NEAREST = 8


def asked(sample_ids: Sequence[str], images: int) -> list[str]:
    """The images of a sample whose near copies are looked for among all of so many images."""
    return list(sample_ids[: max(LEAST_ASKED, PRODUCTS // max(images, 1))])


def near_copies(
    chunks: Iterable[Chunk], image_ids: Sequence[str], vectors: np.ndarray, least: float, groups: pl.LazyFrame
) -> pl.DataFrame:
    """``image_id``, ``copy``: for each image those of its duplicate group, and the ``NEAREST`` most alike of those
    whose vectors have such a cosine; sorted, each pair once from either side that was asked.

    Args:
        chunks: image vectors of all images, as stored.
        image_ids: (n) images asked.
        vectors: (n, D) their image vectors.
        least: smallest cosine.
        groups: ``image_id``, ``group_id`` of all images.
    """
    names = pl.Series("image_id", list(image_ids), pl.String)
    nearest = Nearest(vectors, NEAREST + 1, least)
    for ids, image, _ in chunks:
        nearest.add(pl.Series(ids), image)
    found = nearest.found()
    alike = pl.DataFrame({"image_id": names.gather(found["query"]), "copy": found["image_id"]})
    own = groups.join(names.to_frame().lazy(), on="image_id", how="semi").select("image_id", "group_id")
    others = groups.select("group_id", copy="image_id")
    grouped = own.join(others, on="group_id").select("image_id", "copy").collect()
    return pl.concat([alike, grouped]).filter(pl.col("image_id") != pl.col("copy")).unique().sort("image_id", "copy")


def groups_of(image_ids: Sequence[str], vectors: np.ndarray, least: float, groups: pl.LazyFrame) -> np.ndarray:
    """(n,) number of the group of copies of each image of a sample: images of one duplicate group, and all those of the
    sample whose vectors have such a cosine, are together.

    Args:
        vectors: (n, D) their image vectors.
        least: smallest cosine, above 0.
        groups: ``image_id``, ``group_id`` of these images and perhaps of others.
    """
    names = pl.LazyFrame({"image_id": list(image_ids)}, schema={"image_id": pl.String})
    known = names.join(groups, on="image_id", how="left", maintain_order="left").collect()
    alone = pl.coalesce("group_id", "image_id")
    together = known.select(alone.rank("dense") - 1).to_series().to_numpy().astype(np.int64)
    for pairs in ClosePairs(vectors, least):
        ends = tuple(together[pairs].T)
        graph = coo_array((np.ones(len(pairs), bool), ends), shape=(len(together), len(together)))
        together = connected_components(graph, directed=False)[1][together]
    return together


def split_copies(copies: pl.DataFrame, assignments: pl.LazyFrame, asked: int) -> dict[str, int]:
    """How many images were ``asked``, how many have near copies (``images``) and how many of these have one in another
    cluster (``split_images``); the same of ``pairs``.

    Args:
        copies: of ``near_copies``.
        assignments: ``image_id``, ``cluster`` of the whole set.
    """
    wanted = pl.concat([copies["image_id"], copies["copy"]]).unique().rename("image_id").to_frame().lazy()
    known = assignments.select("image_id", "cluster").join(wanted, on="image_id", how="semi").collect()
    placed = copies.join(known, on="image_id").join(known, left_on="copy", right_on="image_id", suffix="_of_copy")
    apart = (pl.col("cluster") != pl.col("cluster_of_copy")).alias("apart")
    ends = pl.struct(pl.min_horizontal("image_id", "copy").alias("one"), pl.max_horizontal("image_id", "copy"))
    pairs = placed.select(apart, ends.alias("pair")).unique("pair")
    images = placed.select("image_id", apart).group_by("image_id").agg(pl.col("apart").any())
    return {
        "asked": asked,
        "images": images.height,
        "split_images": int(images["apart"].sum()),
        "pairs": pairs.height,
        "split_pairs": int(pairs["apart"].sum()),
    }
