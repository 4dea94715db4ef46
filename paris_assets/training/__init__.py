"""Readers of what was written for training, and the training of heads; each is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paris_assets.training.dataset import BatchDataset as BatchDataset
    from paris_assets.training.dataset import expert_dataset as expert_dataset
    from paris_assets.training.dataset import router_dataset as router_dataset
    from paris_assets.training.loader import Loader as Loader
    from paris_assets.training.router_arrays import RouterArrays as RouterArrays
    from paris_assets.training.samples import ExpertSamples as ExpertSamples

_HOMES = {
    "BatchDataset": "dataset",
    "ExpertSamples": "samples",
    "Loader": "loader",
    "RouterArrays": "router_arrays",
    "expert_dataset": "dataset",
    "router_dataset": "dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
