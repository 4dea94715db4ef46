"""EfficientNet-lite0 (Tan & Le 2019, TensorFlow's lite variant), trained on ImageNet: an embedder without a hub."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet

from paris_assets.config import Model
from paris_assets.models import carried
from paris_assets.models.device import Placement, place, ready
from paris_assets.models.resize import square

SIZE = 224


class EfficientNetLite0:
    """Image embedder: 1280 features, averaged over the last feature map."""

    dim = 1280
    min_side: int | None = SIZE
    preprocess = staticmethod(partial(square, resize=SIZE, crop=SIZE))

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size = model.implementation, model.batch_size
        self._model, self._placement = model, place(model)
        self.in_flight = self._placement.in_flight
        self._network = load(self._placement)

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) uint8 -> (B, 1280) float32."""
        return self._placement.compute(lambda pixels: features(self._network, pixels, self._placement), batch)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return carried.package_identity(self._model, carried.EFFICIENTNET_LITE0, self._placement.precision)


def load(placement: Placement) -> EfficientNet:
    """The network with its ImageNet weights, ready to run.

    Raises:
        WeightsError: the file is absent or not the one expected.
    """
    # The network package's own loader would unpickle freely.
    state = torch.load(carried.EFFICIENTNET_LITE0.verified(), map_location="cpu", weights_only=True)
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(state)
    return ready(network.to(placement.dtype), placement)


def features(network: EfficientNet, batch: torch.Tensor, placement: Placement) -> torch.Tensor:
    """(B, 224, 224, 3) uint8 RGB -> (B, 1280) float32, both on the device.

    The input is (x - 127) / 128, as in TensorFlow's lite models; the ImageNet mean and deviation in the package's
    documentation are wrong for these weights.
    """
    # NHWC pixels seen as NCHW are already in channels_last order.
    pixels = batch.permute(0, 3, 1, 2)
    maps = network.extract_features(((pixels.float() - 127) / 128).to(placement.dtype))
    return maps.float().mean((2, 3))
