"""Diffusion transformers (Peebles and Xie 2023) at any latent shape: an expert that reads text, and the router.

The expert is Paris' DiT: cross-attention to the text in every block, and one modulation for all blocks (adaLN-single,
Chen et al. 2023). At the size XL/2 with the text of CLIP that makes 605.7 M parameters; a modulation per block would
add 215 M. The router is a DiT with a class token and a modulation per block (adaLN-Zero), at the size B/2 128.9 M.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from paris_assets.errors import UsageError

PATCH = 2
FREQUENCIES, LONGEST_PERIOD, TIMESTEPS = 256, 10_000, 1000
MODULATIONS = 6


class Preset(NamedTuple):
    """A size."""

    width: int
    depth: int
    heads: int


PRESETS = {"dit-xl-2": Preset(1152, 28, 16), "dit-b-2": Preset(768, 12, 12), "tiny": Preset(64, 2, 4)}


def build(design: Mapping[str, Any]) -> Expert | Router:
    """The network that a design describes, by its ``kind`` (``expert`` or ``router``), ``preset`` and arguments."""
    arguments = {name: value for name, value in design.items() if name not in ("kind", "preset")}
    return {"expert": Expert, "router": Router}[design["kind"]](PRESETS[design["preset"]], **arguments)


def count(network: nn.Module) -> int:
    """Parameters of a network."""
    return sum(each.numel() for each in network.parameters())


class Attention(nn.Module):
    """Attention of tokens to themselves, or to a context of the same width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """(B, N, width) and (B, M, width) -> (B, N, width); ``mask`` (B, M) bool: what may be looked at."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x), *self.key_value(context).chunk(2, -1))
        )
        seen = None if mask is None else mask[:, None, None]
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.out(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Self-attention, cross-attention where there is text, and an MLP of four times the width."""

    def __init__(self, width: int, heads: int, reads: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.reading = Attention(width, heads) if reads else None
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(
        self,
        x: torch.Tensor,
        modulation: torch.Tensor,
        text: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(B, N, width), and (B, 6, width) of shifts, scales and gates -> (B, N, width)."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation.unsqueeze(2).unbind(1)
        inner = modulated(x, shift, scale)
        x = x + gate * self.attention(inner, inner)
        if self.reading is not None and text is not None:
            x = x + self.reading(normed(x), text, mask)
        return x + mlp_gate * self.mlp(modulated(x, mlp_shift, mlp_scale))


class Tokens(nn.Module):
    """What enters: tokens of a noised latent, of ``PATCH`` x ``PATCH`` cells each, and the time."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.patches = nn.Linear(channels * PATCH**2, width)
        self.time = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, latent: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, channels, h, w) and (B,) from 0 to 1 -> (B, h * w / 4, width) and (B, width).

        Raises:
            UsageError: sides that are no multiples of the patch.
        """
        height, width = latent.shape[-2:]
        if height % PATCH or width % PATCH:
            raise UsageError(f"latents of {height} x {width} cells do not divide into patches of {PATCH} x {PATCH}")
        patches = self.patches(functional.pixel_unshuffle(latent, PATCH).flatten(2).transpose(1, 2))
        table = positions(height // PATCH, width // PATCH, self.patches.out_features, latent.device)
        return patches + table, self.time(waves(TIMESTEPS * t, FREQUENCIES))


class Expert(nn.Module):
    """Velocity of a noised latent, by text.

    Args:
        channels: of latents.
        text_dim: of a text position.
        masked: look at true tokens alone; False: at all positions, as CLIP's padding was trained with.
        recompute: activations of blocks in the backward pass, instead of keeping them: less memory, a third more time.
    """

    def __init__(
        self, preset: Preset, channels: int, text_dim: int, masked: bool = False, recompute: bool = False
    ) -> None:
        super().__init__()
        width = preset.width
        self.masked, self.recompute = masked, recompute
        self.tokens, self.text = Tokens(width, channels), nn.Linear(text_dim, width)
        self.modulation = nn.Linear(width, MODULATIONS * width)
        self.tables = nn.Parameter(torch.zeros(preset.depth, MODULATIONS, width))
        self.blocks = nn.ModuleList(Block(width, preset.heads, True) for _ in range(preset.depth))
        self.last_table = nn.Parameter(torch.zeros(2, width))
        self.head = nn.Linear(width, channels * PATCH**2)
        initialise(self, zero=[self.modulation, self.head, *(block.reading.out for block in self.blocks)])  # type: ignore[union-attr]

    def forward(self, latent: torch.Tensor, t: torch.Tensor, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w), (B,), (B, positions, text_dim) and (B, positions) bool -> (B, channels, h, w)."""
        x, time = self.tokens(latent, t)
        shared = self.modulation(functional.silu(time)).unflatten(-1, (MODULATIONS, -1))
        words, seen = self.text(text), mask if self.masked else None
        for block, table in zip(self.blocks, self.tables, strict=True):
            if self.recompute and torch.is_grad_enabled():
                x = checkpoint(block, x, shared + table, words, seen, use_reentrant=False)
            else:
                x = block(x, shared + table, words, seen)
        shift, scale = (time[:, None] + self.last_table).unsqueeze(2).unbind(1)
        patches = self.head(modulated(x, shift, scale)).transpose(1, 2)
        height, width = (side // PATCH for side in latent.shape[-2:])
        return functional.pixel_shuffle(patches.unflatten(-1, (height, width)), PATCH)


class Router(nn.Module):
    """Which cluster a noised latent is of.

    Args:
        channels: of latents.
        clusters: number of them.
    """

    def __init__(self, preset: Preset, channels: int, clusters: int) -> None:
        super().__init__()
        width = preset.width
        self.tokens, self.first = Tokens(width, channels), nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.ModuleList(Block(width, preset.heads, False) for _ in range(preset.depth))
        self.modulations = nn.ModuleList(nn.Linear(width, MODULATIONS * width) for _ in range(preset.depth))
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.GELU(), nn.Linear(width, clusters)
        )
        initialise(self, zero=[*self.modulations, self.head[-1]])

    def forward(self, latent: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """(B, channels, h, w) and (B,) -> (B, clusters) logits."""
        tokens, time = self.tokens(latent, t)
        x = torch.cat([self.first.expand(len(tokens), 1, -1).to(tokens.dtype), tokens], 1)
        for block, modulation in zip(self.blocks, self.modulations, strict=True):
            x = block(x, modulation(functional.silu(time)).unflatten(-1, (MODULATIONS, -1)))
        return self.head(normed(x[:, 0])).float()


def normed(x: torch.Tensor) -> torch.Tensor:
    """Layer normalisation without weights."""
    return functional.layer_norm(x, x.shape[-1:], eps=1e-6)


def modulated(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Normalised, then scaled and shifted by what the time says."""
    return normed(x) * (1 + scale) + shift


def initialise(network: nn.Module, zero: list[Any]) -> None:
    """Xavier's uniform weights and no biases; layers in ``zero`` begin at zero, so that blocks begin as identities."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    for layer in zero:
        nn.init.zeros_(layer.weight)


def waves(values: torch.Tensor, dim: int) -> torch.Tensor:
    """(N,) -> (N, dim): cosines and sines of frequencies from 1 down to one over ``LONGEST_PERIOD``."""
    rates = torch.exp(torch.arange(dim // 2, device=values.device) * (-math.log(LONGEST_PERIOD) / (dim // 2)))
    angles = values.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], -1)


@lru_cache(maxsize=128)
def positions(height: int, width: int, dim: int, device: torch.device) -> torch.Tensor:
    """(height * width, dim): half of each row tells the patch's row, half its column."""
    rows, columns = (waves(torch.arange(side, device=device), dim // 2) for side in (height, width))
    table = torch.cat(
        [rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)],
        -1,
    )
    return table.flatten(0, 1)
