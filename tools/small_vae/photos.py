"""The photo list of the small VAE: collected, split by sha256, near-duplicates of held-out photos kept out of training.

The rule, fixed before any training: a **shipped sample photo** whose file has a short side of at least 256 pixels is
held out when the first 32 bits of its sha256 are an even number. Photos within a pHash distance of 10 (all pairs,
chains included) are one photo: when one of them is held out, none of the others trains. Validation photos, watched
during training, follow a second rule on the next 32 bits of their group and are kept apart in the same way.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from tools.small_vae.sources import SourcePhoto, gcompris_photos, wallpaper_photos

NATIVE_SIDE = 256
NEAR_DUPLICATE_BITS = 10
VALIDATION_SHARE = 24


@dataclass
class Photo:
    """One line of `photos.jsonl`.

    `split` is `train`, `validation` or `held_out`; a photo with `excluded_because` takes part in nothing. `group` is
    the sha256 of the first photo in its group of near-duplicates. `width`, `height`: pixels of the file as packaged.
    """

    package: str
    path: str
    sha256: str
    width: int
    height: int
    author: str | None
    licence: str
    phash: str
    group: str
    split: str
    excluded_because: str | None


def held_out_by_sha256(sha256: str) -> bool:
    """The split rule for a shipped sample photo with native short side >= 256."""
    return int(sha256[:8], 16) % 2 == 0


def sample_photos(sample: Path) -> Iterable[SourcePhoto]:
    """The shipped sample: `sample/credits.jsonl` and the files it names."""
    for line in (sample / "credits.jsonl").read_text().splitlines():
        row = json.loads(line)
        content = (sample / row["file"]).read_bytes()
        yield SourcePhoto("sample", row["file"], content, row["author"] or None, row["licence"])


def collect_photos(packages: Path, sample: Path) -> tuple[list[Photo], dict[str, bytes]]:
    """List every photo of the sample and of the unpacked packages with its split; also return {sha256: file bytes}."""
    contents: dict[str, bytes] = {}
    photos: list[Photo] = []
    for source in (*sample_photos(sample), *gcompris_photos(packages), *wallpaper_photos(packages)):
        sha256 = hashlib.sha256(source.content).hexdigest()
        if sha256 in contents:
            continue
        contents[sha256] = source.content
        with Image.open(io.BytesIO(source.content)) as image:
            opaque = not image.has_transparency_data
            phash = str(imagehash.phash(image.convert("RGB")))
            width, height = image.size
        reason = None if opaque else "has transparency: a cut-out, not a whole photo"
        origin = (source.package, source.path, sha256, width, height, source.author, source.licence, phash)
        photos.append(Photo(*origin, group="", split="train", excluded_because=reason))
    assign_splits(photos)
    return photos, contents


def assign_splits(photos: Sequence[Photo]) -> None:
    """Fill `group`, `split` and `excluded_because` of every photo, in place."""
    groups = near_duplicate_groups([photo.phash for photo in photos])
    for photo, group in zip(photos, groups, strict=True):
        photo.group = photos[group].sha256
        native = min(photo.width, photo.height) >= NATIVE_SIDE
        if photo.package == "sample" and native and held_out_by_sha256(photo.sha256):
            photo.split = "held_out"
    held_out = {photo.group for photo in photos if photo.split == "held_out"}
    for photo in photos:
        if photo.split == "train" and photo.group in held_out:
            photo.excluded_because = photo.excluded_because or "near-duplicate of a held-out photo"
        elif photo.split == "train" and int(photo.group[8:16], 16) % VALIDATION_SHARE == 0:
            photo.split = "validation"


def near_duplicate_groups(phashes: Sequence[str]) -> list[int]:
    """For each 64-bit pHash (16 hex digits), the index of the first of its group: pairs within 10 bits, chained."""
    bits = np.unpackbits(np.array([bytearray.fromhex(phash) for phash in phashes], dtype=np.uint8), axis=1)
    groups = list(range(len(phashes)))
    for index in range(len(phashes)):
        distances = np.count_nonzero(bits[:index] != bits[index], axis=1)
        joined = {groups[other] for other in np.flatnonzero(distances <= NEAR_DUPLICATE_BITS)}
        if joined:
            first = min(joined)
            groups[index] = first
            groups = [first if group in joined else group for group in groups]
    return groups


def write_photo_list(photos: Iterable[Photo], path: Path) -> None:
    """Write one JSON object per line, sorted by package and path."""
    ordered = sorted(photos, key=lambda photo: (photo.package, photo.path))
    lines = [json.dumps(asdict(photo), ensure_ascii=False) for photo in ordered]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def read_photo_list(path: Path) -> list[Photo]:
    """Read `photos.jsonl`. Raises TypeError when a line lacks a field."""
    return [Photo(**json.loads(line)) for line in path.read_text().splitlines()]
