"""Which rows of the source are worth fetching, and why."""

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.assets import all_asset, shard_asset
from paris_assets.dag.records import Records
from paris_assets.pool.schema import (
    CAPTION_FIGURES,
    CONCEPT_ASSIGNMENTS,
    CONCEPT_EVIDENCE,
    CONCEPT_MODEL,
    CONCEPT_VERDICTS,
    POOL_REPORT,
    POOL_SCORES,
    POOL_SELECTION,
    SELECTION_PROBE,
    SUBSET_FILES,
)
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

# `pool_vectors` is in ingest/assets.py: it reads the source.


def _used(profile: Profile) -> bool:
    return profile.pool.used


def _concepts(profile: Profile) -> bool:
    return profile.pool.used and profile.pool.concepts is not None


def _probed(profile: Profile) -> bool:
    return profile.pool.used and profile.pool.probe is not None


def _judged(profile: Profile) -> bool:
    return _concepts(profile) and profile.pool.judge is not None


@shard_asset(CAPTION_FIGURES, group="pool", kinds={"polars"}, settings=["pool.captions"], used_if=_used, unit="rows")
def caption_figures(profile: Profile, source_rows: pl.LazyFrame) -> Output:
    """What captions look like: length, language, file names, templates, known nouns."""
    from paris_assets.pool.figures import measured

    return measured(source_rows, profile.pool.captions)


@all_asset(
    CONCEPT_MODEL,
    group="pool",
    kinds={"numpy"},
    settings=["pool.concepts", "seed"],
    used_if=_concepts,
    refit_on_settings_only=True,
    data_files=["analysis/concept_sweep.html"],
    pool="fit",
    unit="rows",
)
def concept_model(profile: Profile, pool_vectors: Shards) -> Output:
    """Clusters of the pool's vectors, about one for 10,000 rows: what is judged and pruned, never experts."""
    from paris_assets.pool.concepts import fitted

    assert profile.pool.concepts is not None
    return fitted(pool_vectors, profile.pool.concepts, profile.seed)


@shard_asset(
    CONCEPT_ASSIGNMENTS, group="pool", kinds={"numpy"}, settings=["pool.concepts"], used_if=_concepts, unit="rows"
)
def concept_assignments(profile: Profile, pool_vectors: pl.LazyFrame, concept_model: pl.LazyFrame) -> Output:
    """The nearest concept of each row, and how far it is."""
    from paris_assets.pool.concepts import assigned

    assert profile.pool.concepts is not None
    return assigned(pool_vectors, concept_model, profile.pool.concepts)


@all_asset(
    CONCEPT_EVIDENCE,
    group="pool",
    kinds={"polars"},
    settings=["pool.evidence", "seed"],
    used_if=_concepts,
    unit="rows",
)
def concept_evidence(
    profile: Profile, source_rows: Shards, caption_figures: Shards, concept_assignments: Shards
) -> Output:
    """What stands for each concept: its nearest, furthest and some random captions over the whole pool, and figures."""
    from paris_assets.pool.evidence import gathered

    return gathered(source_rows, caption_figures, concept_assignments, profile.pool.evidence, profile.seed)


@all_asset(
    CONCEPT_VERDICTS, group="pool", kinds={"polars"}, settings=["pool.judge", "seed"], used_if=_judged, unit="concepts"
)
def concept_verdicts(profile: Profile, concept_evidence: pl.LazyFrame) -> Output:
    """Which concepts are worth training on, who says so, and why."""
    from paris_assets.pool.verdicts import judged

    assert profile.pool.judge is not None
    return judged(concept_evidence, profile.pool.judge, profile.seed)


@all_asset(
    POOL_SCORES,
    group="pool",
    kinds={"polars", "numpy"},
    settings=["pool.select", "pool.subsets", "pool.controls", "seed"],
    used_if=_used,
    slice_by="shard",
    unit="rows",
)
def pool_scores(
    profile: Profile,
    source_rows: Shards,
    pool_vectors: Shards | None,
    caption_figures: Shards,
    concept_model: pl.LazyFrame | None,
    concept_assignments: Shards | None,
    concept_verdicts: pl.LazyFrame | None,
) -> Output:
    """Every row of the pool against the steps of the selection and of each subset, over the whole pool."""
    from paris_assets.pool.known import Known
    from paris_assets.pool.scores import scored

    known = Known(source_rows, pool_vectors, caption_figures, concept_model, concept_assignments, concept_verdicts)
    return scored(known, profile.pool, profile.seed)


@shard_asset(POOL_SELECTION, group="pool", kinds={"polars"}, used_if=_used, unit="rows")
def pool_selection(pool_scores: pl.LazyFrame) -> Output:
    """The shard's rows that are fetched, and why the others are not."""
    from paris_assets.pool.selection import selected

    return selected(pool_scores)


@all_asset(
    SUBSET_FILES,
    group="pool",
    kinds={"numpy"},
    settings=["pool.select", "pool.subsets", "seed"],
    used_if=_used,
    unit="rows",
    data_files=["subsets/*"],
)
def subset_files(profile: Profile, records: Records, pool_scores: pl.LazyFrame, raw_images: Shards) -> Output:
    """Lists of uids for DataComp's own tools: the selection, each subset and their random controls."""
    from paris_assets.pool.subsets import written

    record = records.one("pool_scores")
    return written(pool_scores, raw_images, profile.pool, profile.seed, record.facts if record else {})


@all_asset(
    SELECTION_PROBE,
    group="pool",
    kinds={"numpy", "matplotlib"},
    settings=["pool.probe", "seed"],
    used_if=_probed,
    optional_inputs={"pool_vectors": _probed},  # a profile without vectors is told so
    data_files=["analysis/selection_probe.png"],
    pool="fit",
    unit="rows",
)
def selection_probe(
    profile: Profile, source_rows: Shards, pool_vectors: Shards | None, pool_scores: pl.LazyFrame
) -> Output:
    """Whether the selection helps: two linear maps trained on it, on random rows of its size, and on all.

    All see the same number of samples and are measured on the same held-out pairs. A difference is a gain where the
    interval of what pairs of runs differ by is above zero.
    """
    from paris_assets.pool.probe import compared

    assert profile.pool.probe is not None
    return compared(source_rows, pool_vectors, pool_scores, profile.pool.probe, profile.seed)


@all_asset(
    POOL_REPORT,
    group="pool",
    kinds={"polars"},
    settings=["pool.probe", "seed"],
    used_if=_used,
    optional_inputs={
        "concept_model": _concepts,
        "concept_evidence": _concepts,
        "concept_verdicts": _judged,
        "selection_probe": _probed,
    },
    data_files=["analysis/pool_report.html"],
    pages={"Open the report": "analysis/pool_report.html"},
    unit="rows",
)
def pool_report(
    profile: Profile,
    source_rows: Shards,
    pool_scores: pl.LazyFrame,
    subset_files: pl.LazyFrame,
    concept_model: pl.LazyFrame | None,
    concept_evidence: pl.LazyFrame | None,
    concept_verdicts: pl.LazyFrame | None,
    selection_probe: pl.LazyFrame | None,
) -> Output:
    """What was chosen of the pool, and what it is worth: each subset beside random rows of its size.

    The same as a page to read lies in `analysis/pool_report.html`, with a map of the concepts and the pruning curve.
    """
    from paris_assets.pool.report import Found, reported

    concepts = (concept_model, concept_evidence, concept_verdicts)
    found = Found(source_rows, pool_scores, subset_files, *concepts, selection_probe)
    return reported(found, profile.pool.probe, profile.seed)
