"""DINOv2 (Oquab et al. 2023): the Paris profile's image embedder."""

from __future__ import annotations

import numpy as np
import torch
from transformers import Dinov2Model

from paris_assets.config import Model
from paris_assets.models import weights
from paris_assets.models.device import place
from paris_assets.models.resize import square
from paris_assets.models.transformer import load

RESIZE, CROP = 256, 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DinoV2:
    """Image embedder: the CLS token after the final layer norm (768-d for base, 1024-d for large)."""

    min_side: int | None = RESIZE

    def __init__(self, model: Model, subfolder: str = "") -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement, self._subfolder = model, place(model), subfolder
        self._folder = weights.pretrained_folder(model, subfolder)
        self._network = load(Dinov2Model, self._folder, self._placement)
        self.dim = int(self._network.config.hidden_size)

    def preprocess(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (224, 224, 3) uint8: short side 256 bicubic, centre crop 224."""
        return square(rgb, RESIZE, CROP)

    @torch.inference_mode()
    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B, dim) float32."""
        pixels = normalise(torch.from_numpy(batch).to(self._placement.device)).to(self._placement.dtype)
        return self._network(pixel_values=pixels).last_hidden_state[:, 0].float().cpu().numpy()

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return weights.folder_identity(self._model, self._folder, self._placement.precision, self._subfolder)


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """(B, H, W, 3) uint8 -> (B, 3, H, W) float32, ImageNet mean and deviation."""
    mean, std = (torch.tensor(values, device=pixels.device) for values in (_MEAN, _STD))
    return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)
