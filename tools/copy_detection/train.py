"""Contrastive training, as SSCD's (Pizzi et al. 2022): InfoNCE over copies and a term that keeps all others apart."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from paris_assets.models.copy_detector_network import FINE_BLOCKS, CopyDetectorNetwork
from tools.copy_detection.views import Views

PICTURES, COPIES = 64, 2
TEMPERATURE = 0.05
APART = 5.0
RATE, LINEAR_RATE = 2e-4, 1e-3
WARM_UP = 40
REPORT_EVERY, SAVE_EVERY = 10, 50
WHITENED_BY = 12


class Batch(NamedTuple):
    """(B, 80, 12, 12) bfloat16 fine maps, (B,) the picture and the group of each, and (B, 3) guests, -1 for none."""

    maps: Tensor
    picture: Tensor
    group: Tensor
    guests: Tensor


def drawn(views: Sequence[Views], groups: Sequence[int], random: np.random.Generator) -> Batch:
    """Two views each of one picture of so many groups."""
    members = dict[int, list[int]]()
    for picture, group in enumerate(groups):
        members.setdefault(group, []).append(picture)
    chosen = random.choice(sorted(members), min(PICTURES, len(members)), replace=False)
    pictures = [members[int(group)][int(random.integers(len(members[int(group)])))] for group in chosen]
    rows = [(picture, int(view)) for picture in pictures
            for view in random.choice(len(views[picture].guests), COPIES, replace=False)]  # fmt: skip
    return Batch(
        torch.stack([views[picture].maps[view] for picture, view in rows]),
        torch.tensor([picture for picture, _ in rows]),
        torch.tensor([groups[picture] for picture, _ in rows]),
        torch.stack([views[picture].guests[view] for picture, view in rows]),
    )


def loss_of(vectors: Tensor, batch: Batch) -> Tensor:
    """Of (B, 256) vectors of length 1. Pairs of which one shows a part of the other's group count for nothing."""
    copies = batch.picture[:, None] == batch.picture[None]
    others = ~(copies | _related(batch))
    copies.fill_diagonal_(False)
    cosines = vectors @ vectors.T
    logits = cosines / TEMPERATURE
    rest = logits.masked_fill(~others, -torch.inf).logsumexp(1, keepdim=True)
    against = (torch.logaddexp(logits, rest) - logits)[copies].mean()
    nearest = (2 - 2 * cosines.masked_fill(~others, -1).amax(1)).clamp_min(1e-6).sqrt()
    return against - APART * nearest.log().mean()


def _related(batch: Batch) -> Tensor:
    """(B, B) bool: of one group, or one group can be seen in both."""
    shown = torch.cat([batch.group[:, None], batch.guests], 1)
    same = (shown[:, None, :, None] == shown[None, :, None, :]) & (shown >= 0)[:, None, :, None]
    return same.flatten(2).any(2)


def trained(
    network: CopyDetectorNetwork, views: Sequence[Views], groups: Sequence[int], steps: int, checkpoint: Path
) -> CopyDetectorNetwork:
    """The network after so many seeded steps on the blocks after the fine maps, taken up from the checkpoint if there
    is one."""
    trunk = [*network.blocks[FINE_BLOCKS:].parameters(), *network.last.parameters()]
    rates = {RATE: trunk, LINEAR_RATE: list(network.linear.parameters())}
    optimizer = torch.optim.AdamW([{"params": part, "lr": rate} for rate, part in rates.items()], weight_decay=0.01)
    first = _resumed(network, optimizer, checkpoint)
    _depthwise_in_fp32(network)
    started, running = time.perf_counter(), math.nan
    for step in range(first, steps):
        batch = drawn(views, groups, np.random.default_rng((1, step)))
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / steps)) + 1e-3)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            pooled = network.pooled(batch.maps.float())
        value = loss_of(functional.normalize(network.linear(pooled), dim=1), batch)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        running = value.item() if math.isnan(running) else 0.95 * running + 0.05 * value.item()
        if step % REPORT_EVERY == 0 or step == steps - 1:
            print(f"step {step} of {steps}, loss {running:.4f}, {time.perf_counter() - started:.0f} s", flush=True)
        if (step + 1) % SAVE_EVERY == 0:
            _saved(network, optimizer, step + 1, checkpoint)
    _depthwise_in_fp32(network, undo=True)
    return network


class _InFp32(nn.Module):
    """A convolution that autocast leaves alone: backwards, filters on single channels are slow in bfloat16."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, maps: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return self.convolution(maps.float())


def _depthwise_in_fp32(network: CopyDetectorNetwork, undo: bool = False) -> None:
    blocks: Any = network.blocks[FINE_BLOCKS:]
    for block in blocks:
        block.depthwise = block.depthwise.convolution if undo else _InFp32(block.depthwise)


def _saved(network: CopyDetectorNetwork, optimizer: torch.optim.Optimizer, step: int, checkpoint: Path) -> None:
    weights = {name.replace(".convolution", ""): value for name, value in network.state_dict().items()}
    new = checkpoint.with_suffix(".new")
    torch.save({"network": weights, "optimizer": optimizer.state_dict(), "step": step}, new)
    new.replace(checkpoint)


def _resumed(network: CopyDetectorNetwork, optimizer: torch.optim.Optimizer, checkpoint: Path) -> int:
    if not checkpoint.is_file():
        return 0
    found = torch.load(checkpoint, weights_only=True)
    network.load_state_dict(found["network"])
    optimizer.load_state_dict(found["optimizer"])
    return int(found["step"])
