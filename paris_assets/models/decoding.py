"""Images to rows of networks: threads decode while the network runs, at most a few batches ahead of it.

Where a GPU waits for them, other processes decode, too: see ``compute.Compute``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from types import MethodType
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


def who_prepares(networks: Iterable[ImageNetwork], compute: Compute | None) -> Compute:
    """``compute``, but for networks whose preprocessing is a method this process alone: they would go along with it."""
    compute = compute or Compute()
    return compute.alone() if any(isinstance(network.preprocess, MethodType) for network in networks) else compute


def prepared(
    prepare: Callable[[str, bytes], T], images: Images, batch_size: int, compute: Compute, network: str
) -> Generator[T]:
    """``prepare`` over images, in their order, at most two batches ahead of the caller.

    Where others decode for this process, they are asked once the network has waited for pictures, and some parts more
    are ahead.

    Args:
        prepare: of image_id and file; for others it has to be plain data, and functions at the top of modules.
        network: name of who waits.
    """
    if not compute.decoders:
        ahead = _BATCHES_AHEAD * batch_size
        yield from ordered_map(lambda image: prepare(*image), images, compute.threads(), ahead, "decode")
        return
    with closing(compute.map(_prepared, _parts(images), prepare, places=compute.decoders, waits=network)) as parts:
        for rows in parts:
            yield from rows


def _prepared(prepare: Callable[[str, bytes], T], part: list[tuple[str, bytes]]) -> list[T]:
    return [prepare(*image) for image in part]


def _parts(images: Images) -> Iterator[list[tuple[str, bytes]]]:
    """Lists of a few images, whose decoding costs more than sending them."""
    part, size = list[tuple[str, bytes]](), 0
    for image in images:
        part.append(image)
        size += len(image[1])
        if len(part) == _PART_IMAGES or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
