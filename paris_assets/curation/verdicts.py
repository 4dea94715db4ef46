"""Verdicts of one shard: rules on the file and its signals, then rules on scores."""

from __future__ import annotations

import polars as pl

from paris_assets.config import Curation
from paris_assets.rules.columns import SOURCE_SCORES, measured_images
from paris_assets.rules.verdicts import judge


def verdicts(
    sources: pl.LazyFrame,
    ledger: pl.LazyFrame,
    signals: pl.LazyFrame,
    scores: pl.LazyFrame | None,
    settings: Curation,
) -> pl.DataFrame:
    """Columns of `filtered_images` for every fetched image of one shard, sorted by image_id.

    Args:
        scores: `content_scores` of the shard, or None under a profile without scorers.
    """
    images = measured_images(ledger, signals)
    first = judge(images, settings.signal_rules)
    passed = first.filter("kept").select("image_id")
    left = images.join(passed.lazy(), on="image_id", how="semi")
    scored = left if scores is None else left.join(scores, on="image_id", how="left")
    own = scored.collect_schema()  # a score of the profile stands in place of the source's of the same name
    listed = sources.select("source_row", *(name for name in SOURCE_SCORES if name not in own))
    scored = scored.join(listed, on="source_row", how="left")
    second = judge(scored, settings.score_rules)
    return pl.concat([first.filter(~pl.col("kept")), second]).sort("image_id")
