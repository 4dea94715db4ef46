"""Train an expert on its cluster: ``python -m paris_assets.training.train_expert --help``."""

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
from paris_assets.training.dataset import BatchDataset, expert_dataset
from paris_assets.training.flow import GRID, TIMES, drawn_times, generator, noise_like, noised
from paris_assets.training.loop import on_device
from paris_assets.training.networks import PATCH
from paris_assets.training.options import add_options, reads_ahead, run
from paris_assets.training.order import Position
from paris_assets.training.places import FORMATS
from paris_assets.training.samples import ExpertSamples
from paris_assets.training.task import Task


def flow_loss(network: nn.Module, batch: dict[str, Any], source: torch.Generator, times: str) -> torch.Tensor:
    """Mean squared error of the velocity (Lipman et al. 2023), at times drawn as ``flow.drawn_times`` says."""
    latent = batch["latent"]
    t, noise = drawn_times(len(latent), times, source), noise_like(latent, source)
    found = network(noised(latent, noise, t), t, batch["text"], batch["mask"])
    return functional.mse_loss(found.float(), noise - latent)


def validation(network: nn.Module, batches: BatchDataset, most: int, device: torch.device) -> dict[str, float]:
    """Mean squared error of the velocity at each time of ``flow.GRID``, by the same noise at every call."""
    sums, seen = np.zeros(len(GRID)), 0
    batches.position = Position(0, 0)
    for number, stored in enumerate(batches):
        if seen >= most:
            break
        batch = on_device(stored, device)
        latent = batch["latent"]
        noise = noise_like(latent, generator(device, "validation", number))
        for at, time in enumerate(GRID):
            t = torch.full((len(latent),), time, device=device)
            found = network(noised(latent, noise, t), t, batch["text"], batch["mask"])
            sums[at] += float(functional.mse_loss(found.float(), noise - latent)) * len(latent)
        seen += len(latent)
    means = dict(zip(map(str, GRID), (sums / seen).round(6).tolist(), strict=True))
    return {**means, "mean": round(float(sums.mean() / seen), 6), "samples": seen}


def design_of(samples: ExpertSamples, preset: str) -> dict[str, Any]:
    """The network that fits an expert's samples.

    Raises:
        UsageError: latents of several numbers of channels, of odd sides, or texts of several widths.
    """
    latents, texts = (
        {samples.forms[form].shape for form in np.unique(samples.rows[name]).tolist()}
        for name in ("latent_form", "text_form")
    )
    odd = sorted(shape for shape in latents if shape[1] % PATCH or shape[2] % PATCH)
    if odd:
        raise UsageError(f"latents of {odd[0]}: sides are to be multiples of {PATCH}: pass another --resolution")
    channels, widths = {shape[0] for shape in latents}, {shape[-1] for shape in texts}
    if len(channels) > 1 or len(widths) > 1:
        raise UsageError(f"latents of {sorted(channels)} channels and text {sorted(widths)} wide: a network takes one")
    pad = samples.place.place.manifest.get("format", {}).get("text", {}).get("pad", {}).get("value")
    # Padding that the encoder made is trained on, as Paris does; zeros are not, nor what the reader adds.
    masked = len(texts) > 1 if pad is None else pad == 0
    return {
        "kind": "expert",
        "preset": preset,
        "channels": channels.pop(),
        "text_dim": widths.pop(),
        "masked": masked,
    }


def commonest_shape(samples: ExpertSamples) -> tuple[int, ...]:
    """(channels, h, w) of the most latents."""
    forms, counts = np.unique(samples.rows["latent_form"], return_counts=True)
    return samples.forms[int(forms[counts.argmax()])].shape


def make_task(given: argparse.Namespace, device: torch.device) -> Task:
    """The network and its batches."""
    shared = {name: getattr(given, name) for name in ("resolution", "format", "cache", "on_corrupt")}
    read = partial(expert_dataset, given.root, given.cluster, given.batch_size, **shared)
    dataset = read(caption_dropout=given.caption_dropout, weighted=given.weighted, seed=given.seed)
    samples = dataset.source.samples  # type: ignore[attr-defined]
    design = design_of(samples, given.preset)

    validate = None
    if given.validate_every:
        try:
            # Without ranks of its own: one process validates while the others wait.
            held_out = read(split="validation", remainder="short", rank=0, ranks=1)
        except UsageError as error:
            raise UsageError(f"{error}; pass --validate-every 0 to train without") from error
        validate = partial(validation, batches=held_out, most=given.validation_samples, device=device)
    return Task(
        design,
        {"recompute": given.recompute},
        {"cluster": given.cluster, "shape": list(commonest_shape(samples))},
        partial(flow_loss, times=given.times),
        validate,
        reads_ahead(dataset, given, device),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when all steps are done, 2 where it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m paris_assets.training.train_expert", description=__doc__)
    parser.add_argument("--cluster", type=int, required=True, help="number of the expert")
    add_options(parser, "dit-xl-2", 32)
    parser.add_argument("--format", choices=FORMATS, help="default: the first of them that is there")
    parser.add_argument("--resolution", type=int, help="of the latents; default: the smallest")
    parser.add_argument("--caption-dropout", type=float, default=0.1, help="share trained without its caption (0.1)")
    parser.add_argument("--times", choices=TIMES, default=TIMES[0], help=f"how times are drawn ({TIMES[0]})")
    parser.add_argument("--weighted", action="store_true", help="draw samples by their weight")
    parser.add_argument("--recompute", action="store_true", help="activations in the backward pass: less memory")
    parser.add_argument("--on-corrupt", choices=["raise", "skip"], default="raise", help="what of corrupt samples")
    return run(parser, arguments, lambda given: f"cluster_{given.cluster}", make_task)


if __name__ == "__main__":
    sys.exit(main())
