"""What networks compute per image or text, by the formulas of their layers: no weights and no libraries are loaded.

A multiplication and an addition are two operations, as torch's FLOP counter has it; normalisation, activations and
softmax are left out, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Decoding:
    """Tokens that are written one after another, in which the weights are read anew for each.

    Attributes:
        flops: of one token.
        parameters: that are read for it, once for all texts of a batch.
        steps: tokens of the longest text of a batch.
    """

    flops: float
    parameters: float
    steps: int


@dataclass(frozen=True)
class Network:
    """What a network takes, and the size of what it gives.

    Attributes:
        flops: of one image or text, without what is decoded.
        parameters: in memory.
        dim: values of its vector, or of one token; 0 where it gives none.
        channels: of a latent; ``factor``: pixels of one of its cells along a side.
        source: where the figures are from, in words.
    """

    flops: float
    parameters: float
    source: str
    dim: int = 0
    channels: int = 4
    factor: int = 8
    decoding: Decoding | None = None


def layer_parameters(width: int, inner: int, gated: bool = False) -> float:
    """Weights of one layer of a transformer: four projections, and two (gated: three) matrices of the feed-forward."""
    return 4 * width**2 + (3 if gated else 2) * width * inner


def transformer_flops(width: int, layers: int, inner: int, tokens: int, gated: bool = False) -> float:
    """Operations of an encoder over a sequence: its matrices, and the two products of attention."""
    return layers * (2 * tokens * layer_parameters(width, inner, gated) + 4 * tokens**2 * width)


def vision_transformer(
    width: int, layers: int, inner: int, patch: int, side: int, source: str, class_token: bool = True
) -> Network:
    """A ViT (Dosovitskiy et al. 2021) on squares of ``side`` pixels; its vector has ``width`` values."""
    patches = (side // patch) ** 2
    embedding = 3 * patch**2 * width
    flops = 2 * patches * embedding + transformer_flops(width, layers, inner, patches + class_token)
    return Network(flops, layers * layer_parameters(width, inner) + embedding, source, width)


def text_transformer(
    width: int, layers: int, inner: int, tokens: int, vocabulary: int, source: str, gated: bool = False
) -> Network:
    """A text encoder on sequences of ``tokens``; its states have ``width`` values a token."""
    parameters = layers * layer_parameters(width, inner, gated) + vocabulary * width
    return Network(transformer_flops(width, layers, inner, tokens, gated), parameters, source, width)


def blip2_opt(steps: int, source: str) -> Network:
    """BLIP-2 with OPT-2.7b (Li et al. 2023): EVA's ViT-g/14 at 224 px, the Q-Former's 32 queries, then OPT.

    Args:
        steps: tokens of the longest caption of a batch.
    """
    seen = vision_transformer(1408, 39, 6144, 14, 224, source)
    queries, looked_at, width = 32, 257, 768
    # Every other of 12 layers attends to the image as well: two projections of its states, two of the queries.
    crossed = 6 * (4 * looked_at * 1408 * width + 4 * queries * width**2 + 4 * queries * looked_at * width)
    asked = transformer_flops(width, 12, 3072, queries) + crossed
    written = 32 * layer_parameters(2560, 10240)
    head = 50304 * 2560
    prompt = transformer_flops(2560, 32, 10240, queries + 1) + 2 * head
    parameters = seen.parameters + 188e6 + written + head
    decoding = Decoding(2 * (written + head), written + head, steps)
    return Network(seen.flops + asked + prompt, parameters, source, decoding=decoding)


def autoencoder(
    side: int, widths: Sequence[int], layers: int, channels: int, source: str, attention: bool = True
) -> Network:
    """The encoder of an AutoencoderKL (Rombach et al. 2022) on a square of ``side`` pixels.

    Args:
        widths: channels of its levels, each at half the side of the one before.
        layers: residual blocks per level.
        channels: of the latent.
    """

    def convolution(size: int, before: int, after: int, kernel: int = 3) -> float:
        return 2 * size**2 * kernel**2 * before * after

    flops, size, width = convolution(side, 3, widths[0]), side, widths[0]
    for level, wide in enumerate(widths):
        for _ in range(layers):
            shortcut = convolution(size, width, wide, 1) if width != wide else 0
            flops += convolution(size, width, wide) + convolution(size, wide, wide) + shortcut
            width = wide
        if level + 1 < len(widths):
            size //= 2
            flops += convolution(size, width, width)
    flops += 4 * convolution(size, width, width)
    if attention:
        flops += 2 * size**2 * 4 * width**2 + 4 * size**4 * width
    flops += convolution(size, width, 2 * channels) + convolution(size, 2 * channels, 2 * channels, 1)
    return Network(flops, 84e6, source, channels=channels, factor=2 ** (len(widths) - 1))


def convolutional(gflops: float, parameters: float, side: int, at: int, dim: int, source: str) -> Network:
    """A convolutional network whose operations are published at ``side`` pixels, used on squares of ``at``."""
    return Network(gflops * 1e9 * (at / side) ** 2, parameters, source, dim)
