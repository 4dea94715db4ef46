"""ResNet-50 (He et al. 2016) with GeM pooling, its parameters named as torchvision does, which is no dependency."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

POWER = 3.0
STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
"""Of each stage: bottlenecks, channels inside them, stride of the first."""
_WIDEN = 4
_SMALLEST = 1e-6


class GemResNet50(nn.Module):
    """(B, 3, H, W) normalised pixels -> (B, dim): the generalised mean (GeM, power 3) of the last maps and a linear
    layer. Pooling and the linear layer compute in fp32.

    Args:
        dim: of the vectors.
        width: of 64: by how much all layers are narrower, for tests.
    """

    def __init__(self, dim: int, width: int = 64) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        channels = width
        for number, (blocks, inside, stride) in enumerate(STAGES, 1):
            inside = inside * width // 64
            layer = list[Bottleneck]()
            for index in range(blocks):
                layer.append(Bottleneck(channels, inside, stride if index == 0 else 1))
                channels = inside * _WIDEN
            self.add_module(f"layer{number}", nn.Sequential(*layer))
        self.fc = nn.Linear(channels, dim)

    def in_precision(self, dtype: torch.dtype) -> GemResNet50:
        """Itself, its convolutions in a dtype, in place."""
        self.to(dtype)
        self.fc.float()
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        maps = functional.max_pool2d(functional.relu(self.bn1(self.conv1(pixels))), 3, 2, 1)
        for number in range(1, len(STAGES) + 1):
            maps = self.get_submodule(f"layer{number}")(maps)
        return self.fc(maps.float().clamp_min(_SMALLEST).pow(POWER).mean((2, 3)).pow(1 / POWER))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, added to what came in; the stride is the second's (version 1.5)."""

    def __init__(self, channels: int, inside: int, stride: int) -> None:
        super().__init__()
        after = inside * _WIDEN
        self.conv1, self.bn1 = nn.Conv2d(channels, inside, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv2, self.bn2 = nn.Conv2d(inside, inside, 3, stride, 1, bias=False), nn.BatchNorm2d(inside)
        self.conv3, self.bn3 = nn.Conv2d(inside, after, 1, bias=False), nn.BatchNorm2d(after)
        self.downsample = None
        if stride != 1 or channels != after:
            self.downsample = nn.Sequential(nn.Conv2d(channels, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, 4 inside, h / stride, w / stride)."""
        found = functional.relu(self.bn1(self.conv1(maps)))
        found = functional.relu(self.bn2(self.conv2(found)))
        return functional.relu(self.bn3(self.conv3(found)) + (self.downsample(maps) if self.downsample else maps))


def of_weights(weights: Mapping[str, Tensor]) -> GemResNet50:
    """The network of these weights, as `state_dict` names them.

    Raises:
        ValueError: they are of another network; the message names some.
    """
    try:
        network = GemResNet50(len(weights["fc.bias"]), len(weights["bn1.weight"]))
        network.load_state_dict(dict(weights))
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"no weights of a ResNet-50 with GeM pooling: {str(error).splitlines()[-1].strip()}"
        ) from error
    return network
