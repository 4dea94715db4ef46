"""Which clusters are worth training on: one row per cluster, with the figure that decided."""

from __future__ import annotations

from typing import Any

import polars as pl

from paris_assets.clusters.schema import CLUSTER_VALUES
from paris_assets.config import Clusters


def valued(
    assignments: pl.LazyFrame | pl.DataFrame, captions: pl.LazyFrame | pl.DataFrame, settings: Clusters
) -> pl.DataFrame:
    """Value ``high`` or ``low`` of every cluster by ``settings.min_images`` and ``settings.min_caption_diversity``.

    Args:
        assignments: ``image_id``, ``cluster``, ``distance`` of the whole set.
        captions: ``image_id``, ``caption``.

    Returns:
        One row per cluster 0 .. k - 1, those without images too: ``cluster`` i32, ``value``, ``reason`` (figure and
        bound), ``images`` i64, ``share`` of all images, ``distinct_captions`` (distinct captions per image, 0 to 1;
        upper and lower case are the same), ``mean_distance``, and ``distance_bound`` f32: the distance of the last
        image that ``settings.keep_fraction`` keeps, counted from the near or the far end (Sorscher et al. 2022: far,
        hard examples when data is abundant, near ones when it is scarce). Null without images, and where all are kept.

    Raises:
        ValueError: assignments to clusters that ``settings.k`` does not have.
    """
    wording = captions.lazy().select("image_id", pl.col("caption").str.strip_chars().str.to_lowercase())
    joined = assignments.lazy().select("image_id", "cluster", "distance").join(wording, on="image_id", how="left")
    figures = (
        joined.group_by("cluster")
        .agg(
            images=pl.len().cast(pl.Int64),
            distinct_captions=pl.col("caption").drop_nulls().n_unique() / pl.len(),
            mean_distance=pl.col("distance").cast(pl.Float64).sort().mean().round_sig_figs(9),
            distance_bound=_bound(settings),
        )
        .collect()
    )
    every = pl.DataFrame({"cluster": range(settings.k)}, schema={"cluster": pl.Int32})
    unknown = figures.join(every, on="cluster", how="anti")["cluster"].sort().to_list()
    if unknown:
        raise ValueError(f"cluster_assignments name clusters {unknown[:5]}, but clusters.k is {settings.k}: redo them")
    table = every.join(figures, on="cluster", how="left").with_columns(pl.col("images").fill_null(0))
    judged = [_value(row, settings) for row in table.iter_rows(named=True)]
    total = max(1, table["images"].sum())
    return table.with_columns(
        share=pl.col("images") / total,
        value=pl.Series([value for value, _ in judged], dtype=pl.String),
        reason=pl.Series([reason for _, reason in judged], dtype=pl.String),
    ).select(CLUSTER_VALUES.select())


def _bound(settings: Clusters) -> pl.Expr:
    """Distance of the last image kept: rank ceil(keep_fraction x images) from the end that is preferred."""
    if settings.keep_fraction == 1:
        return pl.lit(None, pl.Float32)
    # The fraction is widened by less than one image in 10^9, so that 0.1 of 30 images are 3 and not 4.
    rank = (pl.len() * settings.keep_fraction - 1e-9).ceil().cast(pl.Int64).clip(1) - 1
    return pl.col("distance").sort(descending=settings.prefer == "far").get(rank)


def _value(row: dict[str, Any], settings: Clusters) -> tuple[str, str]:
    images, distinct = row["images"], row["distinct_captions"] or 0.0
    if images < max(1, settings.min_images):
        return "low", f"{images} images, fewer than {max(1, settings.min_images)} (clusters.min_images)"
    if distinct < settings.min_caption_diversity:
        bound = settings.min_caption_diversity
        return "low", f"{distinct:.3f} distinct captions per image, below {bound:g} (clusters.min_caption_diversity)"
    return "high", (
        f"{images} images, at least {max(1, settings.min_images)}; {distinct:.3f} distinct captions per image, "
        f"at least {settings.min_caption_diversity:g}"
    )
