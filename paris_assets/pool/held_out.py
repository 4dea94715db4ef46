"""Which pairs are held out of every training of a run, so that no copy of one is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from paris_assets.pool.contrastive import BLOCK_ROWS, Pairs
from paris_assets.vectors.half_precision import hashes

COMMONEST = 0.01
"""Share of the rows above which those of one image or caption are never held out: too many to train without."""
NEAR = 0.98
"""Cosine, about the mean of all images, from which on a held-out image is a copy of one that is trained on."""


class Copies(NamedTuple):
    """(n,) numbers that are equal for rows of one caption, and for rows of one image."""

    caption: np.ndarray
    image: np.ndarray


@dataclass(frozen=True)
class Split:
    """One run's division of the rows.

    Attributes:
        test: (m,) positions, each of another image and caption.
        train: (n,) bool, without any row of an image or a caption that is held out.
    """

    test: np.ndarray
    train: np.ndarray


def copies_of(captions: pl.Series, image: np.ndarray) -> Copies:
    """Which rows have one caption, and which one image.

    Args:
        captions: (n,) compared without regard to case and white space; null and blank ones are equal.
        image: (n, D) float16 or float32, compared bit by bit.
    """
    bits = np.ascontiguousarray(image).view(np.uint16)
    plain = captions.fill_null("").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    return Copies(*(np.unique(values, return_inverse=True)[1] for values in (plain.to_numpy(), hashes(bits, 0))))


def split(copies: Copies, pairs: Pairs, most: int, seed: int) -> Split:
    """Hold out rows drawn by ``seed`` from the whole pool, no two of one image or caption: no subset has a say in it.

    The noise of the pool is in the test as well, the same for all subsets; it lowers every value and favours none, or
    rather those that are like the pool as a whole. Rows that share the image or the caption of a held-out one are
    neither trained on nor measured; chains of such rows are followed no further, as those of a noisy pool join it all.

    Args:
        most: rows to hold out; never more than a fifth of the distinct images or captions.

    Returns:
        Rows whose image is nearly that of a row to train on are not among the test.
    """
    counts = [np.bincount(numbers) for numbers in copies]
    most_rows = max(1, COMMONEST * len(copies.image))
    rare = np.logical_and(*(count[numbers] <= most_rows for count, numbers in zip(counts, copies, strict=True)))
    drawn = np.random.default_rng([seed, 2]).permutation(np.flatnonzero(rare))
    for numbers in copies:
        drawn = drawn[np.sort(np.unique(numbers[drawn], return_index=True)[1])]
    test = np.sort(drawn[: min(most, *(np.count_nonzero(count) // 5 for count in counts))])
    train = ~np.logical_or(*(np.isin(numbers, numbers[test]) for numbers in copies))
    return Split(test[~_near(pairs, test, np.flatnonzero(train))], train)


def _near(pairs: Pairs, test: np.ndarray, train: np.ndarray) -> np.ndarray:
    """(m,) bool: whether a row to train on has nearly the same image."""
    held, near = _directions(pairs, test), np.zeros(len(test), bool)
    for at in range(0, len(train), BLOCK_ROWS):
        near |= (held @ _directions(pairs, train[at : at + BLOCK_ROWS]).T > NEAR).any(1)
    return near


def _directions(pairs: Pairs, rows: np.ndarray) -> np.ndarray:
    vectors = pairs.image.read(rows)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
