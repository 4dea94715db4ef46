"""What a signal is, and how a profile's import paths become signals."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

RESERVED = ("image_id", "undecodable", "error")


@runtime_checkable
class Signal(Protocol):
    """Measurements of decoded images. To add your own, write such a class anywhere and name it in the profile.

    An instance is made once, without arguments, and used by several threads at once: keep no state between calls.
    A value must depend on its own image alone, so that results are the same however images are batched.

    Attributes:
        schema: the columns that this signal adds, and their types. Use None for a value that cannot be computed
            (an image too small, say), never a default.
    """

    schema: Mapping[str, pl.DataType | type[pl.DataType]]

    def measure(self, rgb: list[np.ndarray]) -> Mapping[str, Sequence[Any] | np.ndarray]:
        """Measure a batch.

        Args:
            rgb: images as (H, W, 3) uint8, of different sizes, to be read only. Widen before arithmetic: uint8 wraps.

        Returns:
            For each column of `schema` one value per image, in the order of `rgb`.
        """
        ...


def load_signals(paths: Sequence[str]) -> list[Signal]:
    """Instances of the classes at `package.module:Class` import paths.

    Raises:
        ValueError: a path that leads to no signal, or a column that two signals share; names the paths.
    """
    signals: list[Signal] = []
    owners: dict[str, str] = dict.fromkeys(RESERVED, "paris_assets.signals.measure")
    for path in paths:
        signal = _load(path)
        for column in signal.schema:
            if column in owners:
                raise ValueError(f"signals.measures: {path} and {owners[column]} both have a column {column!r}")
            owners[column] = path
        signals.append(signal)
    return signals


def _load(path: str) -> Signal:
    module, _, name = path.partition(":")
    try:
        signal = getattr(importlib.import_module(module), name)()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f"signals.measures: {path!r} is no `package.module:Class` made without arguments") from error
    if not isinstance(signal, Signal):
        raise ValueError(f"signals.measures: {path} lacks `schema` or `measure` (see paris_assets.signals.signal)")
    return signal
