"""Drawing latents by a mixture of experts (McAllister et al. 2025): the router weighs velocities at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn

MIXTURES = ("top-1", "top-2", "full")
SOLVERS = ("euler", "heun")
NEGLIGIBLE = 1e-6
Velocity = Callable[[torch.Tensor, float], torch.Tensor]
"""Of latents (B, channels, h, w) at a time."""


class Words(NamedTuple):
    """Texts: (B, positions, dim), and (B, positions) bool of true tokens."""

    text: torch.Tensor
    mask: torch.Tensor


def mixture_weights(probabilities: torch.Tensor, mixture: str) -> torch.Tensor:
    """(B, clusters) of sum 1: those of the likeliest one or two, made to sum to 1, or of all that count."""
    if mixture == "full":
        kept = probabilities * (probabilities >= NEGLIGIBLE)
    else:
        best = probabilities.topk(min(int(mixture[-1]), probabilities.shape[1]), -1).indices
        kept = torch.zeros_like(probabilities).scatter(1, best, probabilities.gather(1, best))
    return kept / kept.sum(1, keepdim=True)


class Mixture:
    """Velocity of experts, weighed for each latent and time.

    Args:
        experts: by cluster.
        router: of all clusters; None: of the one expert that there is.
        mixture: one of ``MIXTURES``.
        guidance: how far to go from what the empty prompt gives to what the prompt gives (Ho and Salimans 2022), within
            each expert; 1: the prompt alone.
    """

    def __init__(
        self,
        experts: Mapping[int, nn.Module],
        router: nn.Module | None,
        mixture: str,
        guidance: float,
        words: Words,
        empty: Words,
    ) -> None:
        self._experts, self._router, self._mixture = experts, router, mixture
        self._guidance, self._words, self._empty = guidance, words, empty
        self._used = list[torch.Tensor]()

    def __call__(self, latents: torch.Tensor, t: float) -> torch.Tensor:
        """See ``Velocity``."""
        times = torch.full((len(latents),), t, device=latents.device)
        weights = self._weights(latents, times)
        self._used.append(weights)
        found = torch.zeros_like(latents)
        for place, cluster in enumerate(sorted(self._experts)):
            rows = torch.nonzero(weights[:, place])[:, 0]
            if len(rows):
                velocity = self._guided(self._experts[cluster], latents[rows], times[rows], rows)
                found[rows] += weights[rows, place, None, None, None] * velocity
        return found

    def mean_weights(self) -> torch.Tensor:
        """(B, experts), over the calls so far, in the order of clusters."""
        return torch.stack(self._used).mean(0).cpu()

    def _weights(self, latents: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        if self._router is None:
            return torch.ones(len(latents), 1, device=latents.device)
        return mixture_weights(self._router(latents, times).float().softmax(-1), self._mixture)

    def _guided(
        self, expert: nn.Module, latents: torch.Tensor, times: torch.Tensor, rows: torch.Tensor
    ) -> torch.Tensor:
        if self._guidance == 1:
            return expert(latents, times, self._words.text[rows], self._words.mask[rows]).float()
        both = [torch.cat([words[rows], empty[rows]]) for words, empty in zip(self._words, self._empty, strict=True)]
        told, untold = expert(latents.repeat(2, 1, 1, 1), times.repeat(2), *both).float().chunk(2)
        return untold + self._guidance * (told - untold)


def integrate(velocity: Velocity, noise: torch.Tensor, steps: int, solver: str) -> torch.Tensor:
    """Latents of noise, from time 1 to 0 in equal steps: Euler's, or Heun's with two velocities a step."""
    latents = noise
    for step in range(steps):
        t, after = 1 - step / steps, 1 - (step + 1) / steps
        first = velocity(latents, t)
        moved = latents - first / steps
        if solver == "heun":
            moved = latents - (first + velocity(moved, after)) / (2 * steps)
        latents = moved
    return latents
