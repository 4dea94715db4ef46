"""Batches of the router's rows, as torch tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from paris_assets.training.codec import decoded
from paris_assets.training.router_arrays import RouterArrays


class RouterBatches:
    """Reads batches of rows.

    Args:
        rows: the router's arrays.
        arrays: further ones to give: ``embeddings``, ``clip``.
        dtype: of latents and further arrays; None: as stored, float32 where that is 8 bits.

    Raises:
        MissingFiles: an array is not there.
    """

    def __init__(self, rows: RouterArrays, arrays: Sequence[str] = (), dtype: torch.dtype | None = None) -> None:
        self.rows, self._dtype, self._arrays = rows, dtype, ("latents", *arrays)
        self.shape = self.block = np.zeros(len(rows), np.int64)
        self.weights = np.ones(len(rows))
        for name in self._arrays:
            rows.read(name, np.zeros(1, np.int64))

    @property
    def identity(self) -> np.ndarray:
        """(N,) S32: the images."""
        return self.rows.image_ids

    def batch(self, numbers: np.ndarray, epochs: np.ndarray) -> dict[str, Any]:
        """Rows by their numbers.

        Returns:
            latent (B, 4, h, w), label int64, split int64, index int64 (B), image_id as a list, and further arrays
            under their names.
        """
        # In the order of the file, which a disk reads fastest.
        order = np.argsort(numbers)
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        values = {name: self.rows.read(name, numbers[order])[back] for name in self._arrays}
        values["latents"] = decoded(values["latents"], self.rows.codecs, "latents")
        typed = {name: torch.from_numpy(array).to(self._dtype) for name, array in values.items()}
        return {
            "latent": typed.pop("latents"),
            "label": torch.from_numpy(self.rows.labels[numbers]),
            "split": torch.from_numpy(self.rows.split[numbers].astype(np.int64)),
            "index": torch.from_numpy(numbers.astype(np.int64)),
            "image_id": [name.decode() for name in self.rows.image_ids[numbers]],
            **typed,
        }
