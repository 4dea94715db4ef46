"""Verdicts of one shard: rules on the file and its signals, then rules on scores, then shares of the whole set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import polars as pl

from paris_assets.config import Curation
from paris_assets.curation.image_lists import listed
from paris_assets.curation.schema import FILTERED_IMAGES, SCORE_QUANTILES
from paris_assets.rules.columns import SOURCE_SCORES, measured_images, with_derived
from paris_assets.rules.listed import Listed
from paris_assets.rules.quantiles import ranked, resolve
from paris_assets.rules.tiers import tiers_of
from paris_assets.rules.verdicts import judge
from paris_assets.settings.curation import PRUNED
from paris_assets.storage.output import Output


class Measured(NamedTuple):
    """What is known of one shard's images.

    Attributes:
        sources: `source_rows`.
        ledger: `raw_images`.
        signals: `image_signals`.
        scores: `content_scores`, or None under a profile without scorers.
    """

    sources: pl.LazyFrame
    ledger: pl.LazyFrame
    signals: pl.LazyFrame
    scores: pl.LazyFrame | None


def verdicts(measured: Measured, settings: Curation, quantiles: pl.LazyFrame | None = None) -> pl.DataFrame:
    """Columns of `filtered_images` for every fetched image of one shard, sorted by image_id.

    Args:
        quantiles: `score_quantiles`, or None under a profile without quantile rules.

    Raises:
        ListError: a list of images to prune is none.
    """
    seen, verdict = _by_own_row(measured, settings)
    if quantiles is not None:
        by_rank = judge(_kept(seen, verdict), ranked(settings.quantile_rules, quantiles.collect()))
        verdict = pl.concat([verdict.filter(~pl.col("kept")), by_rank])
    if settings.tiers:
        tiers = tiers_of(_kept(seen, verdict), settings.tiers)
        verdict = verdict.join(tiers, on="image_id", how="left")
    if settings.prune:
        said = listed(settings.prune).select("image_id", prune_reason="reason")
        verdict = verdict.join(said, on="image_id", how="left")
    return verdict.sort("image_id").select(FILTERED_IMAGES.select(without=_absent(settings)))


def _absent(settings: Curation) -> list[str]:
    """Columns that a profile does without."""
    tiers = [] if settings.tiers else ["tier", "stopped_by"]
    return [*tiers, *([] if settings.prune else ["prune_reason"])]


def quantiles(shards: Sequence[str], measured: Callable[[str], Measured], settings: Curation) -> Output:
    """Rows of `score_quantiles`: what bounds the shares of the quantile rules, over all shards.

    Args:
        shards: to rank together.
        measured: what is known of a shard's images.
    """

    def population(shard: str) -> pl.DataFrame:
        seen, verdict = _by_own_row(measured(shard), settings)
        columns = sorted({rule.column for rule in settings.quantile_rules})
        return _kept(seen, verdict).select("image_id", *columns).collect()

    images = pl.concat([population(shard) for shard in shards])
    rows = SCORE_QUANTILES.frame(resolve(images.lazy(), settings.quantile_rules))
    return Output(rows=[rows], rows_in=images.height, facts={"shards": list(shards), "quantiles": rows.to_dicts()})


def judged(measured: Measured, verdicts: pl.LazyFrame) -> pl.LazyFrame:
    """Every fetched image of a shard with its verdict and all that rules see; what was not measured is null.

    Args:
        verdicts: `filtered_images` of the shard.
    """
    images = with_derived(measured_images(measured.ledger, measured.signals))
    return _with_scores(images, measured).join(verdicts, on="image_id")


def _by_own_row(measured: Measured, settings: Curation) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Images with all that rules see, those that fail on their signals left out; and verdicts, of all images, by the
    rules that need no other image."""
    images = measured_images(measured.ledger, measured.signals)
    pruned = [Listed(PRUNED, listed(settings.prune)["image_id"])] if settings.prune else []
    first = judge(images, [*pruned, *settings.signal_rules])
    scored = _with_scores(_kept(images, first), measured)
    lowest = settings.tiers[0].rules if settings.tiers else []
    second = judge(scored, [*settings.score_rules, *lowest])
    return scored, pl.concat([first.filter(~pl.col("kept")), second])


def _with_scores(images: pl.LazyFrame, measured: Measured) -> pl.LazyFrame:
    """With scores of the profile, and the source's: one of the profile stands in place of the source's of its name."""
    scored = images if measured.scores is None else images.join(measured.scores, on="image_id", how="left")
    own = scored.collect_schema()
    listed = measured.sources.select("source_row", *(name for name in SOURCE_SCORES if name not in own))
    return scored.join(listed, on="source_row", how="left")


def _kept(images: pl.LazyFrame, verdict: pl.DataFrame) -> pl.LazyFrame:
    return images.join(verdict.lazy().filter("kept").select("image_id"), on="image_id", how="semi")
