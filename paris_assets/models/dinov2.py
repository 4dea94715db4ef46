"""DINOv2 (Oquab et al. 2023): the Paris profile's image embedder."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from transformers import Dinov2Model

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.device import place
from paris_assets.models.normalise import IMAGENET, normalise
from paris_assets.models.resize import square
from paris_assets.models.transformer import load

RESIZE, CROP = 256, 224


class DinoV2:
    """Image embedder: the CLS token after the final layer norm (768-d for base, 1024-d for large).

    Options: ``subfolder`` of a pipeline's repository; ``scaled_decode``, see ``protocols.ImageNetwork``.
    """

    preprocess = staticmethod(partial(square, resize=RESIZE, crop=CROP))  # short side 256 bicubic, centre crop 224

    def __init__(self, model: Model, subfolder: str = "", scaled_decode: bool = False) -> None:
        self.min_side = RESIZE if scaled_decode else None
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement, self._subfolder = model, place(model), subfolder
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model, subfolder)
        self._network = load(Dinov2Model, self._folder, self._placement)
        self.dim = int(self._network.config.hidden_size)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B, dim) float32."""
        return self._placement.compute(self._vectors, batch)

    def _vectors(self, batch: torch.Tensor) -> torch.Tensor:
        pixels = normalise(batch, IMAGENET).to(self._placement.dtype)
        return self._network(pixel_values=pixels).last_hidden_state[:, 0].float()

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision, self._subfolder)
