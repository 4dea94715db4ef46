"""Photos cut into pieces that do not overlap, as a source of `paris run`: what comes of one photo is one group.

A photo is reduced to a short side of at most 768 pixels (Lanczos) and cut into as many equal rows and columns as leave
every piece 256 pixels in each direction, at most two of each; one with a side below 512 pixels stays whole there.
"""

from __future__ import annotations

import filecmp
import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
from PIL import Image

from tools.degradation.photos import reduced
from tools.more_photos import photos as more_photos
from tools.small_vae import photos as small_vae
from tools.small_vae.photos import Photo as Line

SHORTEST_KEPT, SIDE, MOST = 768, 256, 2
QUALITY = 95


class Photo(NamedTuple):
    """A photo's file, and the group of near copies that it belongs to."""

    name: str
    group: str
    content: bytes


def whole_photos() -> list[Line]:
    """Lines of the lists of `tools.small_vae` and `tools.more_photos`, held-out photos among them, but no cut-outs."""
    photos = [*small_vae.listed(), *more_photos.listed()]
    return [photo for photo in photos if "transparency" not in (photo["excluded_because"] or "")]


def collect() -> None:
    """Fetch them, each tool's into its own folder."""
    small_vae.collect(small_vae.WORK)
    more_photos.collect()


def listed_photos() -> Iterator[Photo]:
    """Those that `collect` has fetched."""
    for photo in whole_photos():
        yield Photo(photo["sha256"][:16], photo["group"], more_photos.read_any(photo, small_vae.WORK))


def photos_of(folder: Path) -> Iterator[Photo]:
    """Every file of a folder, in the order of names; equal files are one group."""
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = path.read_bytes()
        yield Photo(path.stem, hashlib.sha256(content).hexdigest(), content)


def write_pieces(photos: Iterable[Photo], path: Path) -> pl.DataFrame:
    """A table of images for `paris run --source`, and what is known of them.

    Returns:
        ``image_id`` as the run will name it, ``photo``, ``group``; sorted by image_id.
    """
    rows, known = list[dict](), dict[str, tuple[str, str]]()
    for photo in photos:
        for number, piece in enumerate(pieces(photo.content)):
            image_id = hashlib.sha256(piece).hexdigest()[:32]
            known.setdefault(image_id, (photo.name, photo.group))
            text = f"piece {number + 1} of photo {photo.name}"
            rows.append({"uid": f"{photo.name}-{number}", "image": piece, "text": text})
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    pl.DataFrame(rows).write_parquet(draft)
    if path.exists() and filecmp.cmp(draft, path, shallow=False):
        draft.unlink()  # a source that was written again would be read again
    else:
        draft.replace(path)
    ids = sorted(known)
    names, groups = ([known[image_id][part] for image_id in ids] for part in (0, 1))
    return pl.DataFrame({"image_id": ids, "photo": names, "group": groups})


def pieces(content: bytes) -> Iterator[bytes]:
    """JPEG files of a photo's pieces, row by row."""
    with Image.open(io.BytesIO(content)) as image:
        whole = reduced(image.convert("RGB"), SHORTEST_KEPT)
    columns, rows = (min(max(side // SIDE, 1), MOST) for side in whole.size)
    for row in range(rows):
        for column in range(columns):
            box = (
                whole.width * column // columns,
                whole.height * row // rows,
                whole.width * (column + 1) // columns,
                whole.height * (row + 1) // rows,
            )
            file = io.BytesIO()
            whole.crop(box).save(file, "JPEG", quality=QUALITY)
            yield file.getvalue()
