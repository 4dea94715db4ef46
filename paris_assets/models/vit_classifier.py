"""Image classifiers of the ViT kind (Dosovitskiy et al. 2021) as scorers: the Paris profile's NSFW score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from transformers import ViTForImageClassification

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.carried import WeightsError
from paris_assets.models.device import place
from paris_assets.models.normalise import normalise
from paris_assets.models.preprocessing import read_preprocessing
from paris_assets.models.transformer import load

_HALF = (0.5, 0.5, 0.5)


class ViTClassifier:
    """Image scorer: the probability of one label, 0 to 1.

    Options: ``label``, a name in the checkpoint's ``id2label``; ``scaled_decode``, see ``protocols.ImageNetwork``.
    Filter, mean and deviation are those of ``preprocessor_config.json``.

    Raises:
        WeightsError: no such label, or a preprocessing that is not done here.
    """

    def __init__(self, model: Model, label: str = "nsfw", scaled_decode: bool = False) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model)
        self._network = load(ViTForImageClassification, self._folder, self._placement)
        labels = {name: int(index) for index, name in self._network.config.id2label.items()}
        if label not in labels:
            raise WeightsError(f"{self.name}: {model.path} has no label {label!r}; it has {', '.join(labels)}")
        self._label = labels[label]
        self._side = int(self._network.config.image_size)
        self.min_side = self._side if scaled_decode else None
        defaults = {"size": {"height": self._side, "width": self._side}, "resample": Image.Resampling.BILINEAR}
        self._steps = read_preprocessing(
            self._folder, self._side, {**defaults, "image_mean": _HALF, "image_std": _HALF}
        )

    @property
    def preprocess(self) -> Callable[[np.ndarray], np.ndarray]:
        """(H, W, 3) uint8 -> (side, side, 3) uint8: resized with distortion."""
        return self._steps.pixels

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, side, side, 3) uint8 -> (B,) float32."""
        return self._placement.compute(self._probabilities, batch)

    def _probabilities(self, batch: torch.Tensor) -> torch.Tensor:
        pixels = normalise(batch, self._steps.values).to(self._placement.dtype)
        return self._network(pixel_values=pixels).logits.float().softmax(1)[:, self._label]

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision)
