"""A diffusion transformer small enough for one core: velocities of noised latents, or which expert they belong to.

After Peebles & Xie 2023 (DiT with AdaLN-Zero): patches, learned positions, blocks of self-attention and MLP that the
time modulates. Modulation and head are zero at the start, so an untrained network predicts zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from paris_assets.errors import UsageError

FREQUENCIES = 32
MLP = 2
"""Width of the hidden layer of a block, in widths: half of the usual, for a third less work."""
TIMES = 1000.0
"""t of 0 to 1 is embedded as the 0 to 1000 that diffusion transformers are used to."""


@dataclass(frozen=True)
class TinyDitConfig:
    """What a network is like.

    Attributes:
        channels, side: of the latents, which are square.
        patches: along each side; it divides ``side``.
        width: of a token.
        depth: blocks.
        heads: of attention; they divide ``width``.
        classes: experts to tell apart; None: the network predicts velocities.
        text: size of one vector per caption that is added to the time; 0: none is taken.
    """

    channels: int
    side: int
    patches: int = 8
    width: int = 64
    depth: int = 2
    heads: int = 4
    classes: int | None = None
    text: int = 0

    def __post_init__(self) -> None:
        if self.side % self.patches:
            raise UsageError(f"latents of {self.side} cells do not divide into {self.patches} patches")
        if self.width % self.heads:
            raise UsageError(f"a width of {self.width} does not divide into {self.heads} heads")


class TinyDit(nn.Module):
    """``TinyDitConfig`` as a network: (B, channels, side, side) and t (B,) to velocities of that shape, or to logits
    (B, classes)."""

    def __init__(self, config: TinyDitConfig) -> None:
        super().__init__()
        self.config = config
        width, self._patch = config.width, config.side // config.patches
        values = config.channels * self._patch**2
        self.patches = nn.Linear(values, width)
        self.positions = nn.Parameter(torch.randn(config.patches**2, width) * 0.1)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.text = _zero(nn.Linear(config.text, width)) if config.text else None
        self.blocks = nn.ModuleList([_Block(width, config.heads) for _ in range(config.depth)])
        self.last = _zero(nn.Linear(width, 2 * width))
        self.head = _zero(nn.Linear(width, config.classes or values))

    def forward(self, latents: Tensor, t: Tensor, text: Tensor | None = None) -> Tensor:
        """Velocities or logits.

        Args:
            latents: (B, channels, side, side), noised.
            t: (B,), 0 for clean latents and 1 for noise.
            text: (B, text), for networks that take it.
        """
        tokens = self.patches(self._cut(latents)) + self.positions
        condition = self.time(_embedded(t))
        if self.text is not None and text is not None:
            condition = condition + self.text(text)
        condition = F.silu(condition)
        for block in self.blocks:
            tokens = block(tokens, condition)
        shift, scale = self.last(condition)[:, None].chunk(2, -1)
        tokens = _normed(tokens) * (1 + scale) + shift
        if self.config.classes:
            return self.head(tokens.mean(1))
        return self._joined(self.head(tokens))

    def _cut(self, latents: Tensor) -> Tensor:
        """(B, channels, side, side) to (B, patches^2, channels patch^2)."""
        b, c, n, p = len(latents), self.config.channels, self.config.patches, self._patch
        return latents.reshape(b, c, n, p, n, p).permute(0, 2, 4, 1, 3, 5).reshape(b, n * n, c * p * p)

    def _joined(self, tokens: Tensor) -> Tensor:
        b, c, n, p = len(tokens), self.config.channels, self.config.patches, self._patch
        return tokens.reshape(b, n, n, c, p, p).permute(0, 3, 1, 4, 2, 5).reshape(b, c, n * p, n * p)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, MLP * width), nn.SiLU(), nn.Linear(MLP * width, width))
        self.modulation = _zero(nn.Linear(width, 6 * width))

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = self.modulation(condition)[:, None].chunk(6, -1)
        b, n, width = tokens.shape
        parts = self.qkv(_normed(tokens) * (1 + scale) + shift).reshape(b, n, 3, self._heads, width // self._heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, width)
        tokens = tokens + gate * self.out(seen)
        return tokens + gate_mlp * self.mlp(_normed(tokens) * (1 + scale_mlp) + shift_mlp)


def _normed(tokens: Tensor) -> Tensor:
    return F.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)


def _embedded(t: Tensor) -> Tensor:
    """(B,) to (B, 2 FREQUENCIES): cosines and sines of geometric frequencies from 1 to 1e-4."""
    steps = torch.arange(FREQUENCIES, dtype=t.dtype) / FREQUENCIES
    angles = TIMES * t[:, None] * torch.exp(-math.log(1e4) * steps)
    return torch.cat([angles.cos(), angles.sin()], 1)


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
