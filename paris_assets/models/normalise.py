"""Pixel values as networks were trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from paris_assets.models.transfer import numbers


class Normalisation(NamedTuple):
    """Mean and deviation of red, green and blue, of values in [0, 1]."""

    mean: Sequence[float]
    std: Sequence[float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def normalise(pixels: torch.Tensor, values: Normalisation) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32 on the same device, so that a quarter of the bytes is copied there."""
    mean, std = (numbers(tuple(part), pixels.device) for part in values)
    return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)
