"""What a training is told: how long and how fast, and what is trained on what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from paris_assets.training.loader import Loader


@dataclass(frozen=True)
class Recipe:
    """How long and how fast is trained.

    Attributes:
        steps: of the optimiser, in all.
        rate: learning rate of AdamW, reached linearly in ``warmup`` steps.
        decay: of weights.
        clip: largest norm of the gradient.
        ema: share of the averaged weights that a step keeps; less in the first steps.
        accumulate: batches of a step.
        save_every, keep: steps between checkpoints, and how many stay.
        log_every, validate_every: steps; 0: no validation.
        seed: of the first weights, times and noise.
        bf16: whether forward passes are computed in it; weights, moments and averages are float32 anyway.
    """

    steps: int
    rate: float
    warmup: int
    decay: float
    clip: float
    ema: float
    accumulate: int
    save_every: int
    keep: int
    log_every: int
    validate_every: int
    seed: int
    bf16: bool


@dataclass(frozen=True)
class Task:
    """What is trained.

    Attributes:
        design: what ``networks.build`` makes the network of; a checkpoint of another one is refused.
        options: further arguments of it, which change no result.
        told: what else its checkpoints say.
        loss: of (network, a batch on the device, random numbers).
        validate: figures of the averaged network, by name; None: nothing is held out.
        loader: of training batches.
    """

    design: Mapping[str, Any]
    options: Mapping[str, Any]
    told: Mapping[str, Any]
    loss: Callable[[nn.Module, dict[str, Any], torch.Generator], torch.Tensor]
    validate: Callable[[nn.Module], Mapping[str, Any]] | None
    loader: Loader
