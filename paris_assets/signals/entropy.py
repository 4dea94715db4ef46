"""Information entropy: low for blank pages, logos and stand-in pictures."""

from __future__ import annotations

import numpy as np
import polars as pl
from PIL import Image

from paris_assets.signals.copies import samples


def shannon(counts: np.ndarray) -> np.ndarray:
    """Shannon entropy in bits of histograms (..., bins)."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return -(shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum(axis=-1)


class Entropy:
    """`entropy`: mean over R, G, B of the Shannon entropy of their 256-bin histograms, bits (0 to 8).

    Images whose short side exceeds 511 pixels are sampled on a regular grid (`samples`), which moves it by less than
    0.02 bits.
    """

    schema = {"entropy": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, np.ndarray]:
        """See `Signal.measure`."""
        counts = [Image.fromarray(pixels).histogram() for pixels in samples(rgb)]
        return {"entropy": shannon(np.array(counts, np.float64).reshape(-1, 3, 256)).mean(axis=1)}
