"""Batches as one tensor each, between processes: torch hands over each tensor by a round trip of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import IterableDataset

ALIGNED = 64
SMALL_BYTES = 64 << 10
"""Tensors up to here are copied out, so that whoever keeps one does not keep its whole batch."""


class Packed(NamedTuple):
    """A batch.

    Attributes:
        data: bytes of all tensors, one after the other.
        tensors: name, dtype, shape and first byte of each.
        rest: what is no tensor.
    """

    data: torch.Tensor
    tensors: list[tuple[str, torch.dtype, torch.Size, int]]
    rest: dict[str, Any]


class PackedDataset(IterableDataset):
    """The batches of another dataset, packed."""

    def __init__(self, dataset: IterableDataset) -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[Packed]:
        return map(packed, self._dataset)


def packed(batch: dict[str, Any]) -> Packed:
    """A batch with its tensors in one."""
    at, places = 0, list[tuple[str, torch.dtype, torch.Size, int]]()
    tensors = {name: value.contiguous() for name, value in batch.items() if isinstance(value, torch.Tensor)}
    for name, tensor in tensors.items():
        places.append((name, tensor.dtype, tensor.shape, at))
        at += -(-tensor.nbytes // ALIGNED) * ALIGNED
    data = torch.empty(at, dtype=torch.uint8)
    for name, _, _, start in places:
        flat = tensors[name].reshape(-1).view(torch.uint8)
        data[start : start + len(flat)] = flat
    return Packed(data, places, {name: value for name, value in batch.items() if name not in tensors})


def unpacked(batch: Packed | dict[str, Any]) -> dict[str, Any]:
    """The batch again, in the same order of names but for those that are no tensors, which come last; large tensors
    look into the packed one."""
    if isinstance(batch, dict):
        return batch
    found = dict[str, Any]()
    for name, dtype, shape, start in batch.tensors:
        size = shape.numel() * dtype.itemsize
        tensor = batch.data[start : start + size].view(dtype).view(shape)
        found[name] = tensor.clone() if size <= SMALL_BYTES else tensor
    return {**found, **batch.rest}
