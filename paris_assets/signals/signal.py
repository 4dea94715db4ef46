"""What a signal is, and how a profile's import paths become signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from paris_assets.errors import UserError
from paris_assets.rules.columns import FILE_COLUMNS, SOURCE_SCORES
from paris_assets.settings.import_path import OWN_ERRORS, ImportPathError, in_words, load_class

DataType = pl.DataType | type[pl.DataType]
RESERVED = ("image_id", "undecodable", "error", *FILE_COLUMNS)


class SignalError(UserError, ValueError):
    """A signal cannot be used, or fails; the message names it."""


@runtime_checkable
class Signal(Protocol):
    """Measurements of decoded images. To add your own, write such a class anywhere and name it in the profile.

    An instance is made once, without arguments, and used by several threads at once: keep no state between calls.
    A value must depend on its own image alone, so that results are the same however images are batched.

    Attributes:
        schema: the columns that this signal adds, and their types. Use None for a value that cannot be computed
            (an image too small, say), never a default.
    """

    schema: Mapping[str, DataType]

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
        SignalError: a path that leads to no signal, or a column that two signals share; names the paths.
    """
    signals: list[Signal] = []
    owners = dict.fromkeys(RESERVED, "the table itself") | dict.fromkeys(SOURCE_SCORES, "the source")
    for path in paths:
        signal = _load(path)
        for column in signal.schema:
            if column in owners:
                raise SignalError(f"signals.measures: {path} and {owners[column]} both have a column {column!r}")
            owners[column] = path
        signals.append(signal)
    return signals


def _load(path: str) -> Signal:
    try:
        signal = load_class(path)()
    except ImportPathError as error:
        raise SignalError(f"signals.measures: {error}") from error
    except OWN_ERRORS as error:
        raise SignalError(f"signals.measures: {path} cannot be made without arguments: {in_words(error)}") from error
    if not isinstance(signal, Signal) or not isinstance(signal.schema, Mapping):
        raise SignalError(f"signals.measures: {path} lacks `schema` or `measure` (see paris_assets/signals/signal.py)")
    for column, dtype in signal.schema.items():
        if not isinstance(dtype, pl.DataType | type(pl.DataType)):
            raise SignalError(
                f"signals.measures: {path} gives column {column!r} the type {dtype!r}, which polars lacks"
            )
    return signal
