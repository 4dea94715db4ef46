"""The pixels of an image at every size it covers, from one decode at the smallest scale that serves them all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from paris_assets.images.decode import NotAnImage, Undecodable, read_header
from paris_assets.images.resize import ROOM, window
from paris_assets.images.shrink import shrunk
from paris_assets.latents.places import Place, Placed, Sizes
from paris_assets.models.decoding import decode


class Crops(NamedTuple):
    """An image at its sizes: where its crops lie, and (height, width, 3) uint8 by resolution."""

    placed: Placed
    pixels: dict[int, np.ndarray]


def crops(image_id: str, data: bytes, sizes: Sizes, scaled_decode: bool) -> Crops:
    """Decode an image once and cut it out at every size that it covers.

    Args:
        image_id: for messages.
        data: the file.
        scaled_decode: whether a large JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as far as the largest crop
            allows.

    Raises:
        Undecodable: names the image.
    """
    if scaled_decode and not sizes.one_square:
        placed = sizes.placed(*_shape(image_id, data))
        rgb = np.zeros(0) if placed.lacking else decode(image_id, data, least_short_side(placed))
    else:
        rgb = decode(image_id, data, sizes.resolutions[-1] if scaled_decode else None)
        placed = sizes.placed(*rgb.shape[:2])
    return Crops(placed, {size: cut(rgb, place) for size, place in placed.places.items()})


def cut(rgb: np.ndarray, place: Place) -> np.ndarray:
    """(H, W, 3) uint8 -> (target_height, target_width, 3): resized (bicubic, antialiased) and cropped."""
    resized = place.resized_width, place.resized_height
    # Pillow sets the width first, as `shrunk` does, unless an image is more than twice as high as wide.
    same = rgb.shape[0] <= 2 * rgb.shape[1] and resized[0] * resized[1] <= ROOM
    if same and resized[0] <= rgb.shape[1] and resized[1] <= rgb.shape[0]:
        rows = slice(place.crop_top, place.crop_top + place.target_height)
        columns = slice(place.crop_left, place.crop_left + place.target_width)
        return shrunk(rgb, *resized, rows, columns)
    return window(rgb, resized, place.crop_top, place.crop_left, place.target_height, place.target_width)


def least_short_side(placed: Placed) -> int:
    """Short side, pixels, that an image must keep so that no crop is made of enlarged pixels."""
    return max(min(place.resized_height, place.resized_width) for place in placed.places.values())


def _shape(image_id: str, data: bytes) -> tuple[int, int]:
    try:
        header = read_header(data)
    except NotAnImage as error:
        raise Undecodable(f"image {image_id} has no header here, though it passed the filters: {error}") from error
    return header.height, header.width
