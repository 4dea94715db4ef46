"""The first stages of EfficientNet-lite0 (Tan & Le 2019), batch normalisation taken up by its convolutions."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

STEM = 32


class Stage(NamedTuple):
    """Blocks with so many outputs, of which the first divides the size by `stride`."""

    outputs: int
    blocks: int
    kernel: int
    stride: int
    widening: int = 6


STAGES = (Stage(16, 1, 3, 1, 1), Stage(24, 2, 3, 2), Stage(40, 2, 5, 2), Stage(80, 3, 3, 2), Stage(112, 1, 5, 1))
"""Of the last one, which has three blocks in the original, the first."""


class InvertedResiduals(nn.Module):
    """(B, 3, S, S) pixels, 0 to 255 -> two feature maps, (B, 40, S / 8, S / 8) and (B, 112, S / 16, S / 16).

    S is a multiple of 16. TensorFlow pads even sizes to the right and below, torch to the left and above: pixels are
    turned by half a turn, as the stored kernels are, and what is found is turned back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM, 3, 2, 1)
        self.stages, inputs = nn.ModuleList(), STEM
        for stage in STAGES:
            blocks = []
            for number in range(stage.blocks):
                blocks.append(Block(inputs, stage, stage.stride if number == 0 else 1))
                inputs = stage.outputs
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        planes = ((pixels - 127) / 128).to(self.stem.weight.dtype).flip(2, 3)
        found = functional.relu6(self.stem(planes), inplace=True)
        maps = []
        for stage in self.stages:
            found = stage(found)
            maps.append(found)
        return maps[2].flip(2, 3), maps[-1].flip(2, 3)


class Block(nn.Module):
    """Wider by a 1 x 1 convolution, one by channel, and narrow again; added to an input of the same shape."""

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = inputs * stage.widening
        self.expand = nn.Conv2d(inputs, wide, 1) if stage.widening > 1 else None
        self.depthwise = nn.Conv2d(wide, wide, stage.kernel, stride, stage.kernel // 2, groups=wide)
        self.project = nn.Conv2d(wide, stage.outputs, 1)
        self._adds = stride == 1 and inputs == stage.outputs

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        wide = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        found = self.project(functional.relu6(self.depthwise(wide), inplace=True))
        return x + found if self._adds else found
