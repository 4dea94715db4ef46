"""What each network predicts for held-out images, all of them at the same noise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl
import torch
from torch import Tensor

from paris_assets.models.threads import each_on_its_own
from paris_assets.proof.networks import Networks
from paris_assets.proof.schema import TRAINING_PROBE
from paris_assets.proof.times import TIMES
from paris_assets.proof.written import Written
from paris_assets.training.tiny_flow import noised

ROWS = 64
MIXTURES = ("top_1", "top_2", "full", "uniform")


def measured(written: Written, rows: np.ndarray, networks: Networks, fold: int, draws: int, seed: int) -> pl.DataFrame:
    """Rows of `training_probe` of one hold-out, by image and time.

    Args:
        rows: (n,) positions of the held-out images.
        draws: noises for each of them.
    """
    parts = (
        partial(_part, written, rows[at : at + ROWS], networks, fold, draws, seed, t)
        for t in TIMES
        for at in range(0, len(rows), ROWS)
    )
    return pl.concat(each_on_its_own(parts)).sort("image_id", "t")


def noise_of(image_id: str, draw: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Standard normal float32 of a shape: of an image and a draw, whatever else is measured."""
    drawn = np.random.default_rng([seed, 7, draw, int(image_id[:16].encode().hex(), 16)])
    return drawn.standard_normal(shape, np.float32)


def mixtures(velocities: Tensor, probabilities: Tensor) -> dict[str, Tensor]:
    """Velocities of experts mixed by a router: not their losses, of which the mean is above the loss of the mean.

    Args:
        velocities: (K, B, ...).
        probabilities: (B, K).

    Returns:
        ``top_1``: of the likeliest; ``top_2``: the two likeliest by their probabilities, which are made to add up to 1;
        ``full``: all by their probabilities; ``uniform``: their mean. Each (B, ...).
    """
    found = {}
    for name, most in (("top_1", 1), ("top_2", 2), ("full", len(velocities))):
        best = probabilities.topk(min(most, len(velocities)), 1)
        weights = torch.zeros_like(probabilities).scatter(1, best.indices, best.values)
        found[name] = torch.einsum("bk,kb...->b...", weights / weights.sum(1, keepdim=True), velocities)
    return {**found, "uniform": velocities.mean(0)}


@torch.inference_mode()
def _part(
    written: Written, rows: np.ndarray, networks: Networks, fold: int, draws: int, seed: int, t: float
) -> pl.DataFrame:
    clean, times = networks.scale.applied(written.latents[rows]), torch.full((len(rows),), t)
    text = None if written.text is None else written.text[rows]
    names, shape = [written.image_ids[row] for row in rows], tuple(clean.shape[1:])
    sums, routed = dict[str, Tensor](), list[dict[str, Tensor]]()
    for draw in range(draws):
        noise = torch.from_numpy(np.stack([noise_of(name, draw, shape, seed) for name in names]))
        noisy, velocity = noised(clean, times, noise)
        predicted = torch.stack([network(noisy, times, text) for network in networks.experts])
        probabilities = networks.router(noisy, times).softmax(1)
        single = {
            name: getattr(networks, name)(noisy, times, text) for name in ("untrained", "common", "monolith")
        } | mixtures(predicted, probabilities)
        losses = {name: _errors(found, velocity) for name, found in single.items()}
        losses["experts"] = torch.stack([_errors(found, velocity) for found in predicted], 1)
        for name, values in losses.items():
            sums[name] = sums.get(name, 0) + values / draws
        own = torch.from_numpy(written.experts[rows])[:, None]
        routed.append(
            {
                "routed": probabilities.argmax(1),
                "confidence": probabilities.amax(1),
                "nll": -probabilities.gather(1, own)[:, 0].clamp(min=1e-9).log(),
                "permuted": networks.permuted(noisy, times).argmax(1),
            }
        )
    clusters = np.array(written.clusters)
    gathered = {name: torch.stack([each[name] for each in routed], 1).numpy() for name in routed[0]}
    return TRAINING_PROBE.frame(
        {
            "image_id": names,
            "group_id": [written.groups[row] for row in rows],
            "cluster": clusters[written.experts[rows]],
            "upscaled": written.upscaled[rows],
            "fold": [fold] * len(rows),
            "t": [t] * len(rows),
            **{name: values.double().tolist() for name, values in sums.items()},
            **{name: clusters[gathered[name]].tolist() for name in ("routed", "permuted")},
            "confidence": gathered["confidence"].tolist(),
            "nll": gathered["nll"].mean(1),
        }
    )


def _errors(found: Tensor, wanted: Tensor) -> Tensor:
    """(B,) mean squared error of each row."""
    return (found - wanted).square().flatten(1).mean(1)


def held_out_rows(folds: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each hold-out: its number, positions to train on, positions to measure."""
    for fold in range(int(folds.max()) + 1):
        yield fold, np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
