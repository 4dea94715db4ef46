"""Training of the networks in a fixed number of seeded steps, and that of those for quality and cast."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from paris_assets.models.degradation_network import CastNetwork, QualityNetwork
from paris_assets.models.degradation_statistics import statistics
from tools.degradation.samples import cast_sample, quality_sample

RATE = 2e-3
SLOW = 0.2
WARM_UP = 50
REPORT_EVERY = 25
TILES = 6
CAST_SIDE = 192
SAMPLES, EPOCHS, ROWS = 8000, 100, 64
CAST_STEPS, BATCH = 300, 16

Photos = Sequence[np.ndarray]
Batch = tuple[Tensor, ...]


def train_quality(photos: Photos, share: float = 1.0, seed: int = 0) -> QualityNetwork:
    """On statistics of native tiles of damaged photos, for a share of the samples that the shipped weights had."""
    found, labels = list[Tensor](), list[np.ndarray]()
    for index in range(round(SAMPLES * share)):
        pixels, told = quality_sample(photos, np.random.default_rng((seed, index)), TILES)
        with torch.no_grad():
            found.append(statistics(as_pixels(pixels)[None]))
        labels.append(told)
    return fitted_to_statistics(torch.cat(found), torch.from_numpy(np.stack(labels)), seed)


def fitted_to_statistics(found: Tensor, labels: Tensor, seed: int = 0) -> QualityNetwork:
    """From (N, COUNT) statistics and (N, 3) labels, both float32."""
    torch.manual_seed(seed)
    network = QualityNetwork()
    network.mean.copy_(found.mean(0))
    network.deviation.copy_(found.std(0).clamp_min(1e-2))
    steps = EPOCHS * max(1, len(found) // ROWS)
    order = torch.cat([torch.randperm(len(found)) for _ in range(EPOCHS + 1)])
    made = ((found[rows], labels[rows]) for rows in order[: steps * ROWS].split(ROWS))

    def loss(network: QualityNetwork, found: Tensor, labels: Tensor) -> Tensor:
        return functional.mse_loss(network.of(found).sigmoid(), labels)

    return fitted(network, "quality", made, loss, steps)


def train_cast(seen: Photos, share: float = 1.0, seed: int = 0) -> CastNetwork:
    """On photos, as `photos.seen_whole` gives them, in other lights."""
    steps = max(1, round(CAST_STEPS * share))

    def make(random: np.random.Generator) -> Batch:
        pixels, shift = cast_sample(seen, random, CAST_SIDE)
        return as_pixels(pixels), torch.from_numpy(shift)

    def loss(network: nn.Module, pixels: Tensor, shift: Tensor) -> Tensor:
        return functional.smooth_l1_loss(network(pixels).values, shift, beta=0.2)

    torch.manual_seed(seed)
    return fitted(CastNetwork(), "cast", batches(make, seed, steps, BATCH), loss, steps)


def fitted(
    network: Any,
    name: str,
    made: Iterator[Batch],
    loss: Callable[..., Tensor],
    steps: int,
    rate: float = RATE,
    precision: torch.dtype = torch.float32,
    slow: nn.Module | None = None,
) -> Any:
    """The network after a step of AdamW for each batch, the rate rising at first, then falling as a cosine to nought at
    so many steps; of a part that was trained before, `slow`, a fifth of it."""
    network = network.to(memory_format=torch.channels_last).train()
    slower = [] if slow is None else list(slow.parameters())
    kept = {id(weight) for weight in slower}
    others = [weight for weight in network.parameters() if id(weight) not in kept]
    groups = [{"params": others, "share": 1.0}, {"params": slower, "share": SLOW}]
    optimizer = torch.optim.AdamW(groups if slower else groups[:1], rate, weight_decay=0.02)
    started, running = time.perf_counter(), 0.0
    for step, batch in enumerate(made):
        progress = step / steps
        for group in optimizer.param_groups:
            group["lr"] = (
                rate * group["share"] * min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * progress)) + 1e-3)
            )
        optimizer.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            value = loss(network, *batch)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        running = value.item() if step == 0 else 0.97 * running + 0.03 * value.item()
        if step % max(REPORT_EVERY, steps // 40) == 0 or step == steps - 1:
            print(
                f"{name}: step {step} of {steps}, loss {running:.4f}, {time.perf_counter() - started:.0f} s", flush=True
            )
    return network.eval()


def batches(
    make: Callable[[np.random.Generator], Batch], seed: int | tuple[int, ...], steps: int, batch: int
) -> Iterator[Batch]:
    """Batches of samples, each from a seed of its own; made in another thread, two ahead."""

    def one(step: int) -> Batch:
        samples = [make(np.random.default_rng((*np.atleast_1d(seed), step, index))) for index in range(batch)]
        return tuple(torch.stack(parts) for parts in zip(*samples, strict=True))

    with ThreadPoolExecutor(1) as pool:
        pending = [pool.submit(one, step) for step in range(min(2, steps))]
        for step in range(steps):
            if step + 2 < steps:
                pending.append(pool.submit(one, step + 2))
            yield pending.pop(0).result()


def as_pixels(values: np.ndarray) -> Tensor:
    """(..., H, W, 3) uint8 -> (..., 3, H, W) float32, 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(values)).movedim(-1, -3).float()


def save(networks: dict[str, nn.Module], path: Path) -> None:
    """All parameters and running moments in float16, named by network."""
    from safetensors.torch import save_file

    weights = {
        f"{name}.{key}": value.half().contiguous()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
        if value.is_floating_point()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
