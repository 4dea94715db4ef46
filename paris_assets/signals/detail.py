"""Texture without a direction, and detail that a picture's size promises and its pixels lack."""

from __future__ import annotations

import numpy as np
import polars as pl

from paris_assets.signals import kernels
from paris_assets.signals.copies import greys, step_energies
from paris_assets.signals.edges import LAGS, TENSOR_BLOCK, structure

SIDE = 256
LEAST_ENERGY = 1.0  # grey levels^2 over 8 pixels
MOST_SOFT = 64.0  # of a ramp, whose steps over 8 pixels are eight times those over 1


class Detail:
    """Null where an image is too small or too flat to tell.

    - `texture`: share of the energy of diagonal one-pixel steps without a direction within 8 x 8 pixels (structure
      tensor), of the luma at a short side of 256 to 511 pixels (block means; smaller images as they are). 0 for lines
      and edges, towards 1 for noise, foliage and fabrics.
    - `upscaled`: energy of steps over 8 native pixels against that over 1, without noise's (`edges.step_energies`):
      about 8 for sharp photographs, 14 when enlarged twice, 30 when four times, 64 at most. Blur cannot be told from
      it.
    """

    schema = {"texture": pl.Float64, "upscaled": pl.Float64}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        return {
            "texture": [texture(grey) for grey in greys(rgb)],
            "upscaled": [softness(energies) for energies in step_energies(rgb)],
        }


def texture(grey: np.ndarray) -> float | None:
    """Share of gradient energy without a direction, of (H, W) uint8 luma; None where there is none, or no block."""
    factor = min(grey.shape) // SIDE
    reduced = kernels.reduced(grey, factor) if factor > 1 else grey
    if min(reduced.shape) <= TENSOR_BLOCK:
        return None
    isotropic, whole = structure(reduced)
    return isotropic / whole if whole else None


def softness(energies: np.ndarray) -> float | None:
    """The `upscaled` of `Detail` from `edges.step_energies`, (3,)."""
    fine, coarse = energies[LAGS.index(1)], energies[LAGS.index(8)]
    if not coarse >= LEAST_ENERGY:
        return None
    return float(min(coarse / max(fine, 1e-9), MOST_SOFT))
