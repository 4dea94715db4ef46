"""Information entropy: low for blank pages, logos and stand-in pictures."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from paris_assets.compiled import compiled
from paris_assets.signals.copies import histograms


@compiled
def shannon(counts: np.ndarray) -> float:
    """Shannon entropy in bits of a histogram, (bins,) int64."""
    pixels, entropy = counts.sum(), 0.0
    for count in counts:
        if count:
            entropy -= count / pixels * math.log2(count / pixels)
    return entropy


@compiled
def mean_entropy(counts: np.ndarray) -> float:
    """Mean of the entropies of histograms of R, G and B, (3, 256) int64."""
    return (shannon(counts[0]) + shannon(counts[1]) + shannon(counts[2])) / 3


class Entropy:
    """`entropy`: mean over R, G, B of the Shannon entropy of their 256-bin histograms, bits (0 to 8).

    Images whose short side exceeds 255 pixels are sampled on a regular grid (`samples`), which moves it by less than
    0.02 bits.
    """

    schema = {"entropy": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float]]:
        """See `Signal.measure`."""
        return {"entropy": [mean_entropy(counts[:3]) for counts in histograms(rgb)]}
