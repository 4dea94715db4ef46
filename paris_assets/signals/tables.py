"""The tables of this stage that reuse earlier rows."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from paris_assets.dag.store import Store
from paris_assets.models.batches import BatchStats
from paris_assets.rules.verdicts import passing_signals
from paris_assets.signals.scores import score
from paris_assets.storage.output import Output
from paris_assets.storage.reuse import reuse_rows


def content_scores(store: Store, shard: str, ledger: pl.LazyFrame, signals: pl.LazyFrame) -> Output:
    """Model scores of the shard's images that pass the rules on signals."""
    profile, stats = store.profile, BatchStats()
    passed = passing_signals(ledger, signals, profile.curation).to_frame()
    total = signals.select(pl.len()).collect().item()
    output = Output(rows_in=total, rejects={"not_scored": total - passed.height})

    def compute(missing: pl.DataFrame) -> Iterator[pl.DataFrame]:
        models = {column: store.model(settings) for column, settings in sorted(profile.scores.items())}
        yield from score(store.images(shard, missing), models, stats=stats)
        output.facts["models"] = {f"scores.{column}": model.identity() for column, model in models.items()}
        output.note_halved(stats.halved)

    output.rows = reuse_rows(passed, store.previous_rows("content_scores", shard), compute)
    return output
