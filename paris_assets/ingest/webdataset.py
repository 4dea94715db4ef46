"""WebDataset tars: adjacent members with one key are a sample (an image, and perhaps a text and a JSON)."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import polars as pl

from paris_assets.ingest.columns import SourceError, check_records, from_records
from paris_assets.ingest.fetch import Fetched

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp", "avif", "gif", "bmp", "tif", "tiff")
TEXT_EXTENSIONS = ("txt", "text", "caption")
PROBE_SAMPLES = 100
MAX_DESCRIPTION_BYTES = 1 << 20  # of a text or JSON member, or of a member's headers; more is no description
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip


class _Info(tarfile.TarInfo):
    """A header; tarfile reads those that describe the next member whole, whatever size they claim."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        # From the end of the last member: headers may describe headers. A negative size would read the whole file.
        until = self.offset + self.size - tar.offset  # type: ignore[attr-defined]  # typeshed lacks it
        if self.type in EXTENDED and (self.size < 0 or until > MAX_DESCRIPTION_BYTES):
            raise tarfile.ReadError(f"a header of {self.size} bytes at byte {self.offset}")
        return super()._proc_member(tar)  # type: ignore[misc]  # typeshed lacks it


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


def check(handle: IO[bytes], where: str, overrides: Mapping[str, str]) -> None:
    """Whether the columns that the profile names are in the JSON members of the first samples.

    Raises:
        SourceError: no tar, or no such column.
    """
    first = islice(_samples(handle, where), PROBE_SAMPLES)
    check_records([_described(handle, sample) for sample in first], overrides, where, needs_image=False)


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

    `locator` is `tar:member`, or `tar:key` for a sample without image. A JSON member that is no object gives nulls.

    Raises:
        SourceError: the tar does not hold the samples that were registered.
    """
    records, texts, locators = [], [], []
    for sample in islice(_samples(handle, where, entry["offset"]), entry["rows"]):
        text, image = sample.find(TEXT_EXTENSIONS), sample.find(IMAGE_EXTENSIONS)
        records.append(_described(handle, sample))
        texts.append(_content(handle, text).decode(errors="replace") if text else None)
        locators.append(f"{entry['file']}:{image.name if image else sample.key}")
    if len(records) < entry["rows"]:
        raise SourceError(f"{where}: {entry['rows']} samples were registered at byte {entry['offset']}: {len(records)}")
    rows = from_records(records, overrides, entry["source_row"])
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
            yield Fetched.local(source_row, _content(handle, image, max_bytes) if image else None)


def _samples(handle: IO[bytes], where: str, offset: int = 0) -> Iterator[Sample]:
    handle.seek(offset)
    current: Sample | None = None
    try:
        # A name that is no UTF-8 is written as what it is: tables hold no half surrogates.
        with tarfile.open(fileobj=handle, mode="r:", tarinfo=_Info, encoding="utf-8", errors="backslashreplace") as tar:
            while (info := tar.next()) is not None:
                if info.size < 0:  # tarfile would go back and read the same headers for ever
                    raise tarfile.ReadError(f"{info.name!r} has {info.size} bytes")
                tar.members = []  # type: ignore[attr-defined]  # typeshed lacks it; a large tar keeps every header else
                tar.pax_headers = {}  # those of the whole tar, which a part that is read alone does not see either
                folder, slash, name = info.name.rpartition("/")
                key, dot, extension = name.partition(".")
                if not info.isfile() or not dot or not key:
                    continue
                if current is None or current.key != folder + slash + key:
                    if current is not None:
                        yield current
                    current = Sample(folder + slash + key, info.offset)
                current.members[extension] = info
            _check_end(handle, where, tar.offset)
    except (tarfile.TarError, OverflowError, RecursionError) as error:
        raise SourceError(f"{where} cannot be read as a tar at byte {offset}: {error}") from error
    if current is not None:
        yield current


def _content(handle: IO[bytes], info: tarfile.TarInfo, limit: int = MAX_DESCRIPTION_BYTES) -> bytes:
    # The tar's own position is restored by tarfile itself, which seeks before every header.
    handle.seek(info.offset_data)
    return handle.read(min(info.size, limit))


def _check_end(handle: IO[bytes], where: str, offset: int) -> None:
    """tarfile ends quietly at a header that it cannot read, and at the end of a file that was cut off there."""
    handle.seek(offset)
    if handle.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise SourceError(f"{where} is broken or cut off at byte {offset}: get it anew, or take it away")


def _described(handle: IO[bytes], sample: Sample) -> dict[str, Any]:
    """The JSON member of a sample; empty without one that can be read."""
    member = sample.find(("json",))
    try:
        value = json.loads(_content(handle, member)) if member else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
