"""Blur, noise, colour cast, exposure: how a photograph went wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import polars as pl
import scipy.special

from paris_assets.compiled import compiled
from paris_assets.signals import kernels
from paris_assets.signals.copies import greys, histograms, samples, step_energies
from paris_assets.signals.edges import BLOCK, LAGS, noise_blocks

CLIPPED = 3  # levels next to black and white that count as clipped
NOISE_BLOCK_ROWS = 20
NOISE_FLOOR = 2.0  # grey levels that quantisation, compression and fine texture make alone
QUIET_SHARE = 0.05
QUIET_RATIO = 0.864  # of the quietest 5 % of blocks of white noise to its deviation
BRIGHTNESS = (32, 223)  # mean levels between which noise is not cut off
MOST_BLUR = 16.0
LEAST_ENERGY = 1.0  # grey levels^2 over 8 pixels; flatter images have no edges to judge by
IMMERKAER = math.sqrt(math.pi / 2) / 6
CAST_STEP = 4  # of the sample
CURVE_STEPS = 4096

_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1
_LIGHT = np.arange(CURVE_STEPS + 2) / CURVE_STEPS
_CURVE = np.where(_LIGHT > (6 / 29) ** 3, np.cbrt(_LIGHT), _LIGHT / (3 * (6 / 29) ** 2) + 4 / 29)  # CIE 15


class Degradation:
    """Null where an image is too small, or too flat, to tell.

    - `blur`: standard deviation, in native pixels, of the Gaussian that makes a level or upright edge as soft as this
      picture's edges are: by the energy of steps over 8 pixels against that over 2 (`edges.step_energies`, without noise's). 0 is
      as sharp as pixels allow, 16 the most that is told. Enlarging blurs.
    - `noise`: standard deviation of additive noise in grey levels (Immerkaer 1996, "Fast noise variance estimation"), in
      the quietest 5 % of blocks of 16 x 16 native pixels that are neither flat nor nearly black or white; 0 below 2,
      which compression and texture make alone. Images without eight such blocks are measured as a whole.
    - `colour_cast`: distance of the mean colour from grey over the spread of colours, both in the a, b plane of CIELAB
      (the equivalent circle of Gasparini and Schettini 2004); spreads below 1, the just noticeable difference, count as 1.
    - `exposure`, `contrast`: mean and standard deviation of the luma, 0 to 1.
    - `shadows`, `highlights`: shares of pixels whose luma is within 3 levels of black, of white.
    """  # noqa: E501

    schema: Mapping[str, type[pl.DataType]] = dict.fromkeys(
        ("blur", "noise", "colour_cast", "exposure", "contrast", "shadows", "highlights"), pl.Float64
    )

    def measure(self, rgb: list[np.ndarray]) -> dict[str, list[float | None]]:
        """See `Signal.measure`."""
        tones = zip(*(_tones(counts[3]) for counts in histograms(rgb)), strict=True)
        return {
            "blur": edge_widths(step_energies(rgb)),
            "noise": [noise_sigma(grey) for grey in greys(rgb)],
            "colour_cast": [colour_cast(planes[:3]) for planes in samples(rgb)],
            **dict(zip(("exposure", "contrast", "shadows", "highlights"), map(list, tones), strict=True)),
        }


def edge_widths(energies: np.ndarray) -> list[float | None]:
    """The blur of `Degradation` of each of `copies.step_energies`, (N, 3); None where there are no edges."""
    fine, coarse = energies[:, LAGS.index(2)], energies[:, LAGS.index(8)]
    widths = np.interp(coarse / np.maximum(fine, 1e-9), _RATIOS, _WIDTHS).tolist()
    return [width if steep else None for width, steep in zip(widths, coarse >= LEAST_ENERGY, strict=True)]


def _step_energy(lag: int, width: np.ndarray) -> np.ndarray:
    """Energy of steps over so many pixels of a straight edge that a Gaussian of this deviation softens.

    The integral of (F(x + k) - F(x))^2 for a normal distribution F is E|X - X' + k| - E|X - X'|.
    """
    away = 2 * width / math.sqrt(math.pi) * np.exp(-((lag / (2 * width)) ** 2)) + lag * scipy.special.erf(
        lag / (2 * width)
    )
    return away - 2 * width / math.sqrt(math.pi)


_WIDTHS = np.linspace(0, MOST_BLUR, 801)
_RATIOS = _step_energy(8, _WIDTHS.clip(0.02)) / _step_energy(2, _WIDTHS.clip(0.02))


def noise_sigma(grey: np.ndarray) -> float | None:
    """The noise of `Degradation`, grey levels, of (H, W) uint8 luma; None below 3 pixels on a side."""
    if min(grey.shape) < 3:
        return None
    sigma = _quiet_sigma(grey) if min(grey.shape) >= BLOCK + 2 else None
    sigma = _whole_sigma(grey) if sigma is None else sigma
    return sigma if sigma > NOISE_FLOOR else 0.0


@compiled
def _quiet_sigma(grey: np.ndarray) -> float | None:
    """By the quietest blocks; None where too few can be used."""
    responses, levels = noise_blocks(grey, math.ceil((grey.shape[0] - 2) // BLOCK / NOISE_BLOCK_ROWS))
    low, high = BRIGHTNESS[0] * BLOCK**2, BRIGHTNESS[1] * BLOCK**2
    usable = np.sort(responses[(responses > 0) & (levels > low) & (levels < high)])
    if len(usable) < 8:
        return None
    return IMMERKAER * usable[int(QUIET_SHARE * len(usable))] / BLOCK**2 / QUIET_RATIO


def _whole_sigma(grey: np.ndarray) -> float:
    levels = grey.astype(np.int32)
    rows = levels[:-2] - 2 * levels[1:-1] + levels[2:]
    return IMMERKAER * float(np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]).mean())


@compiled
def colour_cast(planes: np.ndarray) -> float:
    """Distance of the mean of (a, b) from grey over their spread, from R, G and B of a sample, (3, h, w) uint8."""
    a, b, a_squares, b_squares, count = kernels.chroma_moments(planes, CAST_STEP, _LINEAR, _CURVE)
    a, b = a / count, b / count
    spread = math.sqrt(max(0.0, a_squares / count - a**2 + b_squares / count - b**2))
    return math.hypot(a, b) / max(1.0, spread)


@compiled
def _tones(counts: np.ndarray) -> tuple[float, float, float, float]:
    """Mean, standard deviation (0 to 1), and shares near black and near white, of a histogram of luma, (256,)."""
    levels, pixels = np.arange(256), counts.sum()
    mean = (counts * levels).sum() / pixels
    deviation = math.sqrt((counts * (levels - mean) ** 2).sum() / pixels)
    near_black, near_white = counts[:CLIPPED].sum() / pixels, counts[-CLIPPED:].sum() / pixels
    return mean / 255, deviation / 255, near_black, near_white
