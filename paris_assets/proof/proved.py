"""The proof as a whole: files are read, networks trained, held-out images measured, and a report written."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from paris_assets.config import Profile
from paris_assets.models.registry import Models
from paris_assets.models.threads import one_thread
from paris_assets.proof.controls import controls
from paris_assets.proof.findings import figures_of
from paris_assets.proof.folds import folds_of, groups_of_experts, too_few
from paris_assets.proof.measured import held_out_rows, measured
from paris_assets.proof.networks import train_networks
from paris_assets.proof.report import chart, page, refusal
from paris_assets.proof.sampled_pictures import decoded, sampled_latents
from paris_assets.proof.schema import TRAINING_PROBE
from paris_assets.proof.written import Written, read_written
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets.storage.output import Output

CHART, PAGE, FIGURES = (f"analysis/training_probe.{end}" for end in ("png", "html", "json"))
_OF_EXPERT = re.compile(r"expert_(?:shards|mds)/cluster_(\d+)/")


def proved(where: str, manifest: pl.LazyFrame, profile: Profile, settings: TrainingProbe, models: Models) -> Output:
    """Rows of `training_probe`, its figures as the fact ``probe``, and the report as HTML, PNG and JSON.

    Where there are too few duplicate groups nothing is trained: the table is empty, and fact, HTML and JSON say why.

    Args:
        where: the root, a path or an fsspec URL.
        manifest: `pipeline_manifest`.

    Raises:
        MissingFiles, CorruptSample, BadArrays, UsageError: what was written cannot be read.
    """
    samples = samples_of(manifest)
    output = Output(rows_in=sum(samples.values()), rows_of_models=False)

    def write() -> Iterator[pl.DataFrame]:
        if not samples:
            yield _refused(output, "no expert has samples", None)
            return
        size = profile.router_resolution
        resolution = None if size == min(profile.latents.resolutions) else size
        written = read_written(where, samples, resolution, settings.images, settings.text, output.scratch / "arrays")
        if reason := too_few(written.groups, written.experts):
            yield _refused(output, reason, written.version)
            return
        with one_thread(), threadpool_limits(1):
            folds = folds_of(written.groups, written.experts, settings.held_out, settings.folds, profile.seed)
            table, known, pictures = trained_and_measured(written, folds, settings, profile.seed)
            figures = {**known, **figures_of(table, known, settings.confidence, profile.seed)}
        codec = models.load(profile.latents.codec)
        shown = decoded(pictures, codec, codec.batch_size) if settings.pictures else {}
        picture = chart(figures)
        output.facts["probe"] = figures
        output.pictures[CHART] = picture
        output.add_file(CHART, picture)
        output.add_file(PAGE, page(figures, picture, shown, settings).encode())
        output.add_file(FIGURES, _as_json(figures))
        yield table

    output.rows = write()
    return output


def samples_of(manifest: pl.LazyFrame) -> dict[int, int]:
    """Cluster -> samples in one format of its published files, by rows of `pipeline_manifest`."""
    counts: dict[str, Counter[int]] = {}
    for path, count in manifest.select("path", "samples").drop_nulls("samples").collect().iter_rows():
        if found := _OF_EXPERT.match(path):
            counts.setdefault(path.partition("/")[0], Counter())[int(found[1])] += count
    return dict(max(counts.values(), key=lambda of_format: of_format.total(), default=Counter[int]()))


def _refused(output: Output, reason: str, version: str | None) -> pl.DataFrame:
    """No row; the page and the figures, which the manifest names, say why."""
    output.facts["probe"] = figures = {"refused": reason, "manifest": version}
    output.add_file(PAGE, refusal(figures).encode())
    output.add_file(FIGURES, _as_json(figures))
    return TRAINING_PROBE.frame()


def _as_json(figures: dict[str, Any]) -> bytes:
    return (json.dumps(figures, indent=1, sort_keys=True) + "\n").encode()


def trained_and_measured(
    written: Written, folds: np.ndarray, settings: TrainingProbe, seed: int
) -> tuple[pl.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
    """Rows of `training_probe`, what is known of all hold-outs, and sampled latents of the first.

    Args:
        folds: (N,) of `folds_of`; every expert has images that each hold-out leaves for training.
    """
    tables, of_folds, pictures = list[pl.DataFrame](), list[dict[str, Any]](), dict[str, np.ndarray]()
    finite = True
    for fold, train, rows in held_out_rows(folds):
        networks = train_networks(written, train, settings, seed * 1000 + fold * 100)
        tables.append(measured(written, rows, networks, fold, settings.draws, seed))
        finite = finite and networks.finite
        of_folds.append({"clipped": networks.clipped, "without_training": controls(written, train, rows, seed)})
        if settings.pictures and not pictures:
            pictures = sampled_latents(written, rows[_spread(rows, settings.pictures)], networks, settings, seed)
    groups = groups_of_experts(written.groups, written.experts)
    trained = [_groups_in(written, train) for _, train, _ in held_out_rows(folds)]
    known = {
        "manifest": written.version,
        "samples": len(written.image_ids),
        "clusters": written.clusters,
        "groups": {str(written.clusters[expert]): count for expert, count in groups.items()},
        "trained_groups": {str(written.clusters[expert]): min(each[expert] for each in trained) for expert in groups},
        "finite": finite,
        **{name: _means([each[name] for each in of_folds]) for name in ("clipped", "without_training")},
    }
    return pl.concat(tables).sort("image_id", "t"), known, pictures


def _groups_in(written: Written, rows: np.ndarray) -> dict[int, int]:
    return groups_of_experts([written.groups[row] for row in rows], written.experts[rows])


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    return np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int))


def _means(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
