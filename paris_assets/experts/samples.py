"""The training samples of one shard: everything about an image that goes into expert tars and router arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant
from paris_assets.storage.output import Output

COLUMNS = (
    "image_id",
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


def sample_columns(*, tiers: bool, boosts: bool, weighted: bool) -> list[str]:
    """Columns of samples, under a profile with tiers, lists of boosted images and sampling weights, or without."""
    return [*COLUMNS, *(["tier"] if tiers else []), *(["boost"] if boosts else []), *(WEIGHED if weighted else [])]


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
    placed = tables.latents.select("image_id", "upscaled", "crop_top", "crop_left")
    wanted = chosen.join(placed, on="image_id")
    if tables.weights is not None:
        wanted = wanted.join(tables.weights.select("image_id", *WEIGHED), on="image_id", how="left")
    known = tables.curated.collect_schema()
    columns = sample_columns(tiers="tier" in known, boosts="boost" in known, weighted=tables.weights is not None)
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


def array_rows(table: pl.LazyFrame, column: str, image_ids: pl.Series, rows: int) -> Iterator[np.ndarray]:
    """Arrays of one column for ``image_ids`` in their order, at most ``rows`` at a time, so memory stays bounded.

    Raises:
        LostRows: an id without a row.
    """
    if not len(image_ids):
        yield table.select(column).head(0).collect()[column].to_numpy()
    for start in range(0, len(image_ids), rows):
        wanted = image_ids.slice(start, rows)
        low, high = wanted[0], wanted[-1]
        found = (
            table.filter(pl.col("image_id").is_between(pl.lit(low), pl.lit(high)))
            .select("image_id", column)
            .collect()
            .sort("image_id")
        )
        found = found.join(pl.DataFrame({"image_id": wanted}), on="image_id", how="semi").sort("image_id")
        if found.height != len(wanted):
            raise LostRows(f"{len(wanted) - found.height} of {len(wanted)} images have no {column}, first id {low}")
        yield found[column].to_numpy()
