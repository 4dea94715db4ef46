"""What all experiments share: the written files of a run, grouped by photo, and the vectors that were clustered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.cli import main as paris
from paris_assets.clusters.assignment import assign
from paris_assets.clusters.features import collect, vectors
from paris_assets.clusters.kmeans import fit
from paris_assets.config import Clusters
from paris_assets.proof.folds import folds_of
from paris_assets.proof.written import Written, read_written
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets.storage.shards import Shards

PROFILE = Path(__file__).with_name("proof.yaml")


class Base(NamedTuple):
    """Images sorted by image_id.

    Attributes:
        written: its groups are those of photos, not of the run's duplicates.
        vectors: (N, D) float32, normalised.
        folds: (N,) 0 for pieces of held-out photos, else -1: the same for all experiments.
    """

    written: Written
    vectors: np.ndarray
    folds: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """Positions of what is trained on."""
        return np.flatnonzero(self.folds < 0)

    @property
    def held_out(self) -> np.ndarray:
        """Positions of what is measured."""
        return np.flatnonzero(self.folds == 0)


def make_root(table: Path, root: Path, settings: Sequence[str] = ()) -> None:
    """Run the profile of this tool. Raises RuntimeError when the run fails; what is done already is not done again."""
    chosen = [part for setting in settings for part in ("--set", setting)]
    if paris(["run", "--profile", str(PROFILE), "--source", str(table), "--root", str(root), *chosen]):
        raise RuntimeError(f"`paris run` of {root} failed: its last lines say why")


def read_base(root: Path, known: pl.DataFrame, settings: TrainingProbe, seed: int) -> Base:
    """What the run published, and which photos are held out.

    Args:
        known: ``image_id`` and ``group`` of all pieces.
    """
    counts = json.loads((root / "pipeline_manifest.json").read_text())["images_per_cluster"]
    samples = {int(cluster): count for cluster, count in counts.items()}
    written = read_written(str(root), samples, None, settings.images, False, root / ".scratch")
    of_photo = dict(known.select("image_id", "group").iter_rows())
    written = replace(written, groups=[of_photo[image_id] for image_id in written.image_ids])
    embeddings = Shards.of({"": pl.scan_parquet(root / "image_embeddings" / "*.parquet")})
    matrix = collect(vectors(embeddings, None), written.image_ids, Clusters())
    one = np.zeros(len(written.image_ids), np.int64)
    return Base(written, matrix, folds_of(written.groups, one, settings.held_out, 1, seed))


def clustered(base: Base, k: int, seed: int) -> pl.DataFrame:
    """Rows of `cluster_assignments`, by a fit with the settings of the profile `demo` but for k."""
    return assign(base.written.image_ids, base.vectors, fit(base.vectors, Clusters(k=k), seed))


def with_experts(written: Written, labels: np.ndarray) -> Written:
    """The same images for other experts.

    Args:
        labels: (N,) 0 .. K - 1, in the order of image_ids.
    """
    labels = labels.astype(np.int64)
    return replace(written, clusters=np.unique(labels).tolist(), experts=labels, router_experts=labels)
