"""The small copy detector: the first stages of EfficientNet-lite0 (Tan & Le 2019), GeM pooling and a linear layer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

DIM = 256
POWER = 3.0
_SMALLEST = 1e-6
_STEM = 32


class Stage(NamedTuple):
    """Blocks of one shape: how many, kernel and stride of the first, by how much they widen, channels they give."""

    blocks: int
    kernel: int
    stride: int
    widen: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(3, 5, 2, 6, 192),
)
HEAD_CHANNELS = 6 * STAGES[-1].channels
FINE_BLOCKS = sum(stage.blocks for stage in STAGES[:4])
"""Blocks of the stages whose weights stay those of EfficientNet-lite0."""


class CopyDetectorNetwork(nn.Module):
    """(B, 3, S, S) pixels, 0 to 255, S a multiple of 32 -> (B, 256) vectors of length 1.

    Batch normalisation is part of the convolutions. Pooling and the linear layer compute in fp32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, _STEM, 3, 2)
        blocks, channels = list[Block](), _STEM
        for stage in STAGES:
            for index in range(stage.blocks):
                blocks.append(Block(channels, stage, stage.stride if index == 0 else 1))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.last = Convolution(channels, HEAD_CHANNELS, 1)
        self.linear = nn.Linear(HEAD_CHANNELS, DIM)

    def in_precision(self, dtype: torch.dtype) -> CopyDetectorNetwork:
        """Itself, its convolutions in a dtype, in place."""
        self.to(dtype)
        self.linear.float()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        return self.vectors(self.fine_maps(pixels))

    def fine_maps(self, pixels: Tensor) -> Tensor:
        """(B, 80, S / 16, S / 16): what the blocks give whose weights are EfficientNet-lite0's."""
        scaled = ((pixels - 127) / 128).to(self.stem.weight.dtype)
        return self.blocks[:FINE_BLOCKS](functional.relu6(self.stem(scaled)))

    def vectors(self, maps: Tensor) -> Tensor:
        """Fine maps -> (B, 256) vectors of length 1."""
        return functional.normalize(self.linear(self.pooled(maps)), dim=1)

    def pooled(self, maps: Tensor) -> Tensor:
        """Fine maps -> (B, 1152) float32: the generalised mean (GeM, power 3) of the last maps."""
        last = functional.relu6(self.last(self.blocks[FINE_BLOCKS:](maps)))
        return last.float().clamp_min(_SMALLEST).pow(POWER).mean((2, 3)).pow(1 / POWER)


class Block(nn.Module):
    """An inverted bottleneck: a wider layer, a filter on each channel, and a narrow layer, added to what came in."""

    def __init__(self, channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = channels * stage.widen
        self.expand = Convolution(channels, wide, 1) if stage.widen > 1 else None
        self.depthwise = Convolution(wide, wide, stage.kernel, stride, groups=wide)
        self.project = Convolution(wide, stage.channels, 1)
        self._adds = stride == 1 and channels == stage.channels

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, stage.channels, h / stride, w / stride)."""
        wide = functional.relu6(self.expand(maps)) if self.expand else maps
        narrow = self.project(functional.relu6(self.depthwise(wide)))
        return maps + narrow if self._adds else narrow


class Convolution(nn.Conv2d):
    """With TensorFlow's "same" padding of an even side: at stride 2 there is one pixel less above and to the left."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(before, after, kernel, stride, (kernel // 2 if stride == 1 else 0), groups=groups)
        self._around = [(kernel - 2) // 2, (kernel - 1) // 2] * 2 if stride == 2 else None

    def forward(self, input: Tensor) -> Tensor:
        """See the class."""
        return super().forward(functional.pad(input, self._around) if self._around else input)
