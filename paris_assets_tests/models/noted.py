"""A network that notes where and when it ran."""

from __future__ import annotations

import json
import os
import time

import numpy as np

from paris_assets.config import Model
from paris_assets_tests.models.cheap import Colours


class Noted(Colours):
    """An embedder that writes a line per batch: process, the GPUs that it sees, and the time. One at a time."""

    def __init__(self, model: Model, notes: str = os.devnull) -> None:
        super().__init__(model)
        self.notes = notes

    def run(self, batch: np.ndarray) -> np.ndarray:
        start = time.time()
        time.sleep(0.1)
        said = {"pid": os.getpid(), "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", ""), "start": start}
        with open(self.notes, "a") as file:
            file.write(json.dumps({**said, "end": time.time()}) + "\n")
        return super().run(batch)
