"""Images to rows of networks: threads decode while the network runs, at most a few batches ahead of it.

Where a GPU waits for them, other processes decode, too: see ``compute.Compute``.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from types import FunctionType
from typing import TypeVar

import numpy as np

from paris_assets.compute import Compute
from paris_assets.images.decode import NotAnImage, Undecodable, decode_rgb
from paris_assets.models.protocols import ImageNetwork
from paris_assets.models.threads import ordered_map
from paris_assets.spent import CLOCK, DECODING

T = TypeVar("T")
Images = Iterable[tuple[str, bytes]]

# Decoded batches waiting for the network; two hide a slow image without holding much memory.
_BATCHES_AHEAD = 2
# Of what other processes are sent at once: a tenth of a second's work, a fifth of which it takes on the way.
_PART_IMAGES, _PART_BYTES = 16, 1 << 21
# Of an array that others are sent with a function; weights are larger.
_SENT_BYTES = 1 << 20


def decode(image_id: str, data: bytes, min_side: int | None) -> np.ndarray:
    """(H, W, 3) uint8 pixels of an image that passed the filters.

    Raises:
        Undecodable: names the image.
    """
    try:
        # The profile's own limit on pixels was applied when the image was fetched.
        with CLOCK.on(DECODING, 1):
            return decode_rgb(data, min_side, max_pixels=sys.maxsize)
    except (NotAnImage, Undecodable) as error:
        raise Undecodable(f"image {image_id} cannot be decoded here, though it passed the filters: {error}") from error


def row(
    min_side: int | None, preprocess: Callable[[np.ndarray], np.ndarray], image_id: str, data: bytes
) -> tuple[str, np.ndarray]:
    """An image's row of a batch.

    Raises:
        Undecodable: names the image.
    """
    return image_id, preprocess(decode(image_id, data, min_side))


class Idle:
    """How long a network has had nothing to run since its first batch; entered around each, in whichever threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running, self._since, self._idle_s = 0, math.inf, 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._idle_s, self._running = self._so_far(), self._running + 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running, self._since = self._running - 1, time.monotonic()

    def seconds(self) -> float:
        """So many until now."""
        with self._lock:
            return self._so_far()

    def _so_far(self) -> float:
        return self._idle_s + (0.0 if self._running else max(0.0, time.monotonic() - self._since))


def who_prepares(networks: Iterable[ImageNetwork], compute: Compute | None) -> Compute:
    """``compute``, but for networks whose preprocessing cannot leave them: this process alone."""
    compute = compute or Compute()
    portable = not compute.decoders or all(_portable(network.preprocess) for network in networks)
    return compute if portable else compute.alone()


def _portable(function: object) -> bool:
    """Whether it is a function that any process finds, with nothing but plain values given to it: a method would take
    a network's weights along, and so would what holds one."""
    if isinstance(function, partial):
        return _portable(function.func) and all(map(_plain, (*function.args, *function.keywords.values())))
    return isinstance(function, FunctionType) and "<" not in function.__qualname__  # of lambdas and inner functions


def _plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, np.ndarray):
        return value.nbytes <= _SENT_BYTES and not value.dtype.hasobject
    return value is None or isinstance(value, str | bytes | bool | int | float | np.generic)


def prepared(
    prepare: Callable[[str, bytes], T],
    images: Images,
    batch_size: int,
    compute: Compute,
    network: str,
    idle: Callable[[], float] = time.monotonic,
) -> Generator[T]:
    """``prepare`` over images, in their order, at most two batches ahead of the caller.

    Where others decode for this process, they are asked once the network has waited for pictures, and what they and
    this process work on is ahead where that is more.

    Args:
        prepare: of image_id and file; for others it has to be plain data, and functions at the top of modules.
        network: name of who waits.
        idle: seconds that it has had nothing to run.
    """
    ahead = _BATCHES_AHEAD * batch_size
    if not compute.decoders:
        yield from ordered_map(lambda image: prepare(*image), images, compute.threads(), ahead, "decode")
        return
    with closing(_parts(images)) as parts:
        results = compute.map(_prepared, parts, prepare, None, compute.decoders, network, idle, ahead)
        with closing(results):
            for rows in results:
                yield from rows


def _prepared(prepare: Callable[[str, bytes], T], part: list[tuple[str, bytes]]) -> list[T]:
    return [prepare(*image) for image in part]


def _parts(images: Images) -> Generator[list[tuple[str, bytes]]]:
    """Lists of a few images, whose decoding costs more than sending them."""
    part, size = list[tuple[str, bytes]](), 0
    try:
        for image in images:
            part.append(image)
            size += len(image[1])
            if len(part) == _PART_IMAGES or size >= _PART_BYTES:
                yield part
                part, size = [], 0
        if part:
            yield part
    finally:
        if close := getattr(images, "close", None):
            close()
