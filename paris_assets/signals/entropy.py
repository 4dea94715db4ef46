"""Information entropy: low for blank pages, logos and stand-in pictures."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.signals.copies import histograms


def shannon(counts: np.ndarray) -> np.ndarray:
    """Shannon entropy in bits of histograms (..., bins)."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return -(shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum(axis=-1)


class Entropy:
    """`entropy`: mean over R, G, B of the Shannon entropy of their 256-bin histograms, bits (0 to 8).

    Images whose short side exceeds 255 pixels are sampled on a regular grid (`samples`), which moves it by less than
    0.02 bits.
    """

    schema = {"entropy": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, np.ndarray]:
        """See `Signal.measure`."""
        return {"entropy": shannon(histograms(rgb)[:, :3].astype(np.float64)).mean(axis=1)}
