"""Groups of images that show the same picture, and the one of each that stays.

Exact copies share an image_id. Near copies are found as all pairs of pHashes within a Hamming radius whose thumbnails
agree (`same_picture`) and, where a profile has vectors compared, as pairs of vectors within a cosine. Pairs connect
images into groups, but a chain of small changes can join different pictures (SemDeDup's over-deletion), so a member
must also agree with its keeper, in one way or the other:

1. Rank images: aesthetic score (unknown last), pixels, image_id.
2. Within each connected group the best-ranked image is a keeper; those that agree with it are its copies; what remains
   is judged again in the same way.

Thousands of images can share one pHash (flat ones do). They are first gathered, in the same way, among themselves, and
only their keepers so far, the leaders, meet images of other pHashes.

Where a source grows and what was published has to stay, published keepers rank before all others and stay keepers, even
where a new image shows that two of them are the same picture, and their copies stay theirs. A new image is a copy of
the best published keeper that it agrees with, else it is judged among the new ones. The result depends on the set of
images and of published rows only, not on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from paris_assets.compute import Compute
from paris_assets.config import Duplicates
from paris_assets.curation.decided import Decided
from paris_assets.curation.gallery import Gallery, run_ends
from paris_assets.curation.links import links_of, spread
from paris_assets.curation.near_vectors import NearVectors, Vectors
from paris_assets.curation.ranking import LIGHT, Ranked, ranked


def find_duplicates(
    images: pl.DataFrame | pl.LazyFrame,
    settings: Duplicates,
    published: pl.DataFrame | None = None,
    vectors: Vectors | None = None,
    scratch: Path | None = None,
    thumbnails: Sequence[pl.LazyFrame] = (),
    compute: Compute | None = None,
) -> Decided:
    """Group all images that passed the rules, over all shards.

    Args:
        images: one row per occurrence: `image_id`, `shard` (str), `source_row`, `phash` (uint64), `width`, `height`,
            and `aesthetic` if there is one.
        settings: radius and smallest correlation.
        published: rows of an earlier result on some of these images, which must not change: they come back as they are.
        vectors: of these images and perhaps of others, where they are compared.
        scratch: local folder in which pairs and vectors lie meanwhile; by default the system's.
        thumbnails: tables of `image_id` and `thumbnail` (uint8 array of PerceptualHash) of these images and perhaps of
            others, by default `images`; read only for images that some hash is close to.
        compute: who looks for close hashes and vectors; by default the threads of this process.

    Raises:
        ValueError: a missing column, or a published row of an image that is not there.
    """
    thumbnails = thumbnails or [images.lazy()]
    present = {*images.lazy().collect_schema(), *thumbnails[0].collect_schema()}
    missing = [name for name in (*LIGHT[:-1], "thumbnail") if name not in present]
    if missing:
        raise ValueError(f"duplicates need the columns {missing}, which are missing from {sorted(present)}")
    found = ranked(images, published)
    del images  # what is needed of them is held in fewer bytes
    folder = scratch or Path(gettempdir())
    near = None if vectors is None else NearVectors(found.image_ids.gather(found.order), vectors, folder)
    ties = near.ties(compute) if near else np.zeros((0, 2), np.int64)
    links = partial(links_of, radius=settings.radius, scratch=folder, compute=compute)
    with threadpool_limits(1, user_api="blas"):  # products of a few hundred rows: threads would only wait
        keeper, alike = _keepers(thumbnails, found, settings, near, ties, links)
    return Decided(found, keeper, alike, near)


def _keepers(
    thumbnails: Sequence[pl.LazyFrame],
    found: Ranked,
    settings: Duplicates,
    near: NearVectors | None,
    ties: np.ndarray,
    find_links: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each image's keeper, (N,) int64, its own for a keeper; and (N,) bool, whether its thumbnail shows the
    same picture."""
    keeper, owner = np.arange(len(found.order)), found.owner
    known = np.flatnonzero(owner >= 0)
    keeper[known] = owner[known]
    hashed = np.flatnonzero(found.phash.is_not_null().to_numpy())
    hashes, bucket, sizes = np.unique(found.phash.drop_nulls().to_numpy(), return_inverse=True, return_counts=True)
    links, involved = find_links(hashes), sizes > 1
    for block in spread(links):
        involved[block] = True
    taking_part = involved[bucket] | np.isin(hashed, ties)
    rows, bucket, alike = hashed[taking_part], bucket[taking_part], np.ones(len(keeper), bool)
    if len(rows) == 0:
        return keeper, alike
    gallery = Gallery(thumbnails, found.names(rows), settings.verify_correlation, owner[rows] == rows, near, rows)
    # Images with one pHash (thousands, when they are flat) meet the others through their leaders only.
    leader = gallery.stars(bucket)
    ties = np.concatenate([np.stack([rows, owner[rows]], axis=1), ties])
    component = _components(gallery, links, bucket, leader, _places(ties, rows))
    # Published copies tie pictures together, but lead no group and join no other one.
    judged = (owner[rows] < 0) | (owner[rows] == rows)
    leaders_near = np.bincount(component[leader == np.arange(len(leader))])[component]
    done = judged & judged[leader] & (leaders_near == 1)
    again = np.flatnonzero(judged & ~done)
    leader[again] = gallery.stars(component, again)[again]
    keeper[rows[judged]] = rows[leader[judged]]
    if near is not None:
        pairs = np.stack([keeper[rows], rows], axis=1)[keeper[rows] != rows]
        pairs = pairs[np.isin(pairs, rows).all(axis=1)]
        alike[pairs[:, 1]] = gallery.look_alike(np.searchsorted(rows, pairs))
    return keeper, alike


def _components(
    gallery: Gallery, links: np.ndarray, bucket: np.ndarray, leader: np.ndarray, ties: np.ndarray
) -> np.ndarray:
    """Connected group of each image, (N,): joined to its leader, by `ties`, and where leaders of linked buckets agree.

    Links are followed in blocks: a pair that is connected by then need not be looked at. Which pair does it changes no
    group.
    """
    edges = [np.stack([np.arange(len(leader)), leader], axis=1), ties]
    leaders = np.flatnonzero(leader == np.arange(len(leader)))
    leaders = leaders[np.argsort(bucket[leaders], kind="stable")]
    component = _connected(edges, len(leader))
    for block in spread(links):
        met = run_ends(bucket[leaders], block)
        blocks = gallery.pairs(leaders, met[:, 0], leaders, met[:, 1])
        edges.append(gallery.agreeing(pairs[np.diff(component[pairs])[:, 0] != 0] for pairs in blocks))
        component = _connected(edges, len(leader))
    return component


def _connected(edges: list[np.ndarray], count: int) -> np.ndarray:
    """(N,) number of each one's connected group, by blocks of (E, 2) edges."""
    ends = np.concatenate(edges)
    graph = coo_array((np.ones(len(ends), bool), tuple(ends.T)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _places(pairs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(P, 2) values as their positions in `rows` (ascending); pairs with a value that is not there are left out."""
    pairs = pairs[np.isin(pairs, rows).all(axis=1)]
    return np.searchsorted(rows, pairs)
