"""Concepts: clusters of a pool's vectors, fitted out of memory, and the nearest one of each row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant, UsageError, UserError
from paris_assets.pages.sweep_charts import charts
from paris_assets.pool.pool_rows import BATCH_ROWS, FAULTS, Batch, Pool, batches, laid_out, survey
from paris_assets.pool.schema import CONCEPT_ASSIGNMENTS, CONCEPT_MODEL
from paris_assets.pool.sweep import swept
from paris_assets.pool.sweep_page import PANELS, page
from paris_assets.settings.concept_model import ConceptModel
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards
from paris_assets.vectors.distances import nearest
from paris_assets.vectors.lloyd import k_means_of_rows
from paris_assets.vectors.rows import Rows
from paris_assets.vectors.sweep import recommended

ROWS_PER_CONCEPT, FEWEST, MOST = 10_000, 64, 2_000
DISTINCT_PER_CONCEPT = 8
REPORT = "analysis/concept_sweep.html"


class TooFewRows(UsageError):
    """There are fewer different vectors than concepts asked for."""


class CollapsedConcepts(UserError, BrokenInvariant):
    """A concept holds no row, or all of them."""


class Model(NamedTuple):
    """A fit, concepts by falling size.

    Attributes:
        centroids: (K, D) float32.
        sizes: (K,) int64 rows fitted on.
        inertia: sum of their squared distances.
        distance: mean of their distances.
    """

    centroids: np.ndarray
    sizes: np.ndarray
    inertia: float
    distance: float


def fitted(pool_vectors: Shards, settings: ConceptModel, seed: int) -> Output:
    """`concept_model`; with a sweep its page, too.

    Neither the order of files, shards and rows nor the number of cores changes a bit. Vectors lie in a file meanwhile:
    memory holds some 50 bytes for each row.

    Raises (as its rows are consumed):
        TooFewRows: fewer different vectors than concepts.
        CollapsedConcepts: a concept without rows, or one that holds all.
        UsageError: a feature that the pool lacks.
    """
    output = Output()
    output.rows = _fitted(pool_vectors, settings, seed, output)
    return output


def _fitted(pool: Shards, settings: ConceptModel, seed: int, output: Output) -> Iterator[pl.DataFrame]:
    found = survey(pool, settings.features, seed)
    k = concept_count(settings, found)
    vectors = laid_out(pool, settings.features, found, settings.max_train, output.scratch)
    model = fit(vectors, k, settings.iterations, seed)
    statistics = _statistics(found, model, settings, seed)
    if settings.sweep:
        figures = swept(pool, vectors, {k: model.centroids}, settings, seed)
        statistics["sweep"] = {"figures": figures, **recommended(figures, k, "concepts")._asdict()}
        _publish(output, statistics["sweep"], statistics)
    output.rows_in, output.facts = found.rows, {**statistics, "shards": list(pool.keys)}
    columns = {
        "concept": np.arange(k, dtype=np.int32),
        "rows": model.sizes,
        "statistics": [json.dumps(statistics, sort_keys=True), *[None] * (k - 1)],
    }
    yield pl.DataFrame(columns, schema=CONCEPT_MODEL.fixed()).with_columns(centroid=pl.Series(model.centroids))


def _publish(output: Output, sweep: dict[str, Any], statistics: dict[str, Any]) -> None:
    pictures = charts(sweep, PANELS, "concepts")
    output.add_file(REPORT, page(sweep, statistics, pictures).encode())
    output.links["sweep"] = REPORT
    output.pictures.update({f"analysis/concept_sweep_{name}.png": picture for name, picture in pictures.items()})


def concept_count(settings: ConceptModel, found: Pool) -> int:
    """How many concepts a pool gets.

    Raises:
        TooFewRows: fewer different vectors than that, or than the sweep asks for.
    """
    if not found.distinct:
        raise TooFewRows(
            f"none of the pool's {found.rows} rows has a vector of {' and '.join(settings.features)} "
            f"({_said(found.without)}): look at pool.vectors and the source, or name other pool.concepts.features"
        )
    fitted_on = min(found.distinct, settings.max_train or found.distinct)
    fixed = [] if settings.k == "auto" else [("k", settings.k)]
    for name, wanted in [*fixed, *(("sweep", k) for k in settings.sweep)]:
        if wanted > fitted_on:
            raise TooFewRows(
                f"pool.concepts.{name} is {wanted}, but the pool has only {found.distinct} different vectors to fit on "
                f"({found.rows} rows, max_train {settings.max_train}): lower it, or bring more rows"
            )
    if settings.k != "auto":
        return settings.k
    wanted = min(max(len(found.keys) // ROWS_PER_CONCEPT, FEWEST), MOST)
    return max(1, min(wanted, fitted_on // DISTINCT_PER_CONCEPT))


def _said(without: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in without.items())


def fit(vectors: Rows, k: int, iterations: int, seed: int) -> Model:
    """k-means of (N, D) vectors, then each row's nearest centroid exactly.

    Raises:
        CollapsedConcepts: a concept without rows, or one that holds all.
    """
    centroids = k_means_of_rows(vectors, k, None, iterations, 1, [seed])
    sizes, inertia, distance = np.zeros(k, np.int64), 0.0, 0.0
    for start in range(0, vectors.shape[0], BATCH_ROWS):
        found = nearest(vectors.take(np.arange(start, min(start + BATCH_ROWS, vectors.shape[0]))), centroids)
        sizes += np.bincount(found.labels, minlength=k)
        inertia, distance = inertia + float(found.own.sum()), distance + float(np.sqrt(found.own).sum())
    if (sizes == 0).any() or (k > 1 and sizes.max() == sizes.sum()):
        raise CollapsedConcepts(
            f"{int((sizes == 0).sum())} of {k} concepts hold no rows, the largest {sizes.max()} of {sizes.sum()}: too "
            "many vectors are alike; lower pool.concepts.k, or name other pool.concepts.features"
        )
    order = np.lexsort((*centroids.T[::-1], -sizes))
    return Model(np.ascontiguousarray(centroids[order]), sizes[order], inertia, distance / vectors.shape[0])


def _statistics(found: Pool, model: Model, settings: ConceptModel, seed: int) -> dict[str, Any]:
    trained_on = int(model.sizes.sum())
    return {
        "rows": found.rows,
        "without_vector": found.without,
        "distinct": found.distinct,
        "trained_on": trained_on,
        "features": list(settings.features),
        "dimensions": found.ends[-1],
        "k": len(model.sizes),
        "inertia": model.inertia,
        "mean_distance": model.distance,
        "largest_share": int(model.sizes[0]) / trained_on,
        "smallest": int(model.sizes[-1]),
        "seed": seed,
    }


def assigned(pool_vectors: pl.LazyFrame, concept_model: pl.LazyFrame, settings: ConceptModel) -> Output:
    """`concept_assignments` of one shard: a row depends on its own vector and the model alone, bit for bit.

    Args:
        pool_vectors: of the shard.
        concept_model: of all.
    """
    centroids = np.ascontiguousarray(concept_model.sort("concept").select("centroid").collect()["centroid"].to_numpy())
    output = Output()
    output.rows = _assigned(pool_vectors, centroids, settings, output)
    return output


def _assigned(
    vectors: pl.LazyFrame, centroids: np.ndarray, settings: ConceptModel, output: Output
) -> Iterator[pl.DataFrame]:
    rows, without = 0, dict.fromkeys(FAULTS, 0)
    yield CONCEPT_ASSIGNMENTS.frame()
    for batch in batches(vectors, settings.features):
        rows += batch.frame.height
        without = {reason: count + batch.faults[reason] for reason, count in without.items()}
        yield _placed(batch, centroids)
    output.rows_in, output.facts = rows, {"without_vector": without}


def _placed(batch: Batch, centroids: np.ndarray) -> pl.DataFrame:
    if batch.ends[-1] != centroids.shape[1]:
        raise BrokenInvariant(
            f"vectors of {batch.ends[-1]} dimensions, but concepts of {centroids.shape[1]}: make concept_model again"
        )
    found = nearest(batch.units(), centroids)
    places = pl.DataFrame(
        {
            "source_row": batch.frame["source_row"].filter(batch.known),
            "concept": found.labels,
            "distance": np.sqrt(found.own).astype(np.float32),
            "second_distance": np.sqrt(found.other).astype(np.float32),
        }
    ).with_columns(pl.col("second_distance").fill_nan(None))
    joined = batch.frame.select("source_row").join(places, on="source_row", how="left", maintain_order="left")
    return joined.select(CONCEPT_ASSIGNMENTS.select())
