"""What a signal is, and how a profile's import paths become signals."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from paris_assets.config import Profile
from paris_assets.errors import UserError
from paris_assets.images.file import ImageFile
from paris_assets.rules.columns import FILE_COLUMNS, SOURCE_SCORES, VERDICTS
from paris_assets.settings.import_path import OWN_ERRORS, ImportPathError, in_words, load_class

DataType = pl.DataType | type[pl.DataType]
Values = Mapping[str, Sequence[Any] | np.ndarray]
Caller = Callable[[list[np.ndarray], list[ImageFile]], Values]
FILES = "files"
RESERVED = ("image_id", "undecodable", "error", *FILE_COLUMNS)


class SignalError(UserError, ValueError):
    """A signal cannot be used, or fails; the message names it."""


@runtime_checkable
class Signal(Protocol):
    """Measurements of images. To add your own, write such a class anywhere and name it in the profile.

    An instance is made once, without arguments, and used by several threads at once: keep no state between calls.
    A value must depend on its own image alone, so that results are the same however images are batched. Every file is
    read and decoded once for all signals; what cannot be decoded is given to none.

    Attributes:
        schema: the columns that this signal adds, and their types. Use None for a value that cannot be computed
            (an image too small, say), never a default.
        measure: measures a batch. Its parameters are what it reads: `measure(self, rgb)`, `measure(self, files)` or
            `measure(self, rgb, files)`.

            - `rgb` (or any other name): images as (H, W, 3) uint8, of different sizes, to be read only. Widen before
              arithmetic: uint8 wraps.
            - `files`: their `ImageFile`: `data`, the bytes as fetched; `header` and `blocks`, read from them on demand.

            It gives for each column of `schema` one value per image, in their order.
    """

    @property
    def schema(self) -> Mapping[str, DataType]:
        """See above."""
        ...

    @property
    def measure(self) -> Callable[..., Mapping[str, Sequence[Any] | np.ndarray]]:
        """See above."""
        ...


def call(signal: Signal, rgb: list[np.ndarray], files: list[ImageFile]) -> Values:
    """What a signal measures of a batch, given what it reads."""
    return caller(signal)(rgb, files)


def caller(signal: Signal) -> Caller:
    """`call` of one signal, for many batches: what it reads is found out once."""
    reads = _reads(signal)

    def call(rgb: list[np.ndarray], files: list[ImageFile]) -> Values:
        return signal.measure(*(files if name == FILES else rgb for name in reads))

    return call


def _reads(signal: Signal) -> list[str]:
    """Parameters of `measure` that want a value."""
    try:
        parameters = inspect.signature(signal.measure).parameters.values()
    except (TypeError, ValueError):  # compiled code does not always tell
        return ["rgb"]
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in positional and each.default is each.empty] or ["rgb"]


def encoded_files_problem(profile: Profile) -> str | None:
    """Why signals cannot be measured on images that ``ingest.encode`` made, or None: what a file says of itself (its
    compression, its metadata) is gone with the bytes as fetched, and must not be told of those that were made here."""
    if profile.ingest.encode is None:
        return None
    readers = [path for path in profile.signals.measures if FILES in _reads(_load(path))]
    if not readers:
        return None
    return (
        f"signals.measures: {', '.join(readers)}: read the files as fetched, which ingest.encode does not keep: take "
        "them out (size_bytes, width, height and format of raw_images are still those of the file as fetched), or keep "
        "the files: --set ingest.encode=null"
    )


def load_signals(paths: Sequence[str]) -> list[Signal]:
    """Instances of the classes at `package.module:Class` import paths.

    Raises:
        SignalError: a path that leads to no signal, or a column that two signals share; names the paths.
    """
    signals: list[Signal] = []
    owners = dict.fromkeys(RESERVED, "the table itself") | dict.fromkeys(VERDICTS, "filtered_images")
    owners |= dict.fromkeys(SOURCE_SCORES, "the source")
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
    reads = _reads(signal)
    if len(set(reads) - {FILES}) > 1 or len(reads) > len(set(reads)):
        raise SignalError(f"signals.measures: {path}: measure reads {', '.join(reads)}; there are rgb and files")
    for column, dtype in signal.schema.items():
        if not isinstance(dtype, pl.DataType | type(pl.DataType)):
            raise SignalError(
                f"signals.measures: {path} gives column {column!r} the type {dtype!r}, which polars lacks"
            )
    return signal
