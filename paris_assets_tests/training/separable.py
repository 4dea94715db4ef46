"""A small root whose clusters are told apart in a hundred steps, with a text encoder and a VAE of a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from paris_assets.config import Model
from paris_assets.experts.arrays import Sample
from paris_assets_tests.fixtures import training_files as made
from paris_assets_tests.models.cheap import Letters

CHEAP = "paris_assets_tests.models.cheap"
CLUSTERS, TOKENS, SIDE = 2, 12, 8
SETTINGS = {
    "text": {"encoder": {"implementation": f"{CHEAP}:Letters", "batch_size": 4}, "tokens": TOKENS},
    "latents": {"codec": {"implementation": f"{CHEAP}:Blocks", "batch_size": 4}},
}
PADDED = {"text": {"pad": {"side": "right", "value": "states of the encoder"}}}


def stripes(cluster: int, shape: tuple[int, ...]) -> np.ndarray:
    """What the latents of a cluster have in common: 1 and -1, changing downwards or to the right."""
    return np.where(np.indices(shape)[1 + cluster] % 4 < 2, 1.0, -1.0)


def latent(number: int, cluster: int, shape: tuple[int, ...] = (4, SIDE, SIDE)) -> np.ndarray:
    """The stripes of the cluster, and a little of the picture's own."""
    generator = np.random.default_rng(number)
    return (stripes(cluster, shape) + 0.1 * generator.standard_normal(shape)).astype(np.float16)


def sample(number: int, cluster: int) -> Sample:
    """A sample with the text that ``Letters`` makes of its caption."""
    known = made.sample(number).metadata
    caption = f"picture {number}"
    text = Letters(Model(implementation="letters")).encode([caption], TOKENS).embedding[0].astype(np.float16)
    side = int(number // CLUSTERS % 4 == 3)
    told = {**known, "cluster": cluster, "caption": caption, "tokens": len(caption), "split": side}
    return Sample(told, {SIDE * 8: latent(number, cluster)}, text)


def write_root(root: Path, count: int = 24, **format: Any) -> Path:
    """Tars of each cluster, the router's arrays, the empty prompt and a manifest; returns the root."""
    for cluster in range(CLUSTERS):
        samples = [sample(CLUSTERS * number + cluster, cluster) for number in range(count)]
        samples.sort(key=lambda each: each.metadata["image_id"])
        made.write(root, "webdataset", [samples], cluster)
    np.save(root / "expert_shards" / "empty_prompt.npy", np.zeros((TOKENS, Letters.dim), np.float16))
    numbers = range(CLUSTERS * count)
    made.write_router(root / "router_training", len(numbers), CLUSTERS)
    latents = np.stack([latent(number, number % CLUSTERS) for number in numbers])
    np.save(root / "router_training" / "latents.npy", latents)
    manifest = {"files": [], "settings": SETTINGS, "format": {**PADDED, **format}}
    (root / "pipeline_manifest.json").write_text(json.dumps(manifest))
    return root


def arguments(root: Path, out: Path, /, **more: Any) -> list[str]:
    """A trainer's, for a tiny network; ``name=value`` adds ``--name value``."""
    small = {"preset": "tiny", "batch_size": 8, "rate": 3e-3, "warmup": 5, "ema": 0.9, "log_every": 1, "device": "cpu"}
    options = {"root": root, "out": out, **small, "validate_every": 0, **more}
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
