"""Heads: small networks on the stored vectors of an image encoder, as their authors publish them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.special import expit
from torch import nn

from paris_assets.config import Model
from paris_assets.models.carried import WeightsError, sha256
from paris_assets.models.head_card import head_file, is_hub_head, read_card
from paris_assets.process import cores

_NESTED = ("model_state_dict", "state_dict")
ROWS = 32
"""A batch is filled to a multiple of so many: the last rows of another are rounded by their place in it."""
_ACTIVATIONS = {"relu": nn.ReLU, "none": nn.Identity}


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, D) -> float32 of length one, every row by itself; a row of zeros has no direction: NaN."""
    wide = vectors.astype(np.float64)
    with np.errstate(invalid="ignore"):  # rows that pad a batch are zeros
        return (wide / np.sqrt(np.square(wide).sum(axis=1, keepdims=True))).astype(np.float32)


class MlpHead:
    """Linear layers, each with or without batch normalisation behind it, in fp32 on the CPU.

    Their sizes are those of the file: LAION's aesthetic predictor is 768-1024-128-64-16-1 without activations, seed
    detectors of generated images are 1152-512-128-1 with batch normalisation, ReLU and a sigmoid. Options: those that
    ``head_card.read_card`` reads, for a file that states nothing itself; ``file`` within a hub's repository.

    Raises:
        WeightsError: the file is absent, states nothing, contradicts the profile or holds no such network.
    """

    layers: int | None = None

    def __init__(
        self,
        model: Model,
        encoder: Mapping[str, str] | None = None,
        normalisation: str | None = None,
        activation: str | None = None,
        output: str | None = None,
        file: str | None = None,
    ) -> None:
        self.name, self.batch_size, self.in_flight = model.implementation, model.batch_size, cores()
        self.card, self._model, self._file = read_card(model), model, head_file(model)
        self._network = sequential(read_state(self._file), self.card.activation, self._file.name)
        linear = [layer for layer in self._network if isinstance(layer, nn.Linear)]
        if linear[-1].out_features != 1 or self.layers not in (None, len(linear)):
            sizes = "-".join(str(size) for size in (linear[0].in_features, *(layer.out_features for layer in linear)))
            raise WeightsError(f"{self.name}: {self._file.name} holds {sizes}: no single score, or too many layers")
        self.dim = linear[0].in_features
        if self.card.dimension not in (None, self.dim):
            raise WeightsError(f"{self._file.name} says {self.card.dimension} dimensions, and its weights {self.dim}")

    @torch.inference_mode()
    def run(self, vectors: np.ndarray) -> np.ndarray:
        """(B, dim) vectors as the encoder gave them -> (B,) float32."""
        inputs = unit(vectors) if self.card.normalisation == "l2" else vectors.astype(np.float32)
        filled = np.pad(inputs, ((0, -len(inputs) % ROWS), (0, 0)))
        logits = self._network(torch.from_numpy(filled))[: len(inputs), 0].numpy()
        # Value by value: torch's sigmoid rounds the last of them otherwise.
        return expit(logits.astype(np.float64)).astype(np.float32) if self.card.output == "sigmoid" else logits

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        path = str(self._model.path)
        return {
            "implementation": self.name,
            "source": path if is_hub_head(path) else self._file.name,
            "revision": self._model.revision,
            "sha256": sha256(self._file),
            "precision": "fp32",
        }


class LinearHead(MlpHead):
    """One linear layer, such as LAION's first aesthetic predictors."""

    layers = 1


class Cosine:
    """Cosine of a vector with that of a text, -1 to 1."""

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size

    def run(self, vectors: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """(N, dim) of images and of their texts -> (N,) float32; every row by itself."""
        products = unit(vectors).astype(np.float64) * unit(texts).astype(np.float64)
        return products.sum(axis=1).astype(np.float32)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return {"implementation": self.name, "source": None, "revision": None, "sha256": None, "precision": "fp32"}


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """Parameters of a published file; nothing in a ``.pth`` is run.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        found: Any = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:  # of safetensors, zip archives, pickles and torch: whichever, it is no such file
        raise WeightsError(f"{file.name} holds no weights that can be read: {error}".partition("\n")[0]) from error
    found = next((found[name] for name in _NESTED if name in found), found)
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def sequential(state: Mapping[str, torch.Tensor], activation: str, where: str) -> nn.Sequential:
    """The network of a ``torch.nn.Sequential``'s parameters: linear layers in the order of their numbers, each with the
    batch normalisation that follows it, and ``activation`` between them. Dropout has no parameters, nor effect here.

    Raises:
        WeightsError: other layers, or none; names the file ``where``.
    """
    modules: list[nn.Module] = []
    for prefix in sorted({name.rpartition(".")[0] for name in state}, key=_number):
        values = {name.rpartition(".")[2]: value for name, value in state.items() if name.rpartition(".")[0] == prefix}
        layer = _layer(values)
        if layer is None or (isinstance(layer, nn.BatchNorm1d) and not modules):
            raise WeightsError(f"{where}: {prefix or 'its weight'} is neither a linear layer nor batch normalisation")
        if isinstance(layer, nn.Linear) and modules:
            modules.append(_ACTIVATIONS[activation]())
        modules.append(layer)
    if not modules or not isinstance(modules[-1], nn.Linear):
        raise WeightsError(f"{where} holds no linear layer at its end")
    return nn.Sequential(*modules).requires_grad_(False).eval()


def _number(prefix: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", prefix)]


def _layer(values: Mapping[str, torch.Tensor]) -> nn.Module | None:
    """A layer with these parameters, in fp32."""
    weight = values.get("weight")
    if weight is None:
        return None
    if "running_mean" in values:
        layer: nn.Module = nn.BatchNorm1d(len(weight))
    elif weight.ndim == 2:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in values)
    else:
        return None
    layer.load_state_dict({name: value.clone() for name, value in values.items()})
    return layer.float()
