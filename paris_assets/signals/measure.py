"""All CPU measurements of an image from one read and one decode, on every core."""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from PIL import Image
from threadpoolctl import ThreadpoolController

from paris_assets.config import Signals
from paris_assets.images.decode import Undecodable, decode_rgb
from paris_assets.images.file import ImageFile
from paris_assets.process import cores
from paris_assets.settings.import_path import OWN_ERRORS, SHIPPED, in_words
from paris_assets.signals.signal import Caller, DataType, Signal, SignalError, Values, caller, load_signals
from paris_assets.spent import CLOCK, DECODING

BATCH_IMAGES = 4
LAST_IMAGES = 2  # for each thread: the last of a shard, which go one by one, so that threads end together
BATCH_PIXELS = 4_000_000  # decoded pixels after which a thread measures what it holds: they are to stay in its cache
FRAME_BATCHES = 1024 // BATCH_IMAGES


class _Batch(NamedTuple):
    """Some images: why each could not be decoded, and what each signal measured of those that could."""

    image_ids: list[str]
    errors: list[str | None]
    parts: list[list[Values]]


def signal_schema(settings: Signals) -> dict[str, DataType]:
    """Columns and types of `measure`, for these settings."""
    columns = {name: dtype for signal in load_signals(settings.measures) for name, dtype in signal.schema.items()}
    return {"image_id": pl.String, **columns, "undecodable": pl.Boolean, "error": pl.String}


def signal_problem(settings: Signals) -> str | None:
    """Why these signals cannot be used, or None; those that are not of this package are tried on a small picture."""
    try:
        own = [signal for signal in load_signals(settings.measures) if not type(signal).__module__.startswith(SHIPPED)]
        for signal in own:
            pixels, file = np.zeros((64, 64, 3), np.uint8), ImageFile(_small_picture())
            _columns(signal, [_values(signal, caller(signal), [pixels], [file])])
    except SignalError as error:
        return str(error)
    return None


