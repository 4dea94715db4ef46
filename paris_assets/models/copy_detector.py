"""A small copy detector of our own, whose weights ship: vectors by which edited copies of a picture are found."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from paris_assets.config import Model
from paris_assets.models import carried
from paris_assets.models.copy_detector_network import DIM, CopyDetectorNetwork
from paris_assets.models.device import Placement, place, ready
from paris_assets.models.resize import stretch

SIDE = 224


class SmallCopyDetector:
    """Image embedder: 256 dimensions, of length 1.

    It finds a picture again that was cropped, mirrored, turned, recoloured, written on, framed or compressed, by the
    cosine in ``weights/copy_detector/model_card.md``, which says how well.
    """

    dim = DIM
    min_side: int | None = SIDE
    preprocess = staticmethod(partial(stretch, side=SIDE))  # the whole picture, its shape ignored

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._network = load(carried.COPY_DETECTOR.verified(), self._placement)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B, 256) float32 of length 1."""
        return vectors(self._network, batch, self._placement)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return carried.shipped_identity(self._model, carried.COPY_DETECTOR, self._placement.precision)


def load(path: Path, placement: Placement) -> CopyDetectorNetwork:
    """The network with the weights of a file, ready on its device."""
    network = CopyDetectorNetwork()
    network.load_state_dict(load_file(path))
    return ready(network.in_precision(placement.dtype), placement)


def vectors(network: CopyDetectorNetwork, batch: np.ndarray, placement: Placement) -> np.ndarray:
    """(B, S, S, 3) uint8 -> (B, 256) float32 of length 1."""
    # NHWC pixels seen as NCHW are already in channels_last order.
    return placement.compute(lambda pixels: network(pixels.permute(0, 3, 1, 2).float()), batch)
