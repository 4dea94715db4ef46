"""A network that takes as long as a test wants."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from paris_assets_tests.models.cheap import Redness

WHILE = "PARIS_TEST_WAITS_WHILE"
"""Variable with the path of a file: while it is there, nothing is computed."""


class Waiting(Redness):
    """A scorer: mean red, 0-1; once it is let."""

    def run(self, batch: np.ndarray) -> np.ndarray:
        named = os.environ.get(WHILE)
        while named and Path(named).exists():
            time.sleep(0.1)
        return super().run(batch)
