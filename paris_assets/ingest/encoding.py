"""Images made smaller on their way into the tar, by threads: decoded once, turned, shrunk, blurred and encoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from paris_assets.config import Encode
from paris_assets.images.blur import Box, blur_boxes
from paris_assets.images.decode import Header, NotAnImage, Undecodable, decode_rgb
from paris_assets.images.encode import encode
from paris_assets.images.errors import Unencodable
from paris_assets.images.resize import shrunk_size
from paris_assets.images.shrink import shrunk
from paris_assets.ingest.spool import Arrival, Stored
from paris_assets.models.threads import ordered_map
from paris_assets.process import cores

UNDECODABLE, TOO_LONG = "undecodable", "too_long_to_encode"
"""Reasons of images that cannot be encoded: they give no pixels, or a side is longer than the format has room for."""

Boxes = frozenset[Box]
_BLOCK = 8  # pixels of a JPEG's blocks, and the largest part of which it is decoded


class Kept(NamedTuple):
    """A row of the ledger, and what is to be stored for it; None where that is stored already, or nothing is."""

    row: dict[str, Any]
    stored: Stored | None


class _Job(NamedTuple):
    arrival: Arrival
    boxes: Boxes | None  # None: the image is on its way, for an earlier row


def _least_side(header: Header, short_side: int) -> int:
    """The short side that a JPEG may be decoded at. At a part of its size a side that is no whole number of blocks ends
    in a pixel that is padding in part: it then has to be larger than what is wanted."""
    return short_side if min(header.width, header.height) % _BLOCK == 0 else short_side + 1


def encoded_image(body: bytes, header: Header, settings: Encode, max_pixels: int, boxes: Boxes) -> Stored:
    """An image as it is to be stored.

    The whole picture, by the one decoder (`images/decode.py`): turned by EXIF, in sRGB, on white. A JPEG of at least
    twice the size is decoded at 1/2, 1/4 or 1/8 of it, then shrunk (bicubic, antialiased).

    Args:
        body: the file as fetched; ``header`` is its own.
        max_pixels: largest width x height that is decoded.
        boxes: faces to be blurred.

    Raises:
        Undecodable, NotAnImage: it gives no pixels.
        Unencodable: a side is longer than the format has room for.
    """
    rgb = decode_rgb(body, _least_side(header, settings.short_side), max_pixels)
    size = shrunk_size(header.width, header.height, settings.short_side)
    if rgb.shape[1::-1] != size:
        rgb = shrunk(rgb, *size)
    if boxes:
        blur_boxes(rgb, sorted(boxes))
    file = encode(rgb, settings.format, settings.quality)
    faces = len(boxes) if settings.blur_faces else None
    return Stored.of(file, Header(rgb.shape[1], rgb.shape[0], settings.stored_format), faces)


def encoded(
    arrivals: Iterable[Arrival],
    settings: Encode,
    max_pixels: int,
    boxes: Mapping[int, Boxes],
    known: Mapping[str, Boxes],
) -> Iterator[Kept]:
    """Encode what arrives, in threads; rows come in the order in which they arrived.

    At most four images per thread are held beside what ``arrivals`` holds itself. The bytes depend on no order: an
    image that several rows name is blurred wherever one of them marks a face.

    Args:
        arrivals: read by the calling thread.
        boxes: source_row -> its faces.
        known: image_id -> the faces that were blurred in what is stored of it already.

    Yields:
        Every row once. One whose image cannot be encoded is failed and has a reason.
    """
    threads, failed = settings.threads or cores(), dict[str, str]()

    def work(job: _Job) -> tuple[Arrival, Stored | str | None]:
        _, body, header = job.arrival
        if job.boxes is None or body is None or header is None:
            return job.arrival, None
        try:
            return job.arrival, encoded_image(body, header, settings, max_pixels, job.boxes)
        except (Undecodable, NotAnImage):
            return job.arrival, UNDECODABLE
        except Unencodable:
            return job.arrival, TOO_LONG

    for (row, *_), made in ordered_map(work, _jobs(arrivals, boxes, known), threads, 2 * threads, "encode"):
        if isinstance(made, str):
            failed[row["image_id"]] = made
        reason = failed.get(row["image_id"])
        yield Kept(_refused(row, reason), None) if reason else Kept(row, made if isinstance(made, Stored) else None)


def _jobs(arrivals: Iterable[Arrival], boxes: Mapping[int, Boxes], known: Mapping[str, Boxes]) -> Iterator[_Job]:
    """What is to be made for each row: an image that is there with all faces blurred is not made again."""
    blurred = dict(known)
    for arrival in arrivals:
        image_id = arrival.row["image_id"]
        if image_id is None:
            yield _Job(arrival, None)
            continue
        before = blurred.get(image_id)
        faces = boxes.get(arrival.row["source_row"], frozenset()) | (before or frozenset())
        blurred[image_id] = faces
        yield _Job(arrival, None if faces == before else faces)


def _refused(row: dict[str, Any], reason: str) -> dict[str, Any]:
    return row | {"status": "failed", "reason": reason, "image_id": None, "sha256": None}
