"""WebDataset tars: adjacent members with one key are a sample (an image, and perhaps a text and a JSON)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import polars as pl

from paris_assets.ingest.columns import SourceError, from_records
from paris_assets.ingest.fetch import Fetched

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "avif", "gif", "bmp", "tif", "tiff")
TEXT_EXTENSIONS = ("txt", "text", "caption")


@dataclass
class Sample:
    """Members of one key: extension (all after the first dot of the file name) -> member."""

    key: str
    offset: int
    members: dict[str, tarfile.TarInfo] = field(default_factory=dict)

    def find(self, extensions: tuple[str, ...]) -> tarfile.TarInfo | None:
        """The first member whose last extension is one of these."""
        named = ((name.lower().rpartition(".")[2], info) for name, info in self.members.items())
        return next((info for name, info in named if name in extensions), None)


def cut(handle: IO[bytes], where: str, rows_per_shard: int) -> Iterator[tuple[int, int, int]]:
    """(first sample, samples, byte position of the first) of each part of a tar, reading headers only.

    Raises:
        SourceError: no tar, members of one key that are not adjacent, or no image at all.
    """
    samples, keys, images, first = _samples(handle, where), set(), 0, 0
    while part := list(islice(samples, rows_per_shard)):
        for sample in part:
            if sample.key in keys:
                raise SourceError(f"{where}: members of {sample.key!r} are not adjacent: sort the tar by name")
            keys.add(sample.key)
            images += sample.find(IMAGE_EXTENSIONS) is not None
        yield first, len(part), part[0].offset
        first += len(part)
    if first and not images:
        raise SourceError(f"{where}: none of {first} samples holds an image ({', '.join(IMAGE_EXTENSIONS)})")


def read(handle: IO[bytes], where: str, entry: Mapping[str, Any], overrides: Mapping[str, str]) -> pl.DataFrame:
    """The samples of one part, normalised: columns from the JSON member, text from the text member if there is one.

    `locator` is `tar:member`, or `tar:key` for a sample without image.
    """
    records, texts, locators = [], [], []
    for sample in islice(_samples(handle, where, entry["offset"]), entry["rows"]):
        described, text, image = sample.find(("json",)), sample.find(TEXT_EXTENSIONS), sample.find(IMAGE_EXTENSIONS)
        record = _json(_content(handle, described), where, described.name) if described else {}
        records.append(record)
        texts.append(_content(handle, text).decode(errors="replace") if text else None)
        locators.append(f"{entry['file']}:{image.name if image else sample.key}")
    rows = from_records(records, overrides, where, entry["source_row"], needs_image=False)
    beside = pl.Series("text", texts, dtype=pl.String)
    return rows.with_columns(beside.fill_null(rows["text"]), locator=pl.Series(locators, dtype=pl.String))


def read_images(handle: IO[bytes], where: str, entry: Mapping[str, Any], max_bytes: int) -> Iterator[Fetched]:
    """The images of one part, in order, one in memory at a time."""
    samples = islice(_samples(handle, where, entry["offset"]), entry["rows"])
    for source_row, sample in enumerate(samples, entry["source_row"]):
        image = sample.find(IMAGE_EXTENSIONS)
        if image is not None and image.size > max_bytes:
            yield Fetched.local(source_row, None, "too_large")
        else:
            yield Fetched.local(source_row, _content(handle, image) if image else None)


def _samples(handle: IO[bytes], where: str, offset: int = 0) -> Iterator[Sample]:
    handle.seek(offset)
    current: Sample | None = None
    try:
        with tarfile.open(fileobj=handle, mode="r:") as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it; a large tar keeps every header else
                folder, slash, name = info.name.rpartition("/")
                key, dot, extension = name.partition(".")
                if not info.isfile() or not dot or not key:
                    continue
                if current is None or current.key != folder + slash + key:
                    if current is not None:
                        yield current
                    current = Sample(folder + slash + key, info.offset)
                current.members[extension] = info
    except tarfile.TarError as error:
        raise SourceError(f"{where} cannot be read as a tar at byte {offset}: {error}") from error
    if current is not None:
        yield current


def _content(handle: IO[bytes], info: tarfile.TarInfo) -> bytes:
    # The tar's own position is restored by tarfile itself, which seeks before every header.
    handle.seek(info.offset_data)
    return handle.read(info.size)


def _json(content: bytes, where: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise SourceError(f"{where}: {name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{where}: {name} should be an object, is {type(value).__name__}")
    return value
