"""An embedder that is fast where its pictures are slow, as on a GPU whose node has few cores."""

from __future__ import annotations

import os
import time
from functools import partial

import numpy as np

from paris_assets.config import Model
from paris_assets_tests.models.cheap import Colours


def slowly(rgb: np.ndarray, notes: str) -> np.ndarray:
    """The row of a picture, and a line with the node's name; both it and the time are variables of the node."""
    time.sleep(float(os.environ.get("FED_WAIT_S", 0)))
    with open(notes, "a") as file:
        file.write(os.environ.get("FED_NODE", "here") + "\n")
    return Colours.preprocess(rgb)


class Fed(Colours):
    """Notes where its rows were made."""

    def __init__(self, model: Model, notes: str = os.devnull) -> None:
        super().__init__(model)
        self.preprocess = partial(slowly, notes=notes)