def _small_picture() -> bytes:
    """A black JPEG of 64 x 64 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG")
    return buffer.getvalue()


def measure(images: Iterable[tuple[str, bytes]], settings: Signals) -> Iterator[pl.DataFrame]:
    """Measure images with every signal that the settings name.

    Images are decoded once each, by threads (decoders, Pillow and numpy release the GIL). Only a window of
    `2 x threads` batches of 4 images is held, and 2 images per thread ahead of it, whatever the length of `images`.

    Args:
        images: (image_id, file bytes), sorted by image_id.

    Yields:
        Frames of up to 1,024 rows in the order of `images`: `image_id`, the columns of each signal, `undecodable` and
        `error`. An image without pixels has null in every signal's column, `undecodable` true and the cause in `error`.
        No images: one empty frame.

    Raises:
        SignalError: unusable settings, or a signal that breaks its contract; names the signal.
    """
    signals = load_signals(settings.measures)
    batches = _measured_batches(images, signals, settings.threads or cores())
    empty = True
    while found := list(islice(batches, FRAME_BATCHES)):
        empty = False
        yield _frame(found, signals)
    if empty:
        yield pl.DataFrame(schema=signal_schema(settings))


def _measured_batches(images: Iterable[tuple[str, bytes]], signals: Sequence[Signal], threads: int) -> Iterator[_Batch]:
    """What is measured of each batch, in order, from a bounded window of futures."""
    measuring = [(signal, caller(signal)) for signal in signals]
    window: deque[Future[_Batch]] = deque()
    # The pool uses every core; a BLAS with threads of its own only gets in its way.
    with (
        _libraries().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(threads, thread_name_prefix="signals") as pool,
    ):
        try:
            for batch in _batches(images, LAST_IMAGES * threads):
                window.append(pool.submit(_measure_batch, batch, measuring))
                if len(window) >= 2 * threads:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            for future in window:
                future.cancel()


@cache
def _libraries() -> ThreadpoolController:
    """Those with threads of their own, once signals are loaded: to find them takes longer than to measure an image."""
    return ThreadpoolController()


def _batches(images: Iterable[tuple[str, bytes]], last: int) -> Iterator[list[tuple[str, bytes]]]:
    """Images in batches of 4, the last so many each by itself; as many are held ahead."""
    images = iter(images)
    ahead = deque(islice(images, last))
    for image in images:
        ahead.append(image)
        if len(ahead) == last + BATCH_IMAGES:
            yield [ahead.popleft() for _ in range(BATCH_IMAGES)]
    yield from ([image] for image in ahead)


def _measure_batch(batch: list[tuple[str, bytes]], signals: Sequence[tuple[Signal, Caller]]) -> _Batch:
    errors: list[str | None] = [None] * len(batch)
    decoded: dict[int, np.ndarray] = {}
    parts: list[list[Values]] = [[] for _ in signals]

    def measure_decoded() -> None:
        rgb, files = list(decoded.values()), [ImageFile(batch[row][1]) for row in decoded]
        for found, (signal, call) in zip(parts, signals, strict=True):
            found.append(_values(signal, call, rgb, files))
        decoded.clear()

    for row, (_, data) in enumerate(batch):
        try:
            # The profile's own limit on pixels was applied when the image was fetched.
            with CLOCK.on(DECODING, 1):
                decoded[row] = decode_rgb(data, max_pixels=sys.maxsize)
        except Undecodable as error:
            errors[row] = str(error)
        if sum(pixels.size for pixels in decoded.values()) >= 3 * BATCH_PIXELS:
            measure_decoded()
    if decoded:
        measure_decoded()
    return _Batch([image_id for image_id, _ in batch], errors, parts)


def _values(signal: Signal, call: Caller, rgb: list[np.ndarray], files: list[ImageFile]) -> Values:
    """What a signal measures of some images, one value each."""
    try:
        with CLOCK.on(type(signal).__name__, len(rgb)):
            values = call(rgb, files)
        lengths = {name: len(column) for name, column in values.items()}
    except OWN_ERRORS as error:
        raise SignalError(f"signal {_path(signal)}: {in_words(error)}") from error
    if set(values) == set(signal.schema) and set(lengths.values()) <= {len(rgb)}:
        return values
    raise SignalError(
        f"{_path(signal)} measured {lengths} for {len(rgb)} images; its schema has {sorted(signal.schema)}"
    )


def _columns(signal: Signal, parts: list[Values]) -> list[pl.Series]:
    """A signal's columns, of all that it measured one part after another."""
    try:
        return [pl.Series(name, _joined([part[name] for part in parts]), kind) for name, kind in signal.schema.items()]
    except OWN_ERRORS as error:
        raise SignalError(f"signal {_path(signal)}: {in_words(error)}") from error


def _joined(parts: list[Sequence[Any] | np.ndarray]) -> Sequence[Any] | np.ndarray:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    return np.concatenate(arrays) if arrays and len(arrays) == len(parts) else list(chain.from_iterable(parts))


def _path(signal: Signal) -> str:
    return f"{type(signal).__module__}:{type(signal).__name__}"


def _frame(batches: list[_Batch], signals: Sequence[Signal]) -> pl.DataFrame:
    """The rows of some batches: what was decoded has its values, the others null."""
    errors = pl.Series("error", [error for batch in batches for error in batch.errors], pl.String)
    ids = pl.Series("image_id", [image_id for batch in batches for image_id in batch.image_ids], pl.String)
    parts = [[*chain.from_iterable(found)] for found in zip(*(batch.parts for batch in batches), strict=True)]
    columns = [column for signal, found in zip(signals, parts, strict=True) for column in _columns(signal, found)]
    decoded = pl.DataFrame([errors.is_null().arg_true().alias("row"), *columns])
    rows = pl.DataFrame([ids, errors.is_not_null().alias("undecodable"), errors]).with_row_index("row")
    names = ["image_id", *decoded.columns[1:], "undecodable", "error"]
    return rows.join(decoded, on="row", how="left", maintain_order="left").select(names).rechunk()
