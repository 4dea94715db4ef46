"""Batches of an expert's samples, as torch tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from paris_assets.errors import UsageError
from paris_assets.training.listing import CorruptSample, Row, rows_of
from paris_assets.training.prompt import drops, read_prompt
from paris_assets.training.samples import ExpertSamples, Stored

INFINITE, MINUS_INFINITE = 0x7C00, 0xFC00
"""Bits of float16."""
NUMBERS = ("tokens", "cluster", "split")


class ExpertBatches:
    """Reads batches of one shape of latents.

    Args:
        samples: of an expert.
        caption_dropout: share of captions in whose place the empty prompt is put.
        seed: of that choice, which is made anew in each epoch.
        positions: of the text in every batch, at least those of the longest; None: of the longest in the batch.
        fields: further values of `metadata.json` to give: tensors of numbers, else lists.
        dtype: of latents and text; None: as stored, float32 where that is 8 bits.
    """

    def __init__(
        self,
        samples: ExpertSamples,
        *,
        caption_dropout: float = 0.0,
        seed: int = 0,
        positions: int | None = None,
        fields: Sequence[str] = (),
        dtype: torch.dtype | None = None,
    ) -> None:
        self.samples, self.shape, self.block = samples, samples.rows["latent_form"], samples.rows["block"]
        self.weights = samples.rows["weight"]
        self._rate, self._seed, self._fields, self._dtype = caption_dropout, seed, tuple(fields), dtype
        self._prompt = read_prompt(samples) if caption_dropout else None
        self._positions = positions or 0

    @property
    def identity(self) -> np.ndarray:
        """(N,) of bytes: the images."""
        return self.samples.rows["image_id"]

    def batch(self, numbers: np.ndarray, epochs: np.ndarray) -> dict[str, Any]:
        """Samples by their numbers.

        Returns:
            latent (B, 4, h, w), text (B, positions, dim) with zeros after each text's end, mask (B, positions) bool,
            tokens, cluster, split, index (B) int64, dropped (B) bool; image_id and caption as lists; ``fields``; and
            where corrupt samples are skipped, ``corrupt``: what is wrong with those that are not in the batch.

        Raises:
            CorruptSample: of a sample; where those are skipped, only when none of the batch is left.
        """
        rows = rows_of(self.samples.rows[numbers])
        read = self.samples.read(rows)
        kept = [at for at, each in enumerate(read) if isinstance(each, Stored)]
        corrupt = [each for each in read if isinstance(each, CorruptSample)]
        batch = self._stacked(rows, numbers, epochs, read, kept) if kept else {}
        spoiled = self._not_finite(batch, [rows[at] for at in kept]) if kept else {}
        if spoiled:
            corrupt += spoiled.values()
            if not self.samples.skips:
                raise corrupt[0]
            kept = [at for number, at in enumerate(kept) if number not in spoiled]
            batch = self._stacked(rows, numbers, epochs, read, kept) if kept else {}
        if not kept:
            raise corrupt[0]
        return {**batch, "corrupt": [str(each) for each in corrupt]} if self.samples.skips else batch

    def _stacked(
        self, rows: list[Row], numbers: np.ndarray, epochs: np.ndarray, read: Sequence[Any], kept: list[int]
    ) -> dict[str, Any]:
        rows, stored = [rows[at] for at in kept], [read[at] for at in kept]
        dropped = [self._drops(row, epoch) for row, epoch in zip(rows, epochs[kept].tolist(), strict=True)]
        tokens = np.array([row.tokens for row in rows], np.int64)
        text = self._texts([each.text for each in stored], dropped)
        if self._prompt:
            tokens[dropped] = self._prompt.tokens
        latent = self.samples.decoded(np.stack([each.latent for each in stored]), "latents")
        captions = ["" if gone else each.caption for each, gone in zip(stored, dropped, strict=True)]
        return {
            "latent": self._tensor(latent),
            "text": self._tensor(text),
            "mask": torch.from_numpy(np.arange(text.shape[1]) < tokens[:, None]),
            "tokens": torch.from_numpy(tokens),
            **{name: torch.tensor([getattr(row, name) for row in rows]) for name in ("cluster", "split")},
            "index": torch.from_numpy(numbers[kept].astype(np.int64)),
            "dropped": torch.tensor(dropped),
            "image_id": [row.image_id.decode() for row in rows],
            "caption": captions,
            **self._further(rows),
        }

    def _texts(self, stored: list[np.ndarray], dropped: list[bool]) -> np.ndarray:
        """(B, positions, dim), decoded, with zeros after the end of each."""
        longest = max(len(text) for text in stored)
        if self._prompt and any(dropped):
            longest = max(longest, len(self._prompt.text))
        positions = self._positions or longest
        if longest > positions:
            raise UsageError(f"positions={positions}, and a text of the batch has {longest}: give at least that")
        if all(len(text) == positions for text in stored):
            found = self.samples.decoded(np.stack(stored), "text")
        else:
            found = None
            for row, text in enumerate(stored):
                values = self.samples.decoded(text, "text")
                if found is None:
                    found = np.zeros((len(stored), positions, text.shape[1]), values.dtype)
                found[row, : len(values)] = values
            assert found is not None
        if self._prompt:
            for row in np.flatnonzero(dropped).tolist():
                found[row, : len(self._prompt.text)] = self._prompt.text
                found[row, len(self._prompt.text) :] = 0
        return found

    def _drops(self, row: Row, epoch: int) -> bool:
        return self._prompt is not None and drops(self._rate, self._seed, epoch, row.image_id)

    def _not_finite(self, batch: dict[str, Any], rows: list[Row]) -> dict[int, CorruptSample]:
        """Number in the batch -> what is said of a sample with infinities or NaN."""
        found = dict[int, CorruptSample]()
        for name in ("latent", "text"):
            if not all_finite(batch[name]):
                for number, row in enumerate(rows):
                    if not all_finite(batch[name][number]):
                        fault = f"values of its {name} are not finite"
                        found.setdefault(number, self.samples.store.listing.corrupt_row(row, fault))
        return found

    def _further(self, rows: list[Row]) -> dict[str, Any]:
        if not self._fields:
            return {}
        known = [self.samples.store.metadata(row) for row in rows]
        return {name: _column(name, known) for name in self._fields}

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self._dtype) if self._dtype else torch.from_numpy(values)


def all_finite(values: torch.Tensor) -> bool:
    """Whether there is neither an infinity nor NaN."""
    if values.dtype != torch.float16:
        return bool(torch.isfinite(values).all())
    # Finite values lie below +inf as signed integers, and below -inf as unsigned ones: nothing is copied.
    bits = values.contiguous().numpy()
    return not bits.size or bool(bits.view(np.int16).max() < INFINITE and bits.view(np.uint16).max() < MINUS_INFINITE)


def _column(name: str, known: list[dict[str, Any]]) -> Any:
    for each in known:
        if name not in each:
            raise UsageError(f"no {name} in the metadata of a sample, which has {', '.join(sorted(each))}")
    values = [each[name] for each in known]
    return torch.tensor(values) if all(isinstance(value, int | float) for value in values) else values
