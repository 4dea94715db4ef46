"""Pairs of close hashes in a file: of pictures in clumps there may be hundreds of times as many as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from paris_assets.compute import Compute
from paris_assets.curation.hamming import close_pairs

FIRST = 1 << 12  # links of the first block
MOST = 1 << 20  # of any block


def links_of(hashes: np.ndarray, radius: int, scratch: Path, compute: Compute | None = None) -> np.ndarray:
    """(L, 2) uint32 positions of hashes at most `radius` bits apart, read from a file without a name.

    Args:
        hashes: (N,) uint64, strictly ascending.
        scratch: local folder of the file.
        compute: who searches; by default the threads of this process.
    """
    count = 0
    with TemporaryFile(dir=scratch) as file:  # the map keeps it open
        for left, right, _ in close_pairs(hashes, radius, compute):
            file.write(np.stack([left, right], axis=1).tobytes())
            count += len(left)
        file.flush()
        return np.memmap(file, np.uint32, "r", shape=(count, 2)) if count else np.zeros((0, 2), np.uint32)


def spread(links: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks that are all links together, each spread over all of them and twice as long as the one before.

    So the first blocks connect most, and of later ones little is left to look at.
    """
    step = 1 << max(0, (len(links) // FIRST).bit_length() - 1)
    every = links[::step]
    while True:
        for start in range(0, len(every), MOST):
            yield np.array(every[start : start + MOST])
        if step == 1:
            return
        every = links[step // 2 :: step]
        step //= 2
