"""Pictures of the pool, made from the sample's photos: views that show a part, and near copies."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from tools.pool_sample.photos import Photo

FOLDER = "pool/images"
VIEWS = 3
COPIED = 40  # photos of which near copies are made
VIEW_SIDE, SMALL_SIDE, COPY_SIDE = 160, 176, 208  # pixels of the short side
PART = 0.55  # of both sides of a photo, that a view shows


@dataclass(frozen=True)
class Picture:
    """What a url of the pool leads to: a file below the sample's folder, and the size that the list gives."""

    photo: Photo
    file: str
    url: str
    width: int
    height: int
    copy: bool = False


def of_hash(photo: Photo) -> bytes:
    """32 bytes that say nothing of the photo's content, to choose by."""
    return hashlib.sha256(photo.file.encode()).digest()


def write_pictures(sample: Path, photos: list[Photo]) -> None:
    """Views of every photo and near copies of some, as WebP, into `pool/images`; what lay there is removed."""
    shutil.rmtree(sample / FOLDER, ignore_errors=True)
    (sample / FOLDER).mkdir(parents=True)
    copied = copied_photos(photos)
    for photo in photos:
        image = Image.open(sample / photo.file).convert("RGB")
        made = {f"v{number}": view(image, number, of_hash(photo)[number]) for number in range(VIEWS)}
        if photo in copied:
            made |= {name: make(image) for name, make in COPIES.items()}
        for name, picture in made.items():
            quality = 35 if name == "again" else 55
            (sample / FOLDER / f"{photo.stem}-{name}.webp").write_bytes(_webp(picture, quality))


def copied_photos(photos: list[Photo]) -> list[Photo]:
    """The photos of which near copies are made."""
    return sorted(photos, key=of_hash)[:COPIED]


def view(image: Image.Image, number: int, jitter: int) -> Image.Image:
    """A part of the image, at one of its corners moved by `jitter` (0..255); the second is mirrored."""
    width, height = round(image.width * PART), round(image.height * PART)
    free = (image.width - width, image.height - height)
    shift = 0.3 * jitter / 255
    across, down = ((shift, shift), (1 - shift, shift), (shift, 1 - shift))[number]
    left, top = round(free[0] * across), round(free[1] * down)
    part = _to_side(image.crop((left, top, left + width, top + height)), VIEW_SIDE)
    return ImageOps.mirror(part) if number == 1 else part


def _trimmed(image: Image.Image) -> Image.Image:
    left, top = round(image.width * 0.015), round(image.height * 0.015)
    return image.crop((left, top, image.width - left, image.height - top))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "again": lambda image: _to_side(image, COPY_SIDE),
    "small": lambda image: _to_side(image, SMALL_SIDE),
    "trimmed": lambda image: _to_side(_trimmed(image), COPY_SIDE),
}
SAME_BYTES = ("size=large", "ref=feed")  # queries under which the photo itself is served again


def pictures_of(sample: Path, photo: Photo, host: str) -> list[Picture]:
    """The photo and its views."""
    whole = Picture(photo, photo.file, f"{host}/{photo.file}", photo.width, photo.height)
    return [whole, *(_made(sample, photo, host, f"v{number}", False) for number in range(VIEWS))]


def copies_of(sample: Path, photo: Photo, host: str) -> list[Picture]:
    """Near copies of the photo, and the photo itself under other urls."""
    made = [_made(sample, photo, host, name, True) for name in COPIES]
    urls = [f"{host}/{photo.file}?{query}" for query in SAME_BYTES]
    return made + [Picture(photo, photo.file, url, photo.width, photo.height, True) for url in urls]


def _made(sample: Path, photo: Photo, host: str, name: str, copy: bool) -> Picture:
    file = f"{FOLDER}/{photo.stem}-{name}.webp"
    with Image.open(sample / file) as image:
        return Picture(photo, file, f"{host}/{file}", *image.size, copy)


def _to_side(image: Image.Image, side: int) -> Image.Image:
    """The image with its short side at `side` pixels."""
    scale = side / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)


def _webp(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=6)
    return buffer.getvalue()
