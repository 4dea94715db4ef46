"""Which caption of an image is trained on, and which others it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from paris_assets.captions.schema import CAPTIONS
from paris_assets.captions.validity import REPEATED


def chosen(kinds: pl.DataFrame, images: pl.DataFrame, train: Sequence[str]) -> pl.DataFrame:
    """Rows of `captions`: of every image the first valid caption in the order of ``train``.

    Args:
        kinds: rows of `caption_kinds`.
        images: ``image_id``, distinct and sorted, and ``source_text``.
        train: kinds, the preferred first.

    Returns:
        An image without a valid caption of these kinds has an empty one and no ``kind``, and ``captioner`` is who was
        asked last: it goes into no sample, and ``invalid`` says why.
    """
    valid = pl.col("reason").is_null()
    place = pl.col("kind").replace_strict({kind: place for place, kind in enumerate(train)}, default=None)
    rank = pl.when(valid).then("place").otherwise(2 * len(train) - pl.col("place"))
    ranked = kinds.with_columns(place=place.cast(pl.Int64)).drop_nulls("place").sort("image_id", rank)
    best = ranked.unique("image_id", keep="first", maintain_order=True).select(
        "image_id", "captioner", kind=pl.when(valid).then("kind"), caption=pl.when(valid).then("caption")
    )
    ordered = kinds.sort("image_id", "kind")
    of_image = (
        ordered.filter(valid).group_by("image_id").agg(kinds="kind", captions="caption", captioners="captioner"),
        ordered.filter(~valid).group_by("image_id").agg(invalid="kind", reasons="reason"),
    )
    rows = images.select("image_id", "source_text")
    for found in (best, *of_image):
        rows = rows.join(found, on="image_id", how="left", maintain_order="left")
    lists = pl.col("kinds", "captions", "captioners", "invalid", "reasons")
    filled = rows.with_columns(pl.col("caption").fill_null(""), lists.fill_null([]))
    return filled.select(CAPTIONS.select())


def without_repeated(kinds: pl.DataFrame, repeated: pl.DataFrame) -> pl.DataFrame:
    """Rows of `caption_kinds` where those that `repeated_captions` names are invalid."""
    marked = repeated.select("image_id", "kind", again=pl.lit(REPEATED))
    joined = kinds.join(marked, on=["image_id", "kind"], how="left", maintain_order="left")
    return joined.with_columns(reason=pl.coalesce("reason", "again")).drop("again")


def valid_and_not(captions: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Kind -> ``valid`` and the reasons of those that are not -> captions of it, in rows of `captions`."""
    valid = captions.select(kind=pl.col("kinds").explode(), reason=pl.lit("valid"))
    invalid = captions.select(pl.col("invalid", "reasons").explode()).rename({"invalid": "kind", "reasons": "reason"})
    counted = pl.concat([valid, invalid]).drop_nulls("kind").group_by("kind", "reason").len().sort("kind", "reason")
    found: dict[str, Counter[str]] = {}
    for kind, reason, count in counted.iter_rows():
        found.setdefault(kind, Counter({"valid": 0}))[reason] = count
    return {kind: dict(counts) for kind, counts in found.items()}
