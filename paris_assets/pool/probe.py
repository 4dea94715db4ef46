"""Whether the selection helps: small contrastive models trained on it, on random rows and on all, compared by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from paris_assets.pool.comparisons import METRIC, compared_with_others, curve_of, facts_of
from paris_assets.pool.contrastive import Pairs, recall_at_1, trained
from paris_assets.pool.drawn import random_rows
from paris_assets.pool.held_out import Copies, Split, copies_of, split
from paris_assets.pool.pool_table import HALVES
from paris_assets.pool.probe_chart import chart
from paris_assets.pool.schema import SELECTION_PROBE
from paris_assets.pool.trials import SELECTION, Trial, trials_of
from paris_assets.settings.probe import Probe
from paris_assets.settings.section import ProfileError
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

PICTURE = "analysis/selection_probe.png"
LEAST_BATCHES = 2  # of rows in a subset: with fewer, every step would see nearly all of it
LEAST_TEST = 20
NO_IMAGES = (
    "pool.probe trains on vectors of texts and of images, and pool_vectors has none of {}: let pool.vectors name those "
    "that come with the source, or leave pool.probe out"
)


@dataclass(frozen=True)
class Known:
    """Rows of the pool that are compared on, sorted by uid.

    Attributes:
        rows: `pool_scores`, (n).
        copies: see ``held_out.copies_of``.
    """

    rows: pl.DataFrame
    pairs: Pairs
    copies: Copies


def compared(
    source_rows: Shards, pool_vectors: Shards | None, pool_scores: pl.LazyFrame, settings: Probe, seed: int
) -> Output:
    """Rows of `selection_probe`, the differences with their intervals as the fact ``probe``, and a plot.

    Raises:
        ProfileError: the pool has no vectors of images, the selection no random control or too few rows, or too few
            pairs can be held out.
    """
    columns = () if pool_vectors is None else pool_vectors.frame().collect_schema()
    missing = [name for name in ("text", "image") if name not in columns]
    if pool_vectors is None or missing:
        raise ProfileError(NO_IMAGES.format(" or ".join(missing)))
    chosen = sample(pool_scores, settings.rows, seed)
    output = Output(rows_in=chosen.height, rows_of_models=False)

    def write() -> Iterator[pl.DataFrame]:
        known = read(source_rows, pool_vectors, chosen)
        trials, small = enough(trials_of(known.rows, settings.fractions, seed), settings.batch)
        with threadpool_limits(1):  # several threads would split sums by their number
            table = pl.concat([run_of(known, trials, settings, seed, run) for run in range(settings.seeds)])
        comparisons = compared_with_others(table, settings.confidence)
        facts = facts_of(comparisons, settings.seeds, settings.confidence)
        output.facts["probe"] = facts | {"pool_rows": known.rows.height, "too_small": small}
        output.pictures[PICTURE] = chart(comparisons, curve_of(table, settings.confidence))
        output.add_file(PICTURE, output.pictures[PICTURE])
        yield table

    output.rows = write()
    return output


def sample(pool_scores: pl.LazyFrame, most: int, seed: int) -> pl.DataFrame:
    """At most so many rows of the pool, drawn by uid and seed, sorted by uid."""
    keys = pool_scores.select("source_row", **HALVES).collect(engine="streaming")
    high, low = keys["high"].to_numpy(), keys["low"].to_numpy()
    drawn = random_rows(np.arange(keys.height), high, low, most, seed, "probe")
    wanted = keys.select(pl.col("source_row").gather(drawn)).lazy()
    rows = pool_scores.drop("shard", "reason", "value").join(wanted, on="source_row", how="semi")
    return rows.collect(engine="streaming").sort("uid", "source_row")


def read(source_rows: Shards, pool_vectors: Shards, chosen: pl.DataFrame) -> Known:
    """Vectors and copies of the chosen rows; those that lack a vector are left out. One shard is read at a time."""
    wanted = chosen.lazy().select("source_row")

    def of(tables: Shards, *columns: str) -> pl.DataFrame:
        parts = [
            tables[key].select("source_row", *columns).join(wanted, on="source_row", how="semi").collect()
            for key in tables.keys
        ]
        return pl.concat(parts)

    vectors = of(pool_vectors, "text", "image").drop_nulls()
    rows = chosen.join(vectors, on="source_row", how="inner", maintain_order="left")
    captions = of(source_rows, "text").rename({"text": "caption"})
    told = rows.select("source_row").join(captions, on="source_row", how="left", maintain_order="left")
    text, image = rows["text"].to_numpy(), rows["image"].to_numpy()
    return Known(rows.drop("text", "image"), Pairs.of(text, image), copies_of(told["caption"], image))


def enough(trials: Sequence[Trial], batch: int) -> tuple[list[Trial], dict[str, int]]:
    """The trials with rows for a training, and name -> rows of the subsets without.

    Raises:
        ProfileError: the selection itself has too few.
    """
    least = LEAST_BATCHES * batch
    small = {trial.name: int(trial.holds.sum()) for trial in trials if trial.holds.sum() < least}
    if SELECTION in small:
        raise ProfileError(
            f"the selection holds {small[SELECTION]} rows that pool.probe can train on, and needs {least}: select "
            f"more, raise pool.probe.rows, or lower pool.probe.batch (it is {batch})"
        )
    kept = [trial for trial in trials if trial.holds.sum() >= least]
    return kept, {name: rows for name, rows in small.items() if name not in {trial.name for trial in kept}}


def run_of(known: Known, trials: Sequence[Trial], settings: Probe, seed: int, run: int) -> pl.DataFrame:
    """Rows of one run: every trial trained and measured on the same held-out pairs, from the same start.

    Raises:
        ProfileError: too few pairs are held out.
    """
    own = seed * 1000 + run
    parts = split(known.copies, known.pairs, settings.held_out, own)
    if len(parts.test) < LEAST_TEST:
        raise ProfileError(
            f"pool.probe can hold out {len(parts.test)} pairs that are no copies of others, and needs {LEAST_TEST}: "
            "the pool is too small, or too much of it repeats"
        )
    rows = []
    seen: dict[bytes, float] = {}  # of equal rows: subsets of one size share their random controls
    sizes: dict[tuple[str, float | None], int] = {}  # subsets come before their controls
    for trial in trials:
        own_rows = trial.rows(parts.train, sizes.get((trial.control_of or "", trial.fraction)))
        if trial.control_of is None:
            sizes[trial.name, trial.fraction] = len(own_rows)
        key = own_rows.tobytes()
        if key not in seen:
            seen[key] = _measured(known, own_rows, parts, settings, own)
        names = {"subset": trial.name, "control_of": trial.control_of, "fraction": trial.fraction}
        rows.append(names | {"seed": run, "rows": len(own_rows), "metric": METRIC, "value": seen[key]})
    return SELECTION_PROBE.frame(rows)


def _measured(known: Known, rows: np.ndarray, parts: Split, settings: Probe, seed: int) -> float:
    """Recall on the held-out pairs after a training on some rows."""
    maps = trained(known.pairs, rows, settings, seed)
    texts, images = (side.read(parts.test) for side in (known.pairs.text, known.pairs.image))
    return recall_at_1(maps.texts(texts), maps.images(images))
