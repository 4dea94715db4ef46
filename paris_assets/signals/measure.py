"""All CPU measurements of an image from one read and one decode, on every core."""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import polars as pl
from PIL import Image
from threadpoolctl import threadpool_limits

from paris_assets.config import Signals
from paris_assets.images.decode import Undecodable, decode_rgb
from paris_assets.images.file import ImageFile
from paris_assets.settings.import_path import OWN_ERRORS, SHIPPED, in_words
from paris_assets.signals.signal import DataType, Signal, SignalError, call, load_signals
from paris_assets.spent import CLOCK, DECODING

BATCH_IMAGES = 16
BATCH_PIXELS = 16_000_000  # decoded pixels that a thread holds before it measures them
FRAME_BATCHES = 64


def signal_schema(settings: Signals) -> dict[str, DataType]:
    """Columns and types of `measure`, for these settings."""
    columns = {name: dtype for signal in load_signals(settings.measures) for name, dtype in signal.schema.items()}
    return {"image_id": pl.String, **columns, "undecodable": pl.Boolean, "error": pl.String}


def signal_problem(settings: Signals) -> str | None:
    """Why these signals cannot be used, or None; those that are not of this package are tried on a small picture."""
    try:
        own = [signal for signal in load_signals(settings.measures) if not type(signal).__module__.startswith(SHIPPED)]
        _measured({0: np.zeros((64, 64, 3), np.uint8)}, [ImageFile(_small_picture())], own)
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
    `2 x threads` batches of 16 images is held, whatever the length of `images`.

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
    batches = _measured_batches(images, signals, settings.threads or _cores())
    empty = True
    while frames := list(islice(batches, FRAME_BATCHES)):
        empty = False
        yield pl.concat(frames, rechunk=True)
    if empty:
        yield pl.DataFrame(schema=signal_schema(settings))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _measured_batches(
    images: Iterable[tuple[str, bytes]], signals: Sequence[Signal], threads: int
) -> Iterator[pl.DataFrame]:
    """The rows of each batch, in order, from a bounded window of futures."""
    images = iter(images)
    window: deque[Future[pl.DataFrame]] = deque()
    # The pool uses every core; a BLAS with threads of its own only gets in its way.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads, thread_name_prefix="signals") as pool:
        try:
            while batch := list(islice(images, BATCH_IMAGES)):
                window.append(pool.submit(_measure_batch, batch, signals))
                if len(window) >= 2 * threads:
                    yield window.popleft().result()
            while window:
                yield window.popleft().result()
        finally:
            for future in window:
                future.cancel()


def _measure_batch(batch: list[tuple[str, bytes]], signals: Sequence[Signal]) -> pl.DataFrame:
    errors: list[str | None] = [None] * len(batch)
    decoded: dict[int, np.ndarray] = {}
    measured = [_measured({}, [], signals)]

    def measure_decoded() -> None:
        measured.append(_measured(decoded, [ImageFile(batch[row][1]) for row in decoded], signals))
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
    measure_decoded()
    rows = pl.DataFrame(
        {"image_id": [image_id for image_id, _ in batch], "error": errors},
        schema={"image_id": pl.String, "error": pl.String},
    ).with_row_index("row")
    joined = rows.join(pl.concat(measured), on="row", how="left", maintain_order="left")
    columns = [name for signal in signals for name in signal.schema]
    return joined.select("image_id", *columns, pl.col("error").is_not_null().alias("undecodable"), "error")


def _measured(decoded: dict[int, np.ndarray], files: list[ImageFile], signals: Sequence[Signal]) -> pl.DataFrame:
    """Every signal of the decoded images, with the `row` of each in its batch."""
    rgb = list(decoded.values())
    columns = [pl.Series("row", list(decoded), pl.UInt32)]
    for signal in signals:
        if not rgb:
            columns.extend(pl.Series(name, [], dtype) for name, dtype in signal.schema.items())
            continue
        columns.extend(_signal_columns(signal, rgb, files))
    return pl.DataFrame(columns)


def _signal_columns(signal: Signal, rgb: list[np.ndarray], files: list[ImageFile]) -> list[pl.Series]:
    path = f"{type(signal).__module__}:{type(signal).__name__}"
    try:
        with CLOCK.on(type(signal).__name__, len(rgb)):
            values = call(signal, rgb, files)
        lengths = {name: len(column) for name, column in values.items()}
        if set(values) == set(signal.schema) and set(lengths.values()) <= {len(rgb)}:
            return [pl.Series(name, values[name], dtype) for name, dtype in signal.schema.items()]
    except OWN_ERRORS as error:
        raise SignalError(f"signal {path}: {in_words(error)}") from error
    raise SignalError(f"{path} measured {lengths} for {len(rgb)} images; its schema has {sorted(signal.schema)}")
