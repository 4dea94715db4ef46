"""Perceptual hashes, and the thumbnail that verifies what they claim."""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.fft
from PIL import Image

from paris_assets.images.resize import resized
from paris_assets.signals.copies import greys, samples

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
        grey = [Image.fromarray(pixels) for pixels in greys(rgb)]
        small = np.stack([_resized(image, DCT_SIDE, DCT_SIDE) for image in grey])
        steps = np.stack([_resized(image, HASH_SIDE + 1, HASH_SIDE) for image in grey])
        thumbnails = np.stack([thumbnail(pixels) for pixels in samples(rgb)])
        return {"phash": phash(small), "dhash": dhash(steps), "thumbnail": thumbnails}


def phash(small: np.ndarray) -> np.ndarray:
    """(N, 32, 32) uint8 luma -> (N,) uint64, first bit highest (imagehash's order).

    The DCT is scipy's: another summation order would flip bits of flat or striped images, whose coefficients are
    zero but for rounding.
    """
    frequencies = np.asarray(scipy.fft.dct(scipy.fft.dct(small.astype(np.float64), axis=1), axis=2))
    flat = frequencies[:, :HASH_SIDE, :HASH_SIDE].reshape(len(small), -1)
    return _packed(flat > np.median(flat, axis=1, keepdims=True))


def dhash(steps: np.ndarray) -> np.ndarray:
    """(N, 8, 9) uint8 luma -> (N,) uint64, first bit highest (imagehash's order)."""
    return _packed((steps[:, :, 1:] > steps[:, :, :-1]).reshape(len(steps), -1))


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 sample -> (384,) uint8: 16 x 16 luma, 8 x 8 Cb, 8 x 8 Cr (JPEG's YCbCr), area averages."""
    small = resized(Image.fromarray(rgb), (LUMA_SIDE, LUMA_SIDE), Image.Resampling.BOX).convert("YCbCr")
    chroma = small.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX)
    planes = [np.asarray(small)[..., 0], np.asarray(chroma)[..., 1], np.asarray(chroma)[..., 2]]
    return np.concatenate([plane.ravel() for plane in planes])


def _resized(image: Image.Image, width: int, height: int) -> np.ndarray:
    return np.asarray(resized(image, (width, height), Image.Resampling.LANCZOS))


def _packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).ravel()
