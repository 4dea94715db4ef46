"""WebDataset tars: adjacent members with one key are a sample (images, and perhaps a text and a JSON).

The key is the path up to the first dot of the file name. Each image of a sample is a row, with the text and JSON of its
own name (`photo_0.25.jpg`, `photo_0.25.txt`), else those that have the key for a name, else, where it is the only
image, those of the sample. A sample without an image is a row as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any, NamedTuple

import polars as pl

from paris_assets.config import Source
from paris_assets.ingest.fetched import Fetched
from paris_assets.ingest.files.captions_beside import MAX_BYTES, caption, json_object
from paris_assets.ingest.files.left_out import LeftOut
from paris_assets.ingest.files.names import kind_in_words
from paris_assets.ingest.lists.columns import SourceError, texts_in, with_texts
from paris_assets.ingest.lists.encodings import AUTO
from paris_assets.ingest.lists.records import check_records, from_records, unused_texts
from paris_assets.ingest.tars.tar_samples import Links, Row, Sample, content_of, samples

PROBE_SAMPLES = 100


class Part(NamedTuple):
    """A shard of a tar: rows, from the sample at a byte position on, and what else lies among them, as JSON."""

    first_row: int
    rows: int
    offset: int
    left_out: str | None


def check(handle: IO[bytes], where: str, overrides: Mapping[str, str]) -> None:
    """Whether the columns that the profile names are in the JSON members of the first samples.

    Raises:
        SourceError: no tar, or no such column.
    """
    first = [row for sample in islice(samples(handle, where), PROBE_SAMPLES) for row in sample.rows()]
    links = Links(handle, where)
    described = [_described(handle, links, row, AUTO, LeftOut()) for row in first]
    check_records(described, overrides, where, needs_image=False)


def cut(handle: IO[bytes], where: str, rows_per_shard: int) -> Iterator[Part]:
    """The parts of a tar, reading headers, and the first bytes of members whose name does not tell.

    A part ends after the sample that fills it.

    Raises:
        SourceError: no tar, members of one key that are not adjacent, or no image at all.
    """
    whole, left_out = _Whole(where), LeftOut()
    first, rows, offset, filled = 0, 0, 0, False
    for sample in samples(handle, where, left_out=left_out):
        whole.add(sample)
        found = len(sample.rows())
        if filled and found:
            yield Part(first, rows, offset, _json(left_out.take()))
            first, rows, filled = first + rows, 0, False
        offset = offset if rows else sample.offset
        rows += found
        filled = rows >= rows_per_shard
        for name in sample.unused():
            left_out.add(f"{kind_in_words(name)} in tars", name)
    whole.check()
    if rows:
        yield Part(first, rows, offset, _json(left_out))


def read(handle: IO[bytes], where: str, entry: Mapping[str, Any], source: Source, unread: LeftOut) -> pl.DataFrame:
    """The rows of one part, normalised: columns from the JSON member, texts from the text members, then from the JSON.

    `locator` is `tar:member`, or `tar:key` for a sample without image. A JSON member that is no object gives nulls.

    Args:
        source: overrides of columns, and the encoding.
        unread: counts texts and JSON members that cannot be read.

    Raises:
        SourceError: the tar does not hold the samples that were registered.
    """
    records, texts, locators, links = [], [], [], Links(handle, where)
    for row in _rows(handle, where, entry):
        records.append(_described(handle, links, row, source.encoding, unread))
        texts.append(_texts(handle, links, row, source.encoding, unread))
        locators.append(f"{entry['file']}:{row.name}")
    if len(records) < entry["rows"]:
        raise SourceError(f"{where}: {entry['rows']} rows were registered at byte {entry['offset']}: {len(records)}")
    rows = from_records(records, source.columns, entry["source_row"])
    return with_texts(rows, texts, texts_in(rows)).with_columns(locator=pl.Series(locators, dtype=pl.String))


def left_out(handle: IO[bytes], where: str, entry: Mapping[str, Any], source: Source) -> list[str]:
    """Keys of the JSON of a part's first rows that nothing is made of, and whose values look like captions."""
    links, first = Links(handle, where), islice(_rows(handle, where, entry), PROBE_SAMPLES)
    records = [_described(handle, links, row, source.encoding, LeftOut()) for row in first]
    return unused_texts(records, source.columns)


def read_images(handle: IO[bytes], where: str, entry: Mapping[str, Any], max_bytes: int) -> Iterator[Fetched]:
    """The images of one part, in order, one in memory at a time."""
    links = Links(handle, where)
    for source_row, row in enumerate(_rows(handle, where, entry), entry["source_row"]):
        image = row.image and links.follow(row.image)
        if image is None:
            yield Fetched.local(source_row, None, "no_image")
        elif image.size > max_bytes:
            yield Fetched.local(source_row, None, "too_large")
        else:
            yield Fetched.local(source_row, content_of(handle, image, max_bytes))


def _rows(handle: IO[bytes], where: str, entry: Mapping[str, Any]) -> Iterator[Row]:
    found = (row for sample in samples(handle, where, entry["offset"]) for row in sample.rows())
    return islice(found, entry["rows"])


class _Whole:
    """What holds for a tar as a whole: members of one key are together, and there is an image."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._has_image: dict[str, bool] = {}
        self._images = self._samples = 0

    def add(self, sample: Sample) -> None:
        """Take note of the next sample.

        Raises:
            SourceError: its other members came before; several images of one name are as many samples.
        """
        before = self._has_image.get(sample.key, True)
        repeated = sample.key in self._has_image and not sample.continues
        if repeated and not (before and sample.images):
            raise SourceError(f"{self._where}: members of {sample.key!r} are not adjacent: sort the tar by name")
        self._has_image[sample.key] = bool(sample.images) or (sample.continues and before)
        self._samples += 1
        self._images += len(sample.images)

    def check(self) -> None:
        """Raises SourceError for a tar of samples none of which holds an image."""
        if self._samples and not self._images:
            raise SourceError(f"{self._where}: none of {self._samples} samples holds an image")


def _described(handle: IO[bytes], links: Links, row: Row, encoding: str, unread: LeftOut) -> dict[str, Any]:
    """The JSON member of a row; empty without one that can be read."""
    member = row.json and links.follow(row.json)
    return json_object(content_of(handle, member, MAX_BYTES), member.name, encoding, unread) if member else {}


def _texts(handle: IO[bytes], links: Links, row: Row, encoding: str, unread: LeftOut) -> list[str]:
    found = [member for text in row.texts if (member := links.follow(text))]
    contents = ((content_of(handle, member, MAX_BYTES), member.name) for member in found)
    return [text for content, name in contents for text in caption(content, name, encoding, unread)]


def _json(left_out: LeftOut) -> str | None:
    return json.dumps(left_out.as_dict(), ensure_ascii=False) if left_out else None
