"""The network before training, out of EfficientNet-lite0's weights, and its export in float16."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor

from paris_assets.models import efficientnet
from paris_assets.models.copy_detector_network import DIM, Convolution, CopyDetectorNetwork
from paris_assets.models.device import Placement

CPU = Placement(torch.device("cpu"), torch.float32, "fp32")


def pretrained_network() -> CopyDetectorNetwork:
    """With the convolutions of EfficientNet-lite0; the linear layer is to be set by `whiten`."""
    source, network = efficientnet.load(CPU), CopyDetectorNetwork()
    _fold(source._conv_stem, source._bn0, network.stem)
    blocks: Any = source._blocks
    own: Any = network.blocks
    for block, found in zip(own, blocks, strict=False):
        if block.expand is not None:
            _fold(found._expand_conv, found._bn0, block.expand)
        _fold(found._depthwise_conv, found._bn1, block.depthwise)
        _fold(found._project_conv, found._bn2, block.project)
    following = blocks[len(network.blocks)]
    _fold(following._expand_conv, following._bn0, network.last)
    return cast(CopyDetectorNetwork, cast(Any, network).to(memory_format=torch.channels_last))


@torch.no_grad()
def _fold(convolution: Any, norm: Any, into: Convolution) -> None:
    """Set a convolution to another one without bias and the batch normalisation after it."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    into.weight.copy_(convolution.weight * scale[:, None, None, None])
    into.bias.copy_(norm.bias - norm.running_mean * scale)  # pyright: ignore[reportOptionalMemberAccess]


@torch.no_grad()
def whiten(network: CopyDetectorNetwork, pooled: Tensor) -> None:
    """Set the linear layer to the leading principal components of (N, 1152) pooled maps, each of deviation 1."""
    mean = pooled.mean(0)
    _, values, directions = torch.linalg.svd(pooled - mean, full_matrices=False)
    weight = directions[:DIM] / (values[:DIM, None] / len(pooled) ** 0.5).clamp_min(1e-3)
    network.linear.weight.copy_(weight)
    network.linear.bias.copy_(-weight @ mean)


def save(network: CopyDetectorNetwork, path: Path) -> None:
    """All weights in float16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.half().contiguous() for key, value in network.state_dict().items()}, path)
