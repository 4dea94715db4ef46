"""One row per image with all that a root knows of it: what is exported of a shard."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa

from paris_assets.config import Profile
from paris_assets.curation.verdicts import Measured, judged
from paris_assets.errors import BrokenInvariant
from paris_assets.export.fields import embedding_names, own_fields, profile_fields

Only = Literal["kept", "all"]
Scan = Callable[[str], pl.LazyFrame]
"""Asset -> what a shard reads of it."""
NEEDED = ("source_rows", "raw_images", "image_signals", "filtered_images")
LATER = {
    "duplicate_groups": ["group_id"],
    "captions": ["caption", "captioner"],
    "cluster_assignments": ["cluster", "distance"],
    "training_selection": ["selected"],
}
"""Asset -> columns of it that an export has, where it is made."""
OF_CURATED = ("source_row", "url", "text", "alt_texts", "group_id")


@dataclass(frozen=True)
class Contents:
    """What an export holds.

    Attributes:
        only: ``kept``: the curated images; ``all``: every distinct file of a shard, with its verdict.
        images: whether the files as fetched are in it.
        assets: tables that it is made of.
    """

    profile: Profile
    only: Only
    images: bool
    assets: Collection[str]

    def rows(self, scan: Scan, shard: str) -> pl.DataFrame:
        """All fields but embeddings and images, sorted by image_id.

        Raises:
            BrokenInvariant: a curated image that was not measured.
        """
        table = self._joined(scan).with_columns(shard=pl.lit(shard))
        names = table.collect_schema().names()
        fields = [*profile_fields(names), *own_fields(names)]
        chosen = table.select("image_id", *(field.value.alias(field.name) for field in fields))
        rows = chosen.sort("image_id").collect()
        wanted = scan("curated_images").select(pl.len()).collect().item() if self.only == "kept" else rows.height
        if rows["image_id"].n_unique() != wanted or rows.height != wanted:
            raise BrokenInvariant(
                f"shard {shard}: {wanted} images are to be exported, and {rows.height} rows are known"
            )
        return rows

    def _joined(self, scan: Scan) -> pl.LazyFrame:
        """Every image that is exported, with what is known of it."""
        scores = scan("content_scores") if "content_scores" in self.assets else None
        measured = Measured(scan("source_rows"), scan("raw_images"), scan("image_signals"), scores)
        table = judged(measured, scan("filtered_images"))
        later = {name: columns for name, columns in LATER.items() if name in self.assets}
        if self.only == "kept":
            later.pop("duplicate_groups", None)
            curated = scan("curated_images").select("image_id", *OF_CURATED)
            table = table.drop([name for name in OF_CURATED if name in table.collect_schema()])
            table = table.join(curated, on="image_id")
        elif "curated_images" in self.assets:
            curated = scan("curated_images").select("image_id", curated=pl.lit(True))
            table = table.join(curated, on="image_id", how="left").with_columns(pl.col("curated").fill_null(False))
        for asset, columns in later.items():
            found = scan(asset).select("image_id", *columns)
            unique = found.unique("image_id") if asset == "duplicate_groups" else found
            table = table.join(unique, on="image_id", how="left", validate="1:1")
        return table


def with_embeddings(rows: pl.DataFrame, vectors: pl.LazyFrame, profile: Profile) -> pa.Table:
    """Rows as Arrow, with a fixed-size list of float32 per encoder, of length 1; null for an image without vector.

    Args:
        rows: ``image_id`` and other columns.
        vectors: `picture_embeddings`, with these images and perhaps others.
    """
    table, names = plain(rows), embedding_names(profile.picture_embeddings)
    found = (
        rows.lazy()
        .select("image_id")
        .join(vectors.select("image_id", *names), on="image_id", how="left", maintain_order="left")
    )
    stored = found.collect()
    for column, name in names.items():
        table = table.append_column(name, unit_vectors(stored[column]))
    return table


def unit_vectors(values: pl.Series) -> pa.FixedSizeListArray:
    """(N, dim) float16 -> the same as float32 of length 1; what is null or all zeros is null."""
    kind = values.dtype
    assert isinstance(kind, pl.Array)
    known = values.is_not_null().to_numpy()
    vectors = np.zeros((len(values), kind.size), np.float32)
    if known.any():
        vectors[known] = values.drop_nulls().to_numpy()
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1)
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), kind.size, mask=pa.array(norms[:, 0] == 0))


def plain(rows: pl.DataFrame) -> pa.Table:
    """As Arrow, with the types of texts and lists that every reader of Parquet knows."""
    table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([field.with_type(_plain(field.type)) for field in table.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    return pa.list_(_plain(kind.value_type)) if pa.types.is_large_list(kind) else kind
