"""Vectors of images that somebody has labelled, from finished roots."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.dag.tables import Tables
from paris_assets.definitions import open_catalog
from paris_assets.errors import UserError

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
_READERS = {".parquet": pl.read_parquet, ".csv": pl.read_csv}


class LabelError(UserError, ValueError):
    """Labels or roots that no head can be trained on; the message says why."""


class Labelled(NamedTuple):
    """Labelled images that have a vector.

    Attributes:
        rows: image_id, label, generator, group, part (train, validation or test), short_side and bits_per_pixel of the
            file, sorted by image_id.
        vectors: (N, dim) float32, in that order, as the encoder gave them.
        encoder: its identity, by what really ran.
    """

    rows: pl.DataFrame
    vectors: np.ndarray
    encoder: dict[str, Any]


def read_labels(path: str) -> pl.DataFrame:
    """image_id, label (Float64), generator and group, null where the file does not say.

    Raises:
        LabelError: another kind of file, a column is missing, an image has two labels, or a label is no number.
    """
    reader = next((read for suffix, read in _READERS.items() if path.endswith(suffix)), None)
    if reader is None:
        raise LabelError(f"{path}: labels are a table, {' or '.join(_READERS)}")
    try:
        given = reader(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise LabelError(f"{path} cannot be read: {error}".partition("\n")[0]) from error
    missing = [name for name in ("image_id", "label") if name not in given.columns]
    if missing:
        raise LabelError(f"{path} has no column {', '.join(missing)}; it has {', '.join(given.columns)}")
    optional = [
        (pl.col(name) if name in given.columns else pl.lit(None)).cast(pl.String).alias(name)
        for name in ("generator", "group")
    ]
    image_id, label = pl.col("image_id").cast(pl.String), pl.col("label").cast(pl.Float64, strict=False)
    labels = given.select(image_id, label, *optional).unique()
    twice = labels.filter(pl.col("image_id").is_duplicated())
    if twice.height:
        raise LabelError(f"{path}: image {twice['image_id'].min()} has more than one label, generator or group")
    if none := int((~labels["label"].is_finite().fill_null(False)).sum()):
        raise LabelError(f"{path}: {none} labels are empty or no numbers")
    return labels


def read_labelled(roots: Sequence[str], encoder: str, labels: pl.DataFrame, seed: int) -> Labelled:
    """The labelled images of finished roots, split by groups: the labels' own, else the root's duplicate groups.

    Raises:
        LabelError: no vectors of the encoder, other weights in another root, or none of the images.
    """
    parts, identities = list[pl.DataFrame](), list[dict[str, Any]]()
    for root in roots:
        catalog = open_catalog(root)
        records = [catalog.record("picture_embeddings", shard) for shard in catalog.shards()]
        done = [record for record in records if record and f"picture_embeddings.{encoder}" in record.facts["models"]]
        if not done:
            raise LabelError(f"{root} holds no vectors of {encoder!r}: name an encoder of its `picture_embeddings`")
        identities += [record.facts["models"][f"picture_embeddings.{encoder}"] for record in done]
        parts.append(_rows(Tables(catalog), [record.shard for record in done], encoder, labels))
    if any(identity != identities[0] for identity in identities):
        raise LabelError(f"the vectors of {encoder!r} are of different weights: {identities}")
    rows = pl.concat(parts).unique("image_id", keep="first", maintain_order=True).sort("image_id")
    if not rows.height:
        raise LabelError(f"none of the {labels.height} labelled images has a vector in {', '.join(roots)}")
    rows = rows.with_columns(pl.Series("part", split(rows["group"].to_list(), seed)))
    return Labelled(rows.drop("vector"), rows["vector"].to_numpy().astype(np.float32), identities[0])


def split(groups: Sequence[str], seed: int) -> list[str]:
    """train, validation or test for every group by its hash: copies and edits of one photo are never on two sides."""
    bounds, names = np.cumsum(list(SHARES.values())), list(SHARES)
    salt = seed.to_bytes(8, "little")
    places = [int.from_bytes(blake2b(group.encode(), digest_size=7, salt=salt).digest()) / 2**56 for group in groups]
    return [names[min(int(np.searchsorted(bounds, place, "right")), len(names) - 1)] for place in places]


def _rows(tables: Tables, shards: list[str], encoder: str, labels: pl.DataFrame) -> pl.DataFrame:
    wanted = labels.lazy()
    vectors = tables.scan("picture_embeddings", shards).select("image_id", pl.col(encoder).alias("vector"))
    files = tables.scan("raw_images", shards).filter(pl.col("status") == "ok")
    sized = files.select(
        "image_id",
        short_side=pl.min_horizontal("width", "height").cast(pl.Float64),
        bits_per_pixel=8 * pl.col("size_bytes") / (pl.col("width") * pl.col("height")),
    ).unique("image_id")
    found = wanted.join(vectors.drop_nulls("vector"), on="image_id").join(sized, on="image_id")
    if tables.catalog.record("duplicate_groups", "all"):
        known = tables.scan("duplicate_groups", ["all"]).select("image_id", "group_id").unique("image_id")
        found = (
            found.join(known, on="image_id", how="left").with_columns(pl.coalesce("group", "group_id")).drop("group_id")
        )
    return found.with_columns(pl.coalesce("group", "image_id")).collect()
