"""Rows of the pool: which picture stands with which caption, and of what kind that is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random

import polars as pl

from tools.pool_sample.captions import good, junk
from tools.pool_sample.languages import SENTENCES
from tools.pool_sample.photos import Photo
from tools.pool_sample.pictures import Picture, copied_photos, copies_of, pictures_of
from tools.sample_list import HOST

SEED = 13
COUNTS = {"clean": 1434, "wrong": 901, "junk": 737, "copy": 590, "language": 434}
"""Kind -> rows; 4,096 in all."""
Pair = tuple[Picture, str]


def pool_rows(sample: Path, photos: list[Photo]) -> pl.DataFrame:
    """uid, url, text, original_width, original_height, sha256, kind, file, in the order of the pool."""
    draw = Random(SEED)
    pictures = [picture for photo in photos for picture in pictures_of(sample, photo, HOST)]
    copies = [picture for photo in copied_photos(photos) for picture in copies_of(sample, photo, HOST)]
    pairs = {
        "clean": _clean(pictures, draw),
        "wrong": _wrong(pictures, photos, draw),
        "junk": ((picture, junk(draw)) for picture in _endless(pictures, draw)),
        "copy": _copied(copies, draw),
        "language": _foreign(pictures, draw),
    }
    seen: set[tuple[str, str]] = set()
    rows = [_row(sample, pair, kind) for kind, made in pairs.items() for pair in _first(made, COUNTS[kind], seen)]
    draw.shuffle(rows)
    return pl.DataFrame(rows)


def uid_of(url: str, text: str) -> str:
    """32 hex digits of the pair, as every uid of DataComp is one of url and text."""
    return hashlib.sha256(f"{url}\n{text}".encode()).hexdigest()[:32]


def _row(sample: Path, pair: Pair, kind: str) -> dict[str, str | int]:
    picture, text = pair
    return {
        "uid": uid_of(picture.url, text),
        "url": picture.url,
        "text": text,
        "original_width": picture.width,
        "original_height": picture.height,
        "sha256": hashlib.sha256((sample / picture.file).read_bytes()).hexdigest(),
        "kind": kind,
        "file": picture.file,
    }


def _first(pairs: Iterator[Pair], count: int, seen: set[tuple[str, str]]) -> Iterator[Pair]:
    """The first `count` pairs of url and text that are new."""
    taken = 0
    while taken < count:
        picture, text = next(pairs)
        if (picture.url, text) not in seen:
            seen.add((picture.url, text))
            taken += 1
            yield picture, text


def _endless(pictures: list[Picture], draw: Random) -> Iterator[Picture]:
    """All pictures again and again, in an order of chance: as evenly as rows allow."""
    return cycle(draw.sample(pictures, len(pictures)))


def _clean(pictures: list[Picture], draw: Random) -> Iterator[Pair]:
    for picture in _endless(pictures, draw):
        yield picture, draw.choice(good(picture.photo))


def _wrong(pictures: list[Picture], photos: list[Photo], draw: Random) -> Iterator[Pair]:
    """A good caption of a photo of another class."""
    for picture in _endless(pictures, draw):
        yield picture, draw.choice(good(draw.choice([one for one in photos if one.shows != picture.photo.shows])))


def _copied(copies: list[Picture], draw: Random) -> Iterator[Pair]:
    """The first captions of the photo, the same for all its copies."""
    for picture in _endless(copies, draw):
        yield picture, draw.choice(good(picture.photo)[:4])


def _foreign(pictures: list[Picture], draw: Random) -> Iterator[Pair]:
    for picture, language in zip(_endless(pictures, draw), cycle(SENTENCES), strict=False):
        yield picture, draw.choice(SENTENCES[language][picture.photo.shows])
