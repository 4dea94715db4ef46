"""What the network for watermarks begins with: EfficientNet-lite0 as it was trained on ImageNet, of its package."""

from __future__ import annotations

import torch
from torch import Tensor

from paris_assets.models import carried
from paris_assets.models.inverted_residuals import STAGES, InvertedResiduals

EPSILON = 1e-3
"""Of its batch normalisations."""


def pretrained() -> InvertedResiduals:
    """Its first stages, batch normalisation taken up by the convolutions.

    Raises:
        WeightsError: the file is absent or not the one expected.
    """
    state = torch.load(carried.EFFICIENTNET_LITE0.verified(), map_location="cpu", weights_only=True)
    weights = _folded(state, "stem", "_conv_stem", "_bn0")
    first = 0
    for number, stage in enumerate(STAGES):
        for block in range(stage.blocks):
            here, there = f"stages.{number}.{block}", f"_blocks.{first + block}"
            parts = (("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1"))
            for part, convolution, moments in (*parts[stage.widening == 1 :], ("project", "_project_conv", "_bn2")):
                weights |= _folded(state, f"{here}.{part}", f"{there}.{convolution}", f"{there}.{moments}")
        first += stage.blocks
    network = InvertedResiduals()
    network.load_state_dict(weights)
    return network


def _folded(state: dict[str, Tensor], name: str, convolution: str, moments: str) -> dict[str, Tensor]:
    """Weight, turned by half a turn, and bias of a convolution that does what it and the batch normalisation after it
    did."""
    scale = state[f"{moments}.weight"] / torch.sqrt(state[f"{moments}.running_var"] + EPSILON)
    weight = (state[f"{convolution}.weight"] * scale[:, None, None, None]).flip(2, 3)
    return {
        f"{name}.weight": weight,
        f"{name}.bias": state[f"{moments}.bias"] - state[f"{moments}.running_mean"] * scale,
    }
