"""The networks of one hold-out: one common start, an expert from it for each cluster, a monolith, and routers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from paris_assets.models.threads import each_on_its_own
from paris_assets.proof.written import Written
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets.training.tiny_dit import TinyDit, TinyDitConfig
from paris_assets.training.tiny_flow import Known, Steps, Trained, train_flow, train_router, untrained

RATE, EXPERT_RATE = 2e-3, 7e-4
AT_WIDTH = 96
"""The width that the rates are for; others have theirs in inverse proportion, as in muP (Yang et al. 2022)."""


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each channel over what is trained on, (channels, 1, 1)."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, latents: Tensor) -> Scale:
        """Of latents (N, channels, side, side)."""
        return cls(latents.mean((0, 2, 3))[:, None, None], latents.std((0, 2, 3))[:, None, None].clamp(min=1e-6))

    def applied(self, latents: Tensor) -> Tensor:
        """Latents of about unit variance."""
        return (latents - self.mean) / self.std

    def undone(self, latents: Tensor) -> Tensor:
        """Latents as they are stored."""
        return latents * self.std + self.mean


@dataclass(frozen=True)
class Networks:
    """What is compared.

    Attributes:
        common: trained on for as many steps as an expert, on all clusters.
        monolith: trained on for the steps of all experts together.
        router, permuted: on the labels, and on permuted ones.
        clipped: kind of network -> share of its steps with a clipped gradient.
    """

    scale: Scale
    untrained: TinyDit
    common: TinyDit
    monolith: TinyDit
    experts: list[TinyDit]
    router: TinyDit
    permuted: TinyDit
    clipped: dict[str, float]

    @property
    def finite(self) -> bool:
        """Whether no weight is infinite or NaN."""
        networks = (self.common, self.monolith, self.router, self.permuted, *self.experts)
        return all(bool(torch.isfinite(weight).all()) for network in networks for weight in network.parameters())


def train_networks(written: Written, rows: np.ndarray, settings: TrainingProbe, seed: int) -> Networks:
    """Networks of one start, trained on some images; equal steps for every expert, however many images it has.

    Args:
        rows: (n,) positions of what is trained on; every expert has one.
        seed: of starts, batches and noise.
    """
    scale = Scale.of(written.latents[rows])
    known = Known(scale.applied(written.latents[rows]), None, _rows(written.text, rows), written.no_text)
    count, channels, side, _ = known.latents.shape
    form = {"patches": settings.patches, "width": settings.width, "depth": settings.depth}
    text = 0 if known.text is None else known.text.shape[1]
    start = untrained(TinyDitConfig(channels, side, **form, text=text), seed)
    rate, expert_rate = (each * AT_WIDTH / settings.width for each in (RATE, EXPERT_RATE))
    common = train_flow(start, known, Steps(settings.steps, settings.batch, rate), seed + 1)
    own = Steps(settings.expert_steps, settings.batch, expert_rate)
    clusters = len(written.clusters)
    parts = [known.of(torch.from_numpy(np.flatnonzero(written.experts[rows] == k))) for k in range(clusters)]
    labels = torch.from_numpy(written.router_experts[rows])
    router_start = untrained(TinyDitConfig(channels, side, **form, classes=clusters), seed + 4)
    shuffled = labels[torch.randperm(count, generator=torch.Generator().manual_seed(seed + 5))]
    latents = scale.applied(written.router_latents[rows])
    routed = [Known(latents, which) for which in (labels, shuffled)]
    routing = Steps(settings.router_steps, settings.batch, rate)
    all_steps = Steps(settings.expert_steps * clusters, settings.batch, expert_rate)
    monolith, router, permuted, further, *experts = each_on_its_own(
        [
            partial(train_flow, common.network, known, all_steps, seed + 3),
            *(partial(train_router, router_start, each, routing, seed + 6) for each in routed),
            partial(train_flow, common.network, known, own, seed + 2),
            *(partial(train_flow, common.network, part, own, seed + 2) for part in parts),
        ]
    )
    return Networks(
        scale,
        start,
        further.network,
        monolith.network,
        [each.network for each in experts],
        router.network,
        permuted.network,
        {
            "common": _clipped(common),
            "experts": _clipped(*experts),
            "monolith": _clipped(monolith),
            "router": _clipped(router),
        },
    )


def _rows(values: Tensor | None, rows: np.ndarray) -> Tensor | None:
    return None if values is None else values[rows]


def _clipped(*trained: Trained) -> float:
    return sum(each.clipped for each in trained) / max(sum(each.steps for each in trained), 1)
