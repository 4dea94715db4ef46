"""Where the crop of an image lies at each size: integers alone, so that checks and readers come to the same."""

from __future__ import annotations

from typing import NamedTuple

from paris_assets.images.resize import short_side_size
from paris_assets.latents.buckets import Bucket, nearest, ratio_error, table
from paris_assets.settings.latents import Latents

TOO_SMALL = "smaller_than_latent"
FAR_FROM_BUCKETS = "far_from_buckets"


class Place(NamedTuple):
    """A crop, pixels: the size to which the whole image is resized, and what is kept of that.

    Attributes:
        upscaled: whether resizing enlarges the image.
    """

    upscaled: bool
    crop_top: int
    crop_left: int
    resized_height: int
    resized_width: int
    target_height: int
    target_width: int


class Placed(NamedTuple):
    """An image's crops by resolution, its bucket, and how far its ratio is from the bucket's.

    Attributes:
        lacking: why it has no latent of the smallest size, and so none at all; None where it has.
    """

    places: dict[int, Place]
    bucket: Bucket | None = None
    ratio_error: float | None = None
    lacking: str | None = None


def square_place(height: int, width: int, resolution: int) -> Place:
    """Short side to the resolution, the long one rounded down; the centre is kept."""
    resized = short_side_size(width, height, resolution)
    return _centred(height, width, resized[1], resized[0], Bucket(resolution, resolution))


def bucket_place(height: int, width: int, target: Bucket) -> Place:
    """One side to the target's, the other at least as long as that, rounded half up; the centre is kept."""
    if target.height * width >= target.width * height:
        resized = target.height, _half_up(width * target.height, height)
    else:
        resized = _half_up(height * target.width, width), target.width
    return _centred(height, width, *resized, target)


def _centred(height: int, width: int, resized_height: int, resized_width: int, target: Bucket) -> Place:
    top, left = (resized_height - target.height) // 2, (resized_width - target.width) // 2
    enlarged = height < target.height or width < target.width
    return Place(enlarged, top, left, resized_height, resized_width, *target)


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


class Sizes:
    """The sizes of a profile, for images of any shape."""

    def __init__(self, settings: Latents) -> None:
        self.resolutions = sorted(settings.resolutions)
        self._settings, self._buckets = settings, settings.buckets
        self._farthest = settings.buckets.max_ratio_error if settings.buckets else None
        self._table = table(settings.buckets) if settings.buckets else ()

    @property
    def one_square(self) -> bool:
        """Whether there is one size, and that a square."""
        return len(self.resolutions) == 1 and not self._table

    @property
    def shapes(self) -> list[Bucket]:
        """Every shape that a crop may have, pixels."""
        squares = [Bucket(size, size) for size in self._settings.squares]
        return squares + [self.target(shape, size) for size in self._settings.bucketed for shape in self._table]

    def target(self, bucket: Bucket, resolution: int) -> Bucket:
        """A bucket's shape at a size."""
        assert self._buckets is not None
        return bucket.scaled(resolution, self._buckets.area)

    def uneven(self, factor: int) -> list[int]:
        """Sizes of which a shape is not made of whole cells.

        Args:
            factor: pixels per latent cell along one side.
        """
        uneven = [size for size in self._settings.squares if size % factor]
        if self._buckets:
            step, area = self._buckets.step, self._buckets.area
            uneven += [size for size in self._settings.bucketed if size * step % (area * factor)]
        return sorted(uneven)

    def placed(self, height: int, width: int) -> Placed:
        """The crops of an image of this size, pixels; only those that do not enlarge it, unless the profile lets it."""
        bucket = nearest(self._table, height, width) if self._table else None
        error = ratio_error(bucket, height, width) if bucket else None
        far = error is not None and self._farthest is not None and error > self._farthest
        places = {}
        for size in self.resolutions:
            if size not in self._settings.bucketed:
                place = square_place(height, width, size)
            elif bucket is None or far:
                continue
            else:
                place = bucket_place(height, width, self.target(bucket, size))
            if self._settings.upscale or not place.upscaled:
                places[size] = place
        smallest = self.resolutions[0]
        if smallest in places:
            return Placed(places, bucket, error)
        return Placed({}, bucket, error, FAR_FROM_BUCKETS if far and smallest in self._settings.bucketed else TOO_SMALL)
