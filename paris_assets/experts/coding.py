"""Samples as the formats store them: float16, or the uint8 codes of the profile's codec."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from paris_assets.experts.arrays import Sample
from paris_assets.formats.codec import CHANNELS, ArrayCodec, clipped, codecs_json, encode

CODEC = "codec.json"
Codecs = Mapping[str, ArrayCodec]


def codecs_of(ranges: pl.LazyFrame | None) -> dict[str, ArrayCodec]:
    """Codecs by kind of arrays (``latents``, ``text``), of rows of `value_ranges`; none without it."""
    if ranges is None:
        return {}
    rows = ranges.select("kind", "channel", "scale").sort("kind", "channel").collect()
    codecs = {}
    for (kind,), of_kind in rows.group_by("kind", maintain_order=True):
        axis = None if of_kind["channel"].has_nulls() else CHANNELS[str(kind)]
        codecs[str(kind)] = ArrayCodec(tuple(of_kind["scale"]), axis)
    return codecs


def codec_bytes(codecs: Codecs) -> bytes:
    """`codec.json`, which lies beside what is coded."""
    return (json.dumps(codecs_json(codecs), indent=1, sort_keys=True) + "\n").encode()


def dtype_of(codecs: Codecs, kind: str) -> str:
    """The type in which arrays of a kind are stored."""
    return "uint8" if kind in codecs else "float16"


class Coder:
    """Codes arrays, and counts the values that lie beyond the range.

    Args:
        codecs: by kind; arrays of other kinds stay as they are.
    """

    def __init__(self, codecs: Codecs) -> None:
        self.codecs = codecs
        self._clipped: Counter[str] = Counter()
        self._values: Counter[str] = Counter()

    def array(self, kind: str, values: np.ndarray) -> np.ndarray:
        """Values of a kind as they are stored, of their shape."""
        codec = self.codecs.get(kind)
        if codec is None:
            return values
        self._clipped[kind] += clipped(values, codec)
        self._values[kind] += int(np.count_nonzero(values))
        return encode(values, codec)

    def sample(self, sample: Sample) -> Sample:
        """A sample as it is stored."""
        latents = {size: self.array("latents", latent) for size, latent in sample.latents.items()}
        return sample._replace(latents=latents, text=self.array("text", sample.text))

    @property
    def facts(self) -> dict[str, Any]:
        """``clipped``: kind -> share of the values other than zero that are beyond the range; empty without a codec."""
        shares = {kind: self._clipped[kind] / max(self._values[kind], 1) for kind in sorted(self._values)}
        return {"clipped": shares} if self.codecs else {}
