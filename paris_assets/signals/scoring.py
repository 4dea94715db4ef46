"""Scores of a shard, where earlier rows of the same scorers may be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from paris_assets.config import Model
from paris_assets.images.reader import ShardImages
from paris_assets.models.batches import BatchStats
from paris_assets.models.registry import Models
from paris_assets.signals.scores import score
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def scored(
    passing: pl.Series, measured: int, images: ShardImages, scorers: Mapping[str, Model], models: Models
) -> Output:
    """Rows of `content_scores`.

    Args:
        passing: image_ids worth scoring, sorted.
        measured: images of the shard, scored or not.
        scorers: column -> network.
    """
    output, stats = Output(rows_in=measured, rejects={"not_scored": measured - len(passing)}), BatchStats()

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        networks = {column: models.load(settings) for column, settings in sorted(scorers.items())}
        yield from score(images.read(missing), networks, stats=stats)
        output.facts["models"] = {f"scores.{column}": network.identity() for column, network in networks.items()}
        output.note_halved(stats.halved)

    output.rows = lambda previous: reuse_rows(passing.to_frame(), previous, compute)
    return output
