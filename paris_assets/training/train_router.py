"""Train the router on all clusters: ``python -m paris_assets.training.train_router --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from paris_assets.errors import UsageError
from paris_assets.training.dataset import BatchDataset, router_dataset
from paris_assets.training.flow import GRID, TIMES, drawn_times, generator, noise_like, noised
from paris_assets.training.loop import on_device
from paris_assets.training.options import add_options, reads_ahead, run
from paris_assets.training.order import Position
from paris_assets.training.router_arrays import RouterArrays
from paris_assets.training.task import Task

SMOOTHING = 0.05


def router_loss(
    network: nn.Module, batch: dict[str, Any], source: torch.Generator, times: str, weights: torch.Tensor | None
) -> torch.Tensor:
    """Cross-entropy of the cluster of a noised latent, with ``SMOOTHING`` of the labels."""
    latent = batch["latent"]
    t, noise = drawn_times(len(latent), times, source), noise_like(latent, source)
    logits = network(noised(latent, noise, t), t)
    return functional.cross_entropy(logits, batch["label"], weights, label_smoothing=SMOOTHING)


def validation(network: nn.Module, batches: BatchDataset, most: int, device: torch.device) -> dict[str, Any]:
    """At each time of ``flow.GRID``: accuracy, mean accuracy of clusters and negative log-likelihood; and the share of
    the largest cluster, which a router that has learned nothing reaches."""
    labels, logits = list[torch.Tensor](), list[torch.Tensor]()
    batches.position, seen = Position(0, 0), 0
    for number, stored in enumerate(batches):
        if seen >= most:
            break
        batch = on_device(stored, device)
        latent = batch["latent"]
        noise = noise_like(latent, generator(device, "validation", number))
        each = [torch.full((len(latent),), time, device=device) for time in GRID]
        logits.append(torch.stack([network(noised(latent, noise, t), t) for t in each], 1))
        labels.append(batch["label"])
        seen += len(latent)
    told, known = torch.cat(logits).float().cpu(), torch.cat(labels).cpu()
    right = (told.argmax(-1) == known[:, None]).float()
    by_cluster = torch.stack([right[known == cluster].mean(0) for cluster in known.unique()])
    losses = [float(functional.cross_entropy(told[:, at], known)) for at in range(len(GRID))]
    return {
        **{
            str(time): {
                "accuracy": round(float(right[:, at].mean()), 4),
                "balanced": round(float(by_cluster[:, at].mean()), 4),
                "nll": round(losses[at], 4),
            }
            for at, time in enumerate(GRID)
        },
        "largest": round(float(known.bincount().max() / len(known)), 4),
        "samples": seen,
    }


def class_weights(labels: np.ndarray, clusters: int) -> torch.Tensor:
    """(clusters,): every cluster counts alike, however many rows it has; those without any do not count."""
    counts = np.bincount(labels, minlength=clusters)
    weights = np.divide(len(labels), (counts > 0).sum() * counts, out=np.zeros(clusters), where=counts > 0)
    return torch.from_numpy(weights).float()


def make_task(given: argparse.Namespace, device: torch.device) -> Task:
    """The network and its batches."""
    read = partial(router_dataset, given.root, given.batch_size, cache=given.cache)
    dataset, rows = read(seed=given.seed), RouterArrays(given.root, cache=given.cache)
    shape = rows.read("latents", np.zeros(1, np.int64)).shape[1:]
    clusters = int(rows.labels.max()) + 1
    validate = None
    if given.validate_every:
        if not rows.split.any():
            raise UsageError("no row of the router's arrays is held out: pass --validate-every 0 to train without")
        # Without ranks of its own: one process validates while the others wait.
        held_out = read(split="validation", remainder="short", rank=0, ranks=1)
        validate = partial(validation, batches=held_out, most=given.validation_samples, device=device)
    weights = class_weights(rows.labels[rows.split == 0], clusters).to(device) if given.balanced else None
    design = {"kind": "router", "preset": given.preset, "channels": int(shape[0]), "clusters": clusters}
    return Task(
        design,
        {},
        {"shape": list(shape)},
        partial(router_loss, times=given.times, weights=weights),
        validate,
        reads_ahead(dataset, given, device),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when all steps are done, 2 where it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m paris_assets.training.train_router", description=__doc__)
    add_options(parser, "dit-b-2", 128)
    parser.add_argument("--times", choices=TIMES, default="uniform", help="how times are drawn (uniform)")
    parser.add_argument("--balanced", action="store_true", help="clusters count alike, not by their size")
    return run(parser, arguments, lambda _: "router", make_task)


if __name__ == "__main__":
    sys.exit(main())
