"""SSCD (Pizzi et al. 2022): vectors by which edited copies of a picture are found, in TorchScript or safetensors.

The authors publish weights beside their code, as TorchScript (`sscd_disc_mixup.torchscript.pt`, 512 dimensions;
`sscd_disc_large.torchscript.pt`, 1,024): fetch a file once and name it by `path`, after a look at its licence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from paris_assets.config import Model
from paris_assets.models.carried import WeightsError, sha256
from paris_assets.models.device import Placement, place, ready
from paris_assets.models.normalise import IMAGENET, normalise
from paris_assets.models.resize import short_edge, stretch
from paris_assets.models.resnet import of_weights
from paris_assets.models.weight_file import SSCD_FILES, file_identity, weight_file

SQUARE, SMALL_EDGE = 320, 288
LONGEST = 8
"""Of a picture that is longer than so many times its small edge only the middle is seen."""
_PREFIX = "backbone."
_STEPS = {
    "square": partial(stretch, side=SQUARE, resample=Image.Resampling.BILINEAR),
    "small_edge": partial(short_edge, side=SMALL_EDGE, longest=LONGEST, resample=Image.Resampling.BILINEAR),
}


class Sscd:
    """Image embedder: vectors of length 1; `sscd_disc_mixup` of the authors finds copies at a cosine of 0.75.

    Options:
        resize: `square`: the whole picture at 320 x 320 pixels, which the authors recommend for batches; or
            `small_edge`: its small edge at 288, in its own shape, which needs `batch_size: 1`.
        sha256: of the file, which is not opened where it has another.
        file: its name in a repository on the hub.
    """

    min_side: int | None = None

    def __init__(
        self,
        model: Model,
        resize: Literal["square", "small_edge"] = "square",
        sha256: str | None = None,
        file: str | None = None,
    ) -> None:
        if resize not in list(_STEPS):
            raise ValueError(f"{model.implementation}: resize is {resize!r}; it is `square` or `small_edge`")
        if resize == "small_edge" and model.batch_size != 1:
            raise ValueError(f"{model.implementation}: small_edge keeps each picture's shape: set batch_size to 1")
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement, self._resize = model, place(model), resize
        self.in_flight = self._placement.in_flight
        self._file = weight_file(model, SSCD_FILES)
        _require(self._file, sha256)
        self._network = _load(self._file, self._placement)
        self.dim = int(self.run(np.zeros((1, SQUARE, SQUARE, 3), np.uint8)).shape[1])

    @property
    def preprocess(self) -> Callable[[np.ndarray], np.ndarray]:
        """(H, W, 3) uint8 -> (320, 320, 3), or with a small edge of 288: bilinear and antialiased."""
        return _STEPS[self._resize]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, h, w, 3) uint8 -> (B, dim) float32 of length 1."""
        return self._placement.compute(self._vectors, batch)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return file_identity(self._model, self._file, SSCD_FILES, self._placement.precision)

    def _vectors(self, batch: Tensor) -> Tensor:
        pixels = normalise(batch, IMAGENET).to(self._placement.dtype)
        # What is optimised after a few runs has other bits than before.
        with torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            return functional.normalize(self._network(pixels).float(), dim=1)


def _require(file: Path, expected: str | None) -> None:
    if expected and sha256(file) != expected:
        said = f"{file.name} has sha256 {sha256(file)}, options expect {expected}: it was not opened"
        raise WeightsError(f"{said}. Fetch it again, or correct `options.sha256`")


def _load(file: Path, placement: Placement) -> Callable[[Tensor], Any]:
    """Raises WeightsError: the file cannot be read, or is of another network."""
    try:
        if file.suffix == ".safetensors":
            weights = {name.removeprefix(_PREFIX): value.float() for name, value in load_file(file).items()}
            return ready(of_weights(weights).in_precision(placement.dtype), placement)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather have other formats written
            scripted = torch.jit.load(file, map_location=placement.device)
        return scripted.eval().to(placement.dtype)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{file.name} cannot be used: {str(error).splitlines()[0]}") from error
