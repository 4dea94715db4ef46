"""Files of heads, as their authors publish them and as ours are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from paris_assets.models.head_card import METADATA

LAION = (1024, 128, 64, 16)


def laion_linear(dim: int) -> nn.Linear:
    """LAION's first aesthetic predictors: one layer."""
    torch.manual_seed(1)
    return nn.Linear(dim, 1)


def laion_mlp(dim: int) -> nn.Module:
    """LAION's aesthetic predictor V2, by the layout of its published file: ``layers.0``, ``2``, ``4``, ``6``, ``7``."""
    torch.manual_seed(2)
    one, two, three, four = LAION
    network = nn.Module()
    network.layers = nn.Sequential(
        nn.Linear(dim, one), nn.Dropout(0.2), nn.Linear(one, two), nn.Dropout(0.2), nn.Linear(two, three),
        nn.Dropout(0.1), nn.Linear(three, four), nn.Linear(four, 1),
    )  # fmt: skip
    network.forward = network.layers.forward  # type: ignore[method-assign]
    return network.eval()


def aigc_mlp(dim: int) -> nn.Module:
    """A detector of generated images as the original trains it: ``classifier.0`` to ``classifier.8``."""
    torch.manual_seed(3)
    network = nn.Module()
    network.classifier = nn.Sequential(
        nn.Linear(dim, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(512, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 1),
    )  # fmt: skip
    for layer in network.classifier:
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    network.forward = network.classifier.forward  # type: ignore[method-assign]
    return network.eval()


def publish(network: nn.Module, file: Path, nested: str | None = None) -> Path:
    """The file as published, without a word on encoder or normalisation."""
    state = network.state_dict()
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save({nested: state, "epoch": 3} if nested else state, file)
    return file


def with_card(network: nn.Module, file: Path, **card: Any) -> Path:
    """A file that states what it is."""
    save_file(network.state_dict(), file, {METADATA: json.dumps(card)})
    return file
