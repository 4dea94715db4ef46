"""The uint8 codec of latents and text embeddings: symmetric, rounded to the nearest, zero exact.

``q = 128 + round_half_even(x / scale)``, limited to 1..255, and ``x = (q - 128) * scale``. The scale is frozen for all
files of a root, whatever else they hold. Codes of zero do not occur.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

ZERO, LARGEST = 128, 127
CODEC_VERSION = 1
ENCODE = "q = 128 + round_half_even(x / scale), limited to 1..255"
DECODE = "x = (q - 128) * scale"
MAGNITUDE = 0x7FFF
"""Bits of a float16 without its sign: they rise with the magnitude."""
CHANNELS = {"latents": -3, "text": -1}
"""Kind of arrays -> the axis of its channels, counted from the end: (..., c, h, w) and (..., positions, dim)."""


@dataclass(frozen=True)
class ArrayCodec:
    """How arrays of one kind are coded.

    Attributes:
        scales: float32 values of one step; one for all values, or one per channel.
        axis: of the channels, counted from the end; None with one scale.
    """

    scales: tuple[float, ...]
    axis: int | None = None

    def __post_init__(self) -> None:
        if not self.scales or not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise ValueError(f"scales of a codec are positive numbers, not {self.scales}")
        if self.axis is not None and not (isinstance(self.axis, int) and self.axis < 0):
            raise ValueError(f"the axis of channels is counted from the end, -1 being the last: not {self.axis!r}")
        if (self.axis is None) != (len(self.scales) == 1):
            raise ValueError(f"{len(self.scales)} scales need {'no axis' if len(self.scales) == 1 else 'an axis'}")

    @property
    def ranges(self) -> tuple[float, ...]:
        """Largest magnitudes that are kept, one per scale."""
        return tuple(LARGEST * scale for scale in self.scales)

    @cached_property
    def _steps(self) -> np.ndarray:
        scales = np.array(self.scales, np.float32)
        return scales[0] if self.axis is None else scales.reshape(-1, *(1,) * (-self.axis - 1))

    def _shaped(self, values: np.ndarray) -> np.ndarray:
        """Scales that broadcast with an array."""
        count, axis = len(self.scales), self.axis
        if axis is not None and (-axis > values.ndim or values.shape[axis] != count):
            raise ValueError(f"an array of shape {values.shape} has not {count} channels on axis {axis}")
        return self._steps


def encode(values: np.ndarray, codec: ArrayCodec) -> np.ndarray:
    """Codes of an array, of its shape, uint8 from 1 to 255; zero is 128.

    Args:
        values: float16, of any shape; other types are rounded to it first.

    Raises:
        ValueError: values that are not finite, or not so many channels as the codec has.
    """
    halves = np.ascontiguousarray(values, dtype=np.float16)
    codec._shaped(halves)
    bits = halves.view(np.uint16)
    if codec.axis is None:
        codes = _codes(codec.scales[0])[bits]
    else:
        codes = np.empty(bits.shape, np.uint8)
        parts = np.moveaxis(bits, codec.axis, 0), np.moveaxis(codes, codec.axis, 0)
        for scale, part, coded in zip(codec.scales, *parts, strict=True):
            coded[...] = _codes(scale)[part]
    if not codes.all():
        raise ValueError("values that are not finite have no code")
    return codes


def decode(codes: np.ndarray, codec: ArrayCodec) -> np.ndarray:
    """The values of codes, float32, of their shape."""
    values = codes.astype(np.float32)
    values -= ZERO
    values *= codec._shaped(codes)
    return values


def clipped(values: np.ndarray, codec: ArrayCodec) -> int:
    """How many float16 values lie beyond the range: their code is that of the largest magnitude."""
    steps = np.abs(values.astype(np.float32)) / codec._shaped(values)
    return int((np.rint(steps) > LARGEST).sum())


@lru_cache(maxsize=64)
def _codes(scale: float) -> np.ndarray:
    """Code of every float16 by its bits, (65536,) uint8; 0 for those that are not finite."""
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.isfinite(values)
    steps = np.rint(np.where(finite, values, 0) / np.float32(scale))
    return np.where(finite, steps.clip(-LARGEST, LARGEST) + ZERO, 0).astype(np.uint8)


def codecs_json(codecs: Mapping[str, ArrayCodec]) -> dict[str, Any]:
    """Codecs by kind (``latents``, ``text``) as `codec.json` and the manifest's `format` hold them."""
    kinds = {
        kind: {"scale": list(codec.scales) if codec.axis is not None else codec.scales[0], "channel_axis": codec.axis}
        for kind, codec in sorted(codecs.items())
    }
    return {"version": CODEC_VERSION, "dtype": "uint8", "encode": ENCODE, "decode": DECODE, "kinds": kinds}


def read_codecs(held: str | bytes | Mapping[str, Any]) -> dict[str, ArrayCodec]:
    """Codecs by kind, of the text or the values of a `codec.json`.

    Raises:
        ValueError: it is none, or one of a later version.
    """
    values = json.loads(held) if isinstance(held, str | bytes) else held
    try:
        version, kinds = values["version"], values["kinds"]
        if version != CODEC_VERSION:
            raise ValueError(f"a codec of version {version}; version {CODEC_VERSION} is known here")
        codecs = {}
        for kind, described in kinds.items():
            scale, axis = described["scale"], described["channel_axis"]
            codecs[kind] = ArrayCodec(tuple(scale) if isinstance(scale, list) else (scale,), axis)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no codec.json: it lacks {error}") from error
    return codecs
