"""Written files of three experts whose latents differ as those of photographs do: a pattern of each cluster under much
that all share. And the ways in which files of a pipeline can be wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import Profile
from paris_assets.experts.arrays import Sample
from paris_assets.models.registry import Models
from paris_assets.profiles import load_profile
from paris_assets.proof.proved import proved
from paris_assets.proof.schema import TRAINING_PROBE
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets_tests.fixtures import training_files

EXPERTS, SHAPE, RESOLUTION = 3, (4, 8, 8), 64
QUICK = TrainingProbe(
    patches=4, width=32, depth=1, batch=32, steps=80, expert_steps=20, router_steps=60, pictures=2, sampling_steps=4
)


class World(NamedTuple):
    """Images before they are written, sorted by image_id; of each two a duplicate group."""

    names: list[str]
    groups: list[str]
    labels: np.ndarray
    latents: np.ndarray


class Found(NamedTuple):
    """What a proof gave: its table, its figures, and its files by path."""

    table: pl.DataFrame
    figures: dict[str, Any]
    files: dict[str, bytes]


def world(count: int = 240, seed: int = 0) -> World:
    """Latents (N, 4, 8, 8) float16: slow waves over the picture, of which half the variance is the cluster's own."""
    drawn = np.random.default_rng(seed)
    labels = np.arange(count) // 2 % EXPERTS
    waves = np.cos(np.pi * np.outer(np.arange(2), (np.arange(8) + 0.5) / 8))
    own, each = drawn.standard_normal((EXPERTS, 4, 2, 2)), drawn.standard_normal((count, 4, 2, 2))
    latents = np.einsum("ncij,iy,jx->ncyx", own[labels] + each, waves, waves)
    latents += 0.1 * drawn.standard_normal(latents.shape)
    names = [hashlib.sha256(f"{seed} {number}".encode()).hexdigest()[:32] for number in range(count)]
    order = np.argsort(names)
    groups = [names[number // 2 * 2] for number in range(count)]
    return World(
        [names[at] for at in order], [groups[at] for at in order], labels[order], latents[order].astype(np.float16)
    )


def write(root: Path, made: World, format: str = "webdataset") -> Path:
    """Files of all experts and of the router."""
    for cluster in range(EXPERTS):
        rows = np.flatnonzero(made.labels == cluster).tolist()
        training_files.write(root, format, [[_sample(made, row) for row in rows]], cluster)
    folder = root / "router_training"
    folder.mkdir()
    arrays = {
        "latents": made.latents,
        "labels": made.labels.astype(np.int64),
        "image_ids": np.array(made.names, "S32"),
        "split": np.zeros(len(made.names), np.uint8),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return root


def _sample(made: World, row: int) -> Sample:
    known = training_files.sample(row).metadata
    own = {
        "image_id": made.names[row],
        "group_id": made.groups[row],
        "cluster": int(made.labels[row]),
        "upscaled": False,
    }
    return Sample(known | own, {RESOLUTION: made.latents[row]}, training_files.sample(row).text)


def manifest(made: World, room: str = "expert_shards") -> pl.LazyFrame:
    """What rows of `pipeline_manifest` say of the files."""
    counts = np.bincount(made.labels, minlength=EXPERTS).tolist()
    paths = [f"{room}/cluster_{cluster}/00000-00000.tar" for cluster in range(EXPERTS)]
    return pl.LazyFrame({"path": [*paths, "router_training/labels.npy"], "samples": [*counts, None]})


def profile(**settings: Any) -> Profile:
    """Under which such files would be written."""
    codec = {"implementation": "paris_assets_tests.models.cheap:Blocks", "batch_size": 4}
    return load_profile("demo", {"latents.codec": codec, "latents.resolutions": [RESOLUTION], **settings})


def prove(root: Path, made: World, scratch: Path, settings: TrainingProbe = QUICK) -> Found:
    """The proof of written files."""
    output = proved(str(root), manifest(made), profile(), settings, Models())
    scratch.mkdir(exist_ok=True)
    output.scratch = scratch
    assert not callable(output.rows)
    (table,) = (chunk for chunk in output.rows if isinstance(chunk, pl.DataFrame))
    TRAINING_PROBE.require(table.schema, "training_probe")
    return Found(table, output.facts["probe"], {path: file.read_bytes() for path, file in output.files.items()})


def shuffled_labels(made: World) -> World:
    """Clusters in another order than the images."""
    return made._replace(labels=np.random.default_rng(1).permutation(made.labels))


def other_latents(made: World) -> World:
    """Latents of other images."""
    return made._replace(latents=np.random.default_rng(2).permutation(made.latents))


def labels_by_order(made: World) -> World:
    """Clusters by place in the list, as a reader that lost count would give them."""
    return made._replace(labels=np.arange(len(made.labels)) % EXPERTS)


def noise_for_latents(made: World) -> World:
    """Noise where latents should be."""
    noise = np.random.default_rng(3).standard_normal(made.latents.shape)
    return made._replace(latents=noise.astype(np.float16))


DEFECTS: dict[str, Callable[[World], World]] = {
    each.__name__: each for each in (shuffled_labels, other_latents, labels_by_order, noise_for_latents)
}
