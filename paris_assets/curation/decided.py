"""What was decided about each image, as rows of every occurrence: a slice at a time, as all take more memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from paris_assets.curation.near_vectors import NearVectors
from paris_assets.curation.ranking import Ranked
from paris_assets.curation.schema import DUPLICATE_GROUPS

SCHEMA = pl.Schema(
    {name: kind for name, kind in DUPLICATE_GROUPS.polars().items() if name not in ("alt_texts", "cosine")}
)


@dataclass(frozen=True)
class Decided:
    """The keeper of every image.

    Attributes:
        ranked: N images and their M occurrences.
        keeper: (N,) by rank: the rank of the keeper, its own of a keeper.
        alike: (N,) by rank: whether the thumbnail shows the same picture as the keeper's.
        near: vectors, where they are compared.
    """

    ranked: Ranked
    keeper: np.ndarray
    alike: np.ndarray
    near: NearVectors | None

    def __len__(self) -> int:
        return self.ranked.occurrences.height

    @property
    def kept(self) -> int:
        """Keepers: one of each group."""
        return int((self.keeper == np.arange(len(self.keeper))).sum())

    @property
    def groups_with_copies(self) -> int:
        """Groups of more than one occurrence."""
        rank = self._rank(self.ranked.occurrences)
        dropped = ~self.ranked.occurrences["primary"].to_numpy() | (self.keeper[rank] != rank)
        return len(np.unique(self.keeper[rank[dropped]]))

    def further(self) -> pl.DataFrame:
        """`image_id` and `source_row` of keepers' further occurrences, which hold the same bytes."""
        rank = self._rank(self.ranked.occurrences)
        rows = self.ranked.occurrences.filter(~pl.col("primary") & pl.Series(self.keeper[rank] == rank))
        return rows.select(self.ranked.image_ids.gather(rows["image"]).alias("image_id"), "source_row")

    def slices(self, rows: int) -> Iterator[pl.DataFrame]:
        """**Every** occurrence, groups of one included, so the keepers are the curated set, sorted by source_row.

        `group_id` is the smallest image_id of the group when it was first decided; exactly one row per group has
        `keeper`. `distance` is the Hamming distance to the keeper's pHash (0 for exact copies); `method` is `exact` for
        a further occurrence of the same bytes, `phash` for a near copy, ``Vectors.method`` for one that only vectors
        show, null for keepers. With vectors also `cosine`, of near copies with their keepers.

        Args:
            rows: of a slice; there is always one, empty if there is no image.
        """
        for occurrences in self.ranked.occurrences.iter_slices(rows) if len(self) else [self.ranked.occurrences]:
            yield self._told(occurrences)

    def table(self) -> pl.DataFrame:
        """All ``slices`` as one."""
        return next(self.slices(max(len(self), 1)))

    def _told(self, occurrences: pl.DataFrame) -> pl.DataFrame:
        rank = self._rank(occurrences)
        keeper, copy, primary = self.keeper[rank], pl.col("near"), pl.col("primary")
        said = pl.when("alike").then(pl.lit("phash")).otherwise(pl.lit(self.near.method if self.near else None))
        names, places = self._groups
        return (
            occurrences.lazy()
            .with_columns(
                near=pl.Series(keeper != rank),
                alike=pl.Series(self.alike[rank]),
                bits=pl.Series(np.bitwise_count(self._hashes[rank] ^ self._hashes[keeper])),
                **({"cosine": pl.Series(_cosines(self.near, keeper, rank))} if self.near else {}),
            )
            .select(
                self.ranked.image_ids.gather(occurrences["image"]).alias("image_id"),
                "shard",
                "source_row",
                names.gather(places[rank]).alias("group_id"),
                keeper=primary & ~copy,
                distance=pl.when(primary & ~copy).then(None).otherwise("bits").cast(pl.UInt8),
                method=pl.when(copy).then(said).when(~primary).then(pl.lit("exact")),
                **({"cosine": pl.when(copy).then("cosine")} if self.near else {}),
            )
            .cast({**SCHEMA, **({"cosine": pl.Float32} if self.near else {})})
            .collect()
        )

    def _rank(self, occurrences: pl.DataFrame) -> np.ndarray:
        return self.ranked.ranks[occurrences["image"].to_numpy()]

    @cached_property
    def _hashes(self) -> np.ndarray:
        return self.ranked.phash.fill_null(0).to_numpy()

    @cached_property
    def _groups(self) -> tuple[pl.Series, np.ndarray]:
        return self.ranked.groups_of(self.keeper)


def _cosines(near: NearVectors, keeper: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """(n,) cosine of each copy's vector with its keeper's; 0 for keepers."""
    found, copies = np.zeros(len(rank)), np.flatnonzero(keeper != rank)
    found[copies] = near.cosines(np.stack([keeper[copies], rank[copies]], axis=1))
    return found
