"""Flow matching and routing of small networks in a fixed number of steps: the same bits again, on one machine.

Rectified flow: x_t = (1 - t) x + t e, and the network predicts e - x (Liu et al. 2022, Lipman et al. 2022); t is
logit-normal for flows (Esser et al. 2024) and uniform for routers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from paris_assets.training.tiny_dit import TinyDit, TinyDitConfig

WARM_UP = 20
LARGEST_GRADIENT = 1.0
SMOOTHING = 0.05
DROPPED_TEXT = 0.1


@dataclass(frozen=True)
class Steps:
    """How long and how fast a network is trained: AdamW (0.9, 0.95), decay 0.01, warm-up, then linearly to zero.

    Attributes:
        rate: of learning, at its highest.
    """

    count: int
    batch: int
    rate: float


@dataclass(frozen=True)
class Known:
    """What a network is trained on.

    Attributes:
        latents: (N, channels, side, side) float32 of about unit variance.
        labels: (N,) int64, of routers.
        text: (N, dim) of the captions, and (dim,) of the empty prompt, where networks take them.
    """

    latents: Tensor
    labels: Tensor | None = None
    text: Tensor | None = None
    no_text: Tensor | None = None

    def of(self, rows: Tensor) -> Known:
        """Some rows."""
        labels, text = (None if part is None else part[rows] for part in (self.labels, self.text))
        return Known(self.latents[rows], labels, text, self.no_text)


@dataclass
class Trained:
    """A network, how many of its steps had their gradient clipped, and the loss of the last one."""

    network: TinyDit
    steps: int = 0
    clipped: int = 0
    loss: float = float("nan")


def untrained(config: TinyDitConfig, seed: int) -> TinyDit:
    """A network whose start is drawn by ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TinyDit(config)


def noised(clean: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """x_t and the velocity e - x, both (B, channels, side, side); t is (B,)."""
    share = t[:, None, None, None]
    return (1 - share) * clean + share * noise, noise - clean


def train_flow(start: TinyDit, known: Known, steps: Steps, seed: int) -> Trained:
    """A copy of ``start`` after some steps of flow matching; half of the latents are mirrored, a tenth of the captions
    dropped."""

    def loss(network: TinyDit, batch: Known, drawn: torch.Generator) -> Tensor:
        count = len(batch.latents)
        t = torch.sigmoid(torch.randn(count, generator=drawn))
        noisy, velocity = noised(batch.latents, t, _noise(batch.latents, drawn))
        text = batch.text
        if text is not None and batch.no_text is not None:
            dropped = torch.rand(count, generator=drawn) < DROPPED_TEXT
            text = torch.where(dropped[:, None], batch.no_text, text)
        return F.mse_loss(network(noisy, t, text), velocity)

    return _trained(start, known, steps, seed, loss)


def train_router(start: TinyDit, known: Known, steps: Steps, seed: int) -> Trained:
    """A copy of ``start`` after some steps of telling the expert from noised latents and their time."""

    def loss(network: TinyDit, batch: Known, drawn: torch.Generator) -> Tensor:
        t = torch.rand(len(batch.latents), generator=drawn)
        noisy, _ = noised(batch.latents, t, _noise(batch.latents, drawn))
        assert batch.labels is not None
        return F.cross_entropy(network(noisy, t), batch.labels, label_smoothing=SMOOTHING)

    return _trained(start, known, steps, seed, loss)


@torch.inference_mode()
def sampled(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Latents by Euler's method from t = 1 to 0.

    Args:
        velocity: (x_t, t (B,)) to velocities.
        noise: (B, channels, side, side).
    """
    latents = noise
    for step in range(steps, 0, -1):
        latents = latents - velocity(latents, torch.full((len(noise),), step / steps)) / steps
    return latents


def _trained(
    start: TinyDit, known: Known, steps: Steps, seed: int, loss: Callable[[TinyDit, Known, torch.Generator], Tensor]
) -> Trained:
    if not len(known.latents):
        raise ValueError("there is no latent to train a network on")
    drawn, made = torch.Generator().manual_seed(seed), Trained(copy.deepcopy(start))
    weights = list(made.network.parameters())
    optimiser = torch.optim.AdamW(weights, steps.rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    warm_up = min(WARM_UP, max(steps.count // 5, 1))
    for step, rows in enumerate(_batches(len(known.latents), steps, drawn)):
        batch = known.of(rows)
        mirrored = torch.rand(len(rows), generator=drawn) < 0.5
        turned = torch.where(mirrored[:, None, None, None], batch.latents.flip(-1), batch.latents)
        value = loss(made.network, Known(turned, batch.labels, batch.text, batch.no_text), drawn)
        value.backward()
        norm = nn.utils.clip_grad_norm_(weights, LARGEST_GRADIENT)
        for group in optimiser.param_groups:
            group["lr"] = steps.rate * min((step + 1) / warm_up, (steps.count - step) / (steps.count - warm_up + 1))
        optimiser.step()
        optimiser.zero_grad()
        made.steps += 1
        made.clipped += int(norm > LARGEST_GRADIENT)
        made.loss = float(value.detach())
    return made


def _batches(count: int, steps: Steps, drawn: torch.Generator) -> Iterator[Tensor]:
    """Rows of each step: all of them in a new order each time round, however few there are."""
    waiting = torch.zeros(0, dtype=torch.int64)
    for _ in range(steps.count):
        while len(waiting) < steps.batch:
            waiting = torch.cat([waiting, torch.randperm(count, generator=drawn)])
        yield waiting[: steps.batch]
        waiting = waiting[steps.batch :]


def _noise(like: Tensor, drawn: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=drawn)
