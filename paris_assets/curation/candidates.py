"""Pairs of thumbnails that may show the same picture, without aligning all with all.

Thousands of images can share one pHash: flat ones of every colour, pages of text, one banner above other words. To
align all their pairs takes minutes. What `same_picture` asks of a pair bounds how far apart simple measures of the two
can be: `keys`, a few numbers, and `vectors`, coarse pictures. So the left side is cut into cells of near keys (a k-d
tree), a cell meets only the rows whose keys are in its reach, and one matrix product per cell compares vectors. No pair
that `same_picture` accepts is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from paris_assets.curation.same_picture import (
    CHROMA_SIDE,
    FLAT,
    FLAT_DIFFERENCE,
    LUMA_SIDE,
    MAX_CHROMA_DIFFERENCE,
    MAX_COARSE_DIFFERENCE,
    MAX_GAIN,
    coarse,
    detrended,
)

CELL = 32  # rows of the left side
WIDE_CELL = 256  # where smaller cells would meet no fewer rows
BLOCK = 1 << 14  # rows of the right side that a cell meets at a time
SLACK = 1.01  # for the rounding of float32
COARSE_CHROMA = 4  # 4 x 4 means of a chroma plane
BATCH = 1 << 14  # thumbnails measured at a time


class Kind(NamedTuple):
    """Thumbnails of which two may show the same picture only if every key differs by at most 1, and every vector too.

    `member` (N,) bool; `keys` (N, K) float32; `vectors`: (N, D) float32 each, compared by Euclidean distance.
    """

    member: np.ndarray
    keys: np.ndarray
    vectors: tuple[np.ndarray, ...]


class Candidates:
    """Candidate pairs among (N, 384) uint8 thumbnails of `PerceptualHash`."""

    def __init__(self, thumbnails: np.ndarray) -> None:
        parts = [_kinds(thumbnails[start : start + BATCH]) for start in range(0, max(len(thumbnails), 1), BATCH)]
        self.flat, self.textured = (
            Kind(
                np.concatenate([kind.member for kind in kinds]),
                np.concatenate([kind.keys for kind in kinds]),
                tuple(np.concatenate(vectors) for vectors in zip(*(kind.vectors for kind in kinds), strict=True)),
            )
            for kinds in zip(*parts, strict=True)
        )

    def between(self, left: np.ndarray, right: np.ndarray) -> Iterator[np.ndarray]:
        """Blocks of (P, 2) int64 pairs, one of `left` and one of `right`, among them all that show the same picture.

        Args:
            left, right: positions of thumbnails, each distinct. The two may overlap; a pair comes at most twice.
        """
        for kind in (self.flat, self.textured):
            sides = left[kind.member[left]], right[kind.member[right]]
            for cell, met in _cells(kind.keys, *sides):
                for start in range(0, len(met), BLOCK):
                    yield _close(kind, cell, met[start : start + BLOCK])


def _kinds(thumbnails: np.ndarray) -> tuple[Kind, Kind]:
    """Flat and textured ones; those that may be judged as either are of both kinds."""
    pixels = thumbnails.astype(np.float64) - 128
    luma = detrended(pixels[:, : LUMA_SIDE**2])
    contrast = luma.std(axis=1)
    # One half less the other: the mean of any signs times the difference is at most the mean difference.
    side = np.sign(np.arange(LUMA_SIDE) - (LUMA_SIDE - 1) / 2)
    signs = np.stack([np.ones((LUMA_SIDE, LUMA_SIDE)), side + 0 * side[:, None], side[:, None] + 0 * side])
    levels = pixels[:, : LUMA_SIDE**2] @ signs.reshape(3, -1).T / LUMA_SIDE**2
    step = CHROMA_SIDE // COARSE_CHROMA
    planes = pixels[:, LUMA_SIDE**2 :].reshape(-1, 2, COARSE_CHROMA, step, COARSE_CHROMA, step).mean(axis=(3, 5))
    chroma = planes.reshape(len(planes), -1) / np.sqrt(2 * COARSE_CHROMA**2)  # distances are root mean squares
    tint = planes.mean(axis=(2, 3)) / np.sqrt(2)
    gain = np.log(np.maximum(contrast, 1e-9))[:, None] / np.log(MAX_GAIN)
    texture = coarse(luma / np.maximum(contrast, 1e-9)[:, None])
    texture /= MAX_COARSE_DIFFERENCE * np.sqrt(texture.shape[1])
    flat_keys = np.concatenate([levels, tint], axis=1) / FLAT_DIFFERENCE
    textured_keys = np.concatenate([gain, tint / MAX_CHROMA_DIFFERENCE], axis=1)
    return (
        _kind(contrast < FLAT, flat_keys, chroma / FLAT_DIFFERENCE),
        _kind(contrast * MAX_GAIN * SLACK >= FLAT, textured_keys, texture, chroma / MAX_CHROMA_DIFFERENCE),
    )


def _kind(member: np.ndarray, keys: np.ndarray, *vectors: np.ndarray) -> Kind:
    return Kind(member, keys.astype(np.float32), tuple(vector.astype(np.float32) for vector in vectors))


def _cells(keys: np.ndarray, left: np.ndarray, right: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Parts of `left`, halved along the key that spreads most, each with those of `right` whose keys are in reach."""
    if len(left) == 0:
        return
    low, high = keys[left].min(axis=0), keys[left].max(axis=0)
    met = right[((keys[right] >= low - SLACK) & (keys[right] <= high + SLACK)).all(axis=1)]
    spread = high - low
    if len(left) <= (CELL if spread.max() > 1 else WIDE_CELL):
        yield left, met
        return
    order = left[np.argpartition(keys[left, spread.argmax()], len(left) // 2)]
    yield from _cells(keys, order[: len(left) // 2], met)
    yield from _cells(keys, order[len(left) // 2 :], met)


def _close(kind: Kind, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(P, 2) of `left` x `right` whose keys and vectors are close."""
    close = np.ones((len(left), len(right)), bool)
    for vectors in kind.vectors:
        a, b = vectors[left], vectors[right]
        # |a - b|^2 = |a|^2 + |b|^2 - 2 ab
        product = a @ b.T
        product *= -2
        product += np.square(a).sum(axis=1)[:, None]
        close &= product <= SLACK**2 - np.square(b).sum(axis=1)
    at, met = np.nonzero(close)
    near = (np.abs(kind.keys[left[at]] - kind.keys[right[met]]) <= SLACK).all(axis=1)
    return np.stack([left[at[near]], right[met[near]]], axis=1)
