"""Perceptual hashes, and the thumbnail that verifies what they claim."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.fft

from paris_assets.compiled import compiled
from paris_assets.signals import kernels
from paris_assets.signals.copies import greys, resized, samples

HASH_SIDE = 8
DCT_SIDE = 32
LUMA_SIDE = 16
CHROMA_SIDE = 8
THUMBNAIL_BYTES = LUMA_SIDE**2 + 2 * CHROMA_SIDE**2


class PerceptualHash:
    """64-bit hashes and a colour thumbnail.

    - `phash`: signs of the low DCT frequencies against their median, equal to `imagehash.phash` bit for bit.
    - `dhash`: signs of horizontal steps, equal to `imagehash.dhash`.
    - `thumbnail`: 384 uint8: 16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr.
    """

    schema = {"phash": pl.UInt64, "dhash": pl.UInt64, "thumbnail": pl.Array(pl.UInt8, THUMBNAIL_BYTES)}

    def measure(self, rgb: list[np.ndarray]) -> dict[str, np.ndarray]:
        """See `Signal.measure`."""
        small = np.array([resized(grey, DCT_SIDE, DCT_SIDE) for grey in greys(rgb)])
        steps = np.array([resized(grey, HASH_SIDE + 1, HASH_SIDE) for grey in greys(rgb)])
        thumbnails = np.array([thumbnail(planes[:3]) for planes in samples(rgb)])
        return {"phash": phash(small), "dhash": dhash(steps), "thumbnail": thumbnails}


def phash(small: np.ndarray) -> np.ndarray:
    """(N, 32, 32) uint8 luma -> (N,) uint64, first bit highest (imagehash's order).

    The DCT is scipy's: another summation order would flip bits of flat or striped images, whose coefficients are
    zero but for rounding.
    """
    frequencies = np.asarray(scipy.fft.dct(scipy.fft.dct(small.astype(np.float64), axis=1), axis=2))
    flat = frequencies[:, :HASH_SIDE, :HASH_SIDE].reshape(len(small), -1)
    ranked, middle = np.sort(flat, axis=1), flat.shape[1] // 2
    return _packed(flat > (ranked[:, middle - 1 : middle] + ranked[:, middle : middle + 1]) / 2)


def dhash(steps: np.ndarray) -> np.ndarray:
    """(N, 8, 9) uint8 luma -> (N,) uint64, first bit highest (imagehash's order)."""
    return _packed((steps[:, :, 1:] > steps[:, :, :-1]).reshape(len(steps), -1))


@compiled
def thumbnail(planes: np.ndarray) -> np.ndarray:
    """R, G and B of a sample, (3, h, w) uint8 -> (384,) uint8: 16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr (JPEG's YCbCr), area
    averages."""
    red, green, blue = (
        kernels.area_means(planes[0], LUMA_SIDE),
        kernels.area_means(planes[1], LUMA_SIDE),
        kernels.area_means(planes[2], LUMA_SIDE),
    )
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    cb, cr = (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128
    whole = np.concatenate((luma.ravel(), _halved(cb).ravel(), _halved(cr).ravel()))
    return np.minimum(np.maximum(np.rint(whole), 0), 255).astype(np.uint8)


@compiled
def _halved(plane: np.ndarray) -> np.ndarray:
    """Means of each two by two."""
    upper, lower = plane[::2], plane[1::2]
    return (upper[:, ::2] + upper[:, 1::2] + lower[:, ::2] + lower[:, 1::2]) / 4


def _packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel()
