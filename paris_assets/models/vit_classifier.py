"""Image classifiers of the ViT kind (Dosovitskiy et al. 2021) as scorers: the Paris profile's NSFW score."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import ViTForImageClassification

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.device import place
from paris_assets.models.normalise import Normalisation, normalise
from paris_assets.models.resize import stretch
from paris_assets.models.transformer import load

PREPROCESSOR = "preprocessor_config.json"
_HALF = (0.5, 0.5, 0.5)
_STEPS = ("resize", "rescale", "normalize")


class ViTClassifier:
    """Image scorer: the probability of one label, 0 to 1.

    Options: ``label``, a name in the checkpoint's ``id2label``; ``scaled_decode``, see ``protocols.ImageNetwork``.
    Filter, mean and deviation are those of ``preprocessor_config.json``.

    Raises:
        WeightsError: no such label, or a preprocessing other than resize, rescale and normalise.
    """

    def __init__(self, model: Model, label: str = "nsfw", scaled_decode: bool = False) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._folder = weights.pretrained_folder(model)
        self._network = load(ViTForImageClassification, self._folder, self._placement)
        labels = {name: int(index) for index, name in self._network.config.id2label.items()}
        if label not in labels:
            raise weights.WeightsError(f"{self.name}: {model.path} has no label {label!r}; it has {', '.join(labels)}")
        self._label = labels[label]
        self._side = int(self._network.config.image_size)
        self.min_side = self._side if scaled_decode else None
        settings = json.loads((self._folder / PREPROCESSOR).read_text())
        problem = _other_preprocessing(settings, self._side)
        if problem:
            raise weights.WeightsError(f"{self.name}: {PREPROCESSOR} of {model.path} {problem}")
        self._resample = Image.Resampling(settings.get("resample", Image.Resampling.BILINEAR))
        self._values = Normalisation(settings.get("image_mean", _HALF), settings.get("image_std", _HALF))

    def preprocess(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (side, side, 3) uint8: resized with distortion."""
        return stretch(rgb, self._side, self._resample)

    @torch.inference_mode()
    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, side, side, 3) uint8 -> (B,) float32."""
        pixels = normalise(torch.from_numpy(batch).to(self._placement.device), self._values)
        logits = self._network(pixel_values=pixels.to(self._placement.dtype)).logits.float()
        return logits.softmax(1)[:, self._label].cpu().numpy()

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision)


def _other_preprocessing(settings: dict[str, Any], side: int) -> str | None:
    """What the checkpoint's processor does beside resizing to a square, rescaling and normalising."""
    size = settings.get("size", side)
    if size not in (side, {"height": side, "width": side}):
        return f"resizes to {size}; only a resize to {side} x {side} is done here"
    if settings.get("do_center_crop") or not all(settings.get(f"do_{step}", True) for step in _STEPS):
        return f"crops, or leaves out one of {', '.join(_STEPS)}: that is not done here"
    return None
