"""Colour profiles for files that say in numbers what their colours are: primaries, white and a curve."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

import numpy as np

# x and y of white, red, green and blue, as the cHRM chunk of PNG orders them.
Chromaticities = tuple[float, ...]

_D65 = (0.3127, 0.3290)
SRGB: Chromaticities = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

# ITU-T H.273, table 2; what is not here is taken for sRGB's.
PRIMARIES: dict[int, Chromaticities] = {
    1: SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}

_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_HDR_WHITE_NITS = 203.0  # ITU-R BT.2408: diffuse white of PQ; 75 % of the signal in HLG
_HLG_WHITE = 0.265


def gamma(exponent: float) -> Callable[[np.ndarray], np.ndarray]:
    """Samples in [0, 1] -> light in [0, 1], by a power."""
    return lambda samples: samples**exponent


def srgb(samples: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: samples in [0, 1] -> light in [0, 1]."""
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def pq(samples: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: samples in [0, 1] -> light, 1 at diffuse white; highlights above it are cut."""
    root = samples ** (1 / 78.84375)
    nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return np.minimum(nits / _HDR_WHITE_NITS, 1)


def hlg(samples: np.ndarray) -> np.ndarray:
    """ARIB STD-B67: samples in [0, 1] -> light of the scene, 1 at diffuse white; highlights above it are cut."""
    scene = np.where(samples <= 0.5, samples**2 / 3, (np.exp((samples - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return np.minimum(scene / _HLG_WHITE, 1)


# ITU-T H.273, table 3; what is not here (BT.709's and its like, too) is taken for sRGB's, as it is shown.
CURVES: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    4: gamma(2.2),
    5: gamma(2.8),
    8: gamma(1),
    16: pq,
    18: hlg,
}


@lru_cache(maxsize=32)
def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """ICC profile of code points of ITU-T H.273; None where they mean sRGB."""
    chromaticities, curve = PRIMARIES.get(primaries, SRGB), CURVES.get(transfer, srgb)
    return None if chromaticities is SRGB and curve is srgb else matrix_profile(chromaticities, curve)


def matrix_profile(chromaticities: Chromaticities, curve: Callable[[np.ndarray], np.ndarray]) -> bytes | None:
    """An ICC profile (version 2, three primaries and a curve), adapted to D50 by Bradford's method.

    Args:
        chromaticities: x and y of white, red, green and blue.
        curve: samples in [0, 1] -> light in [0, 1]; kept at the 256 samples that 8 bits have.

    Returns:
        The profile; None for numbers that are no colours.
    """
    white, *primaries = np.array(chromaticities, np.float64).reshape(4, 2)
    if not np.isfinite(chromaticities).all() or any(y <= 0 for _, y in (white, *primaries)):
        return None
    columns = np.stack([_xyz(primary) for primary in primaries], axis=1)
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    adapted = _adaptation(_xyz(white)) @ (columns * np.linalg.solve(columns, _xyz(white)))
    if np.abs(adapted).max() > 8:
        return None
    light = np.rint(curve(np.arange(256) / 255) * 65535).astype(">u2")
    tones = b"curv" + struct.pack(">II", 0, 256) + light.tobytes()
    named = [(name, _position(column)) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True)]
    return _icc([(b"wtpt", _position(_D50)), *named, *((name, tones) for name in (b"rTRC", b"gTRC", b"bTRC"))])


def _xyz(chromaticity: np.ndarray) -> np.ndarray:
    """(x, y) -> XYZ of luminance 1."""
    x, y = chromaticity
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: np.ndarray) -> np.ndarray:
    """(3, 3): XYZ under a white -> XYZ under D50."""
    return np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white)) @ _BRADFORD


def _position(xyz: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + np.rint(xyz * 65536).astype(">i4").tobytes()


def _icc(tags: list[tuple[bytes, bytes]]) -> bytes:
    """A display profile of these tags (ICC.1:2001-04, 6.1 and 6.2)."""
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    illuminant = np.rint(_D50 * 65536).astype(">i4").tobytes()
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + illuminant
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
