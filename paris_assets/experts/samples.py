"""The training samples of one shard: everything about an image that goes into expert tars and router arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from paris_assets.errors import BrokenInvariant
from paris_assets.storage.output import Output

COLUMNS = (
    "image_id",
    "uid",
    "group_id",
    "url",
    "caption",
    "captioner",
    "caption_kind",
    "captions",
    "source_text",
    "original_width",
    "original_height",
    "crop_top",
    "crop_left",
    "upscaled",
    "aesthetic",
    "cluster",
    "fine_cluster",
    "distance",
    "second_distance",
    "split",
)
WEIGHED = ("weight", "concepts")


def sample_columns(*, tiers: bool, boosts: bool, weighted: bool, placed: Iterable[str] = ()) -> list[str]:
    """Columns of samples, under a profile with tiers, lists of boosted images and sampling weights, or without.

    Args:
        placed: columns of `latents` that say how an image was cropped.
    """
    more = [name for name in placed if name not in COLUMNS]
    return [
        *COLUMNS,
        *more,
        *(["tier"] if tiers else []),
        *(["boost"] if boosts else []),
        *(WEIGHED if weighted else []),
    ]


@dataclass
class SampleTables:
    """The tables of one shard that samples are joined from, each with one row per image_id."""

    curated: pl.LazyFrame
    captions: pl.LazyFrame
    assignments: pl.LazyFrame
    selection: pl.LazyFrame
    latents: pl.LazyFrame
    split: pl.LazyFrame
    weights: pl.LazyFrame | None = None


class LostRows(BrokenInvariant):
    """A join by image_id lost rows that must be there."""


def sample_table(tables: SampleTables) -> pl.DataFrame:
    """One row (``sample_columns``, and ``kinds`` of the captions) per training sample, sorted by image_id: selected
    images that have a latent and a valid caption.

    Raises:
        LostRows: a selected image without caption, assignment, curated row, weight or side of the split.
    """
    chosen = tables.selection.filter("selected").select("image_id")
    placed = [name for name in tables.latents.collect_schema() if not name.startswith("latent_")]
    wanted = chosen.join(tables.latents.select(placed), on="image_id")
    if tables.weights is not None:
        wanted = wanted.join(tables.weights.select("image_id", *WEIGHED), on="image_id", how="left")
    known = tables.curated.collect_schema()
    columns = sample_columns(
        tiers="tier" in known, boosts="boost" in known, weighted=tables.weights is not None, placed=placed
    )
    joined = (
        wanted.join(tables.curated, on="image_id", how="inner")
        .join(captions_of(tables.captions), on="image_id", how="inner")
        .join(tables.assignments, on="image_id", how="inner")
        .join(tables.split.select("image_id", "split"), on="image_id", how="left")
        .rename({"width": "original_width", "height": "original_height"})
        .sort("image_id")
        .select(*columns, "kinds")
        .collect()
    )
    count = wanted.select(pl.len()).collect().item()
    if joined.height != count or joined["image_id"].n_unique() != count:
        raise LostRows(f"{count} selected images with latents, but {joined.height} after joining captions and clusters")
    samples = joined.filter(pl.col("caption") != "")
    if undecided := samples["split"].null_count():
        raise LostRows(f"{undecided} of {samples.height} samples have no row in training_split")
    if tables.weights is not None and (weightless := samples["weight"].null_count()):
        raise LostRows(f"{weightless} of {samples.height} samples have no row in sampling_weights")
    return samples


def captions_of(captions: pl.LazyFrame) -> pl.LazyFrame:
    """What samples say of their captions, of rows of `captions`."""
    return captions.select("image_id", "caption", "captioner", "source_text", "kinds", "captions", caption_kind="kind")


def chosen_samples(tables: SampleTables) -> tuple[pl.DataFrame, Output]:
    """The training samples of a shard (``sample_table``), and an output that counts what is left out."""
    samples = sample_table(tables)
    rejects = left_out(tables, samples.height)
    return samples, Output(rows_in=samples.height + sum(rejects.values()), rejects=rejects)


def left_out(tables: SampleTables, published: int) -> dict[str, int]:
    """Reason -> images of the shard that are in no sample."""
    selection = tables.selection.select("image_id", "selected").collect()
    chosen = selection.filter("selected")
    placed = chosen.join(tables.latents.select("image_id").collect(), on="image_id", how="semi").height
    counts = {
        "not_selected": selection.height - chosen.height,
        "no_latent": chosen.height - placed,
        "no_valid_caption": placed - published,
    }
    return {reason: count for reason, count in counts.items() if count}
