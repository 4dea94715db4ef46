"""Rectified flow between latents and noise: ``x_t = (1 - t) x + t noise``, whose velocity is ``noise - x``."""

from __future__ import annotations

from hashlib import blake2b

import torch

TIMES = ("logit-normal", "uniform")
GRID = (0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Times at which networks are validated."""


def generator(device: torch.device | str, *what: object) -> torch.Generator:
    """Random numbers that follow from what they are for, and from nothing that was drawn before."""
    digest = blake2b(" ".join(map(str, what)).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest) >> 1)


def drawn_times(count: int, times: str, source: torch.Generator) -> torch.Tensor:
    """(count,) from 0 to 1: the sigmoid of a standard normal (Esser et al. 2024), or uniform."""
    if times == "uniform":
        return torch.rand(count, generator=source, device=source.device)
    return torch.randn(count, generator=source, device=source.device).sigmoid()


def noised(latent: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """(B, channels, h, w) at times (B,)."""
    weight = t[:, None, None, None]
    return (1 - weight) * latent + weight * noise


def noise_like(latent: torch.Tensor, source: torch.Generator) -> torch.Tensor:
    """Standard normal numbers, float32, of a latent's shape."""
    return torch.randn(latent.shape, generator=source, device=source.device)
