"""The columns of training samples in Parquet, by what the manifest says of their members."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from paris_assets.export.parquet import described

METADATA, TEXT, LATENT = "metadata.json", "clip_emb.npy", "latent.npy"
FIRST = ("image_id", "caption", "cluster", "split", "tokens", "url")
FIELDS = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "list of strings": pa.list_(pa.string()),
    "number": pa.float64(),
    "object": pa.string(),
    "string": pa.string(),
}
"""Type of a field of `metadata.json` in the words of the manifest; an object is JSON."""
Stored = Mapping[str, bytes]
"""Member of a sample -> its content."""


class Array(NamedTuple):
    """A column of arrays.

    Attributes:
        member: of a sample, which holds it; it may be absent.
        shape: its sizes. One that differs between samples is None; where it is not the first one alone, arrays are
            bytes, and a column beside them holds their shapes.
    """

    name: str
    member: str
    dtype: np.dtype
    shape: tuple[int | None, ...]
    said: str

    @property
    def as_bytes(self) -> bool:
        """Whether its shapes are in a column of their own."""
        return None in self.shape[1:]

    @property
    def kind(self) -> pa.DataType:
        """Its Arrow type: lists of fixed size, and of no size where the first one differs."""
        return pa.binary() if self.as_bytes else _list_of(self.dtype, self.shape)

    def values(self, arrays: Sequence[np.ndarray | None]) -> dict[str, pa.Array]:
        """Column -> its Arrow values; those of None are null.

        Raises:
            ValueError: an array of another type or shape than all have.
        """
        for array in arrays:
            if array is not None and not self._fits(array):
                raise ValueError(
                    f"{self.member} of {array.dtype} {array.shape}, where {self.dtype} {self.shape} is told"
                )
        if self.as_bytes:
            shapes = [None if array is None else array.shape for array in arrays]
            data = pa.array([None if array is None else array.tobytes() for array in arrays], pa.binary())
            return {self.name: data, shape_column(self.name): pa.array(shapes, pa.list_(pa.int32()))}
        nulls = pa.array([array is None for array in arrays])
        ragged, sizes = self.shape[0] is None, [size or 0 for size in self.shape]
        blank = np.zeros((0 if ragged else sizes[0], *sizes[1:]), self.dtype)
        parts = [blank if array is None else array for array in arrays]
        inner = _nested(np.concatenate([blank[:0], *parts]))
        if ragged:
            ends = pa.array(np.cumsum([0, *map(len, parts)], dtype=np.int32))
            return {self.name: pa.ListArray.from_arrays(ends, inner, mask=nulls)}
        return {self.name: pa.FixedSizeListArray.from_arrays(inner, sizes[0], mask=nulls)}

    def _fits(self, array: np.ndarray) -> bool:
        same = array.ndim == len(self.shape) and array.dtype == self.dtype
        return same and all(size in (None, found) for size, found in zip(self.shape, array.shape, strict=True))


class SampleColumns:
    """All columns of a root's samples.

    Args:
        form: the manifest's `format`.
    """

    def __init__(self, form: Mapping[str, Any]) -> None:
        held, smallest = form["samples"]["members"], form["latents"]["resolution"]
        names = {TEXT: "text", LATENT: f"latent_{smallest}"}
        self.arrays = list[Array]()
        for member, told in held.items():
            if member.endswith(".npy"):
                name = names[member] if member in names else member.removesuffix(".npy")
                self.arrays.append(Array(name, member, np.dtype(told["dtype"]), _shape(told), told["meaning"]))
        fields = {name: told.replace(TEXT, "text").partition(": ") for name, told in held[METADATA]["fields"].items()}
        self._kinds = {name: kind.removesuffix(" or null") for name, (kind, _, _) in fields.items()}
        kinds = {name: FIELDS[kind] for name, kind in self._kinds.items()}
        said = {
            name: f"{text}; as JSON" if self._kinds[name] == "object" else text for name, (_, _, text) in fields.items()
        }
        first = [name for name in FIRST if name in kinds]
        columns = {name: kinds[name] for name in first}
        for array in self.arrays:
            said |= {array.name: array.said}
            columns |= {array.name: array.kind}
            if array.as_bytes:
                said |= {shape_column(array.name): f"shape of {array.name}"}
                columns |= {shape_column(array.name): pa.list_(pa.int32())}
        columns |= {name: kinds[name] for name in sorted(kinds.keys() - set(first))}
        self.schema = described(pa.schema(list(columns.items())), said)

    def table(self, samples: Sequence[Stored]) -> pa.Table:
        """Samples as rows.

        Raises:
            ValueError: a member that is not what the manifest tells.
        """
        found = [json.loads(sample[METADATA]) for sample in samples]
        columns = {
            name: pa.array([_plain(row.get(name), kind) for row in found], FIELDS[kind])
            for name, kind in self._kinds.items()
        }
        for array in self.arrays:
            members = [sample.get(array.member) for sample in samples]
            columns |= array.values([None if data is None else _array(data) for data in members])
        return pa.table([columns[name] for name in self.schema.names], schema=self.schema)


def shape_column(name: str) -> str:
    """The column that holds the shapes of arrays."""
    return f"{name}_shape"


def _plain(value: Any, kind: str) -> Any:
    return json.dumps(value, ensure_ascii=False) if kind == "object" and value is not None else value


def _array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def _shape(told: Mapping[str, Any]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in told["shape"])


def _list_of(dtype: np.dtype, shape: Sequence[int | None]) -> pa.DataType:
    kind: pa.DataType = pa.from_numpy_dtype(dtype)
    for size in reversed(shape):
        kind = pa.list_(kind) if size is None else pa.list_(kind, size)
    return kind


def _nested(values: np.ndarray) -> pa.Array:
    """(N, sizes) as N lists of fixed sizes."""
    found = pa.array(np.ascontiguousarray(values).ravel())
    for size in reversed(values.shape[1:]):
        found = pa.FixedSizeListArray.from_arrays(found, size)
    return found
