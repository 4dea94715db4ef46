"""The samples of one expert, by number: whatever format and place they are stored in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from paris_assets.errors import UsageError
from paris_assets.training.byte_files import ByteFiles
from paris_assets.training.codec import decoded, read_codecs
from paris_assets.training.listing import CorruptSample, Fault, Form, Lister, Listing, Row, rows_of
from paris_assets.training.mds import MdsFile, MdsLister, metadata_of, read_index, unpacked
from paris_assets.training.order import Order
from paris_assets.training.parquet_files import ParquetRows
from paris_assets.training.places import ExpertPlace, find_expert
from paris_assets.training.tars import TarLister, read_metadata

SIDES = {"train": 0, "validation": 1}


class Stored(NamedTuple):
    """A sample as it is stored: arrays that may be of 8 bits, and may look into a file."""

    latent: np.ndarray
    text: np.ndarray
    caption: str


class Store(Protocol):
    """Files in which samples lie."""

    listing: Listing
    held: int | None
    """Samples in memory at a time where reading one costs those around it, so that their order should keep them
    together; None: each is read alone."""

    def read(self, rows: Sequence[Row]) -> list[Stored | CorruptSample]:
        """Samples of rows of the listing, in that order."""
        ...

    def metadata(self, row: Row) -> dict[str, Any]:
        """What is stored of a sample beside its arrays."""
        ...


class ExpertSamples:
    """The samples of an expert in a fixed order, that of their files; ``samples[i]`` reads one.

    It can be handed to other processes. Files must not change while it is in use.

    Args:
        where: a root, its `pipeline_manifest.json`, or a folder that holds `cluster_K`; a path or an fsspec URL.
        cluster: number of the expert.
        split: ``train``, ``validation``, or None for both.
        resolution: of the latents; samples without one are left out, and counted in ``absent``. None: the smallest.
        format: ``webdataset``, ``mds`` or ``parquet``; None: the first of them that is there.
        cache: a local folder for copies of remote files, which stay there; None: they are read range by range.
        on_corrupt: ``raise``, or ``skip``: what cannot be read is left out and named in ``corrupt``.

    Raises:
        MissingFiles: there are no files, or one that is listed is not there.
        CorruptSample: see ``on_corrupt``.
        UsageError: there is no sample to read.
    """

    def __init__(
        self,
        where: str | Path,
        cluster: int,
        *,
        split: str | None = None,
        resolution: int | None = None,
        format: str | None = None,
        cache: str | Path | None = None,
        on_corrupt: str = "raise",
    ) -> None:
        if split not in (None, *SIDES):
            raise UsageError(f"no split {split!r}: give one of {', '.join(SIDES)}, or None for both")
        if on_corrupt not in ("raise", "skip"):
            raise UsageError(f"on_corrupt={on_corrupt!r}: give raise or skip")
        found = find_expert(where, cluster, format)
        self.place, self.skips = found, on_corrupt == "skip"
        self.store = _open(found, resolution, cache, self.skips)
        listing = self.store.listing
        self.absent, self.corrupt, self.forms = listing.absent, listing.corrupt, listing.forms
        self.rows = listing.rows if split is None else listing.rows[listing.rows["split"] == SIDES[split]]
        self._codecs = read_codecs(found.place, found.folder)
        if not len(self.rows):
            side = f" of the split {split}" if split else ""
            latents = f"; {self.absent} have no latent of {resolution} pixels" if self.absent else ""
            raise UsageError(
                f"expert {cluster} has no sample{side} in {found.place.location.uri(found.folder)} "
                f"({len(listing.rows)} of both splits{latents})"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A sample: image_id, caption, latent (4, h, w), text (positions, dim), mask (positions,), tokens, cluster,
        split, and all else that `metadata.json` holds (group_id, where it does).

        Arrays are as stored (float16), or float32 where they were of 8 bits, and may not be written to.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        (row,) = rows_of(self.rows[[index]])
        (stored,) = self.read([row])
        if isinstance(stored, CorruptSample):
            raise stored
        latent, text = self.decoded(stored.latent, "latents"), self.decoded(stored.text, "text")
        return {
            **self.store.metadata(row),
            "image_id": row.image_id.decode(),
            "caption": stored.caption,
            "latent": latent,
            "text": text,
            "mask": np.arange(len(text)) < row.tokens,
            **{name: getattr(row, name) for name in ("tokens", "cluster", "split")},
        }

    def read(self, rows: Sequence[Row]) -> list[Stored | CorruptSample]:
        """Samples of ``rows_of`` some of ``rows``, as they are stored, in the order asked for.

        Raises:
            CorruptSample: unless they are to be skipped.
        """
        found = self.store.read(rows)
        if not self.skips:
            for each in found:
                if isinstance(each, CorruptSample):
                    raise each
        return found

    def metadata(self, index: int) -> dict[str, Any]:
        """What is stored of a sample beside its arrays, without reading those."""
        return self.store.metadata(*rows_of(self.rows[[index]]))

    def decoded(self, stored: np.ndarray, kind: str) -> np.ndarray:
        """Values of stored arrays of a kind, ``latents`` or ``text``, of one sample or several; see ``codec``."""
        return decoded(stored, self._codecs, kind)


class PlacedStore:
    """Samples whose arrays lie at byte positions of files: tars and MDS."""

    def __init__(self, files: ByteFiles, listing: Listing, mds: Sequence[MdsFile]) -> None:
        self.listing, self.held = listing, Order.window if files.whole else None
        self._files, self._mds = files, mds

    def read(self, rows: Sequence[Row]) -> list[Stored | CorruptSample]:
        """See ``Store``."""
        forms, wanted = self.listing.forms, []
        for row in rows:
            wanted.append((row.file, row.latent_at, forms[row.latent_form].nbytes))
            wanted.append((row.file, row.text_at, forms[row.text_form].nbytes))
            wanted.append((row.file, row.caption_at, row.caption_bytes))
        parts = iter(self._files.read(wanted))
        return [self._sample(row, *three) for row, *three in zip(rows, parts, parts, parts, strict=True)]

    def metadata(self, row: Row) -> dict[str, Any]:
        """See ``Store``."""
        (part,) = self._files.read([(row.file, row.rest_at, row.rest_bytes)])
        try:
            data = bytes(part)
            return metadata_of(self._mds[row.file].columns, data) if self._mds else read_metadata(data)
        except Fault as error:
            raise self.listing.corrupt_row(row, str(error)) from error

    def _sample(self, row: Row, latent: memoryview, text: memoryview, caption: memoryview) -> Stored | CorruptSample:
        forms = self.listing.forms
        try:
            arrays = _array(latent, forms[row.latent_form]), _array(text, forms[row.text_form])
            return Stored(*arrays, str(caption, "utf-8"))
        except ValueError as error:
            return self.listing.corrupt_row(row, f"other bytes than when it was listed ({error})")


class TableStore:
    """Samples in Parquet files."""

    def __init__(self, tables: ParquetRows, listing: Listing) -> None:
        self.listing, self._tables = listing, tables
        self.held: int | None = tables.held

    def read(self, rows: Sequence[Row]) -> list[Stored | CorruptSample]:
        """See ``Store``."""
        found: list[Stored | CorruptSample] = []
        for row in rows:
            try:
                found.append(Stored(*self._tables.sample(row)))
            except Fault as error:
                found.append(self.listing.corrupt_row(row, str(error)))
        return found

    def metadata(self, row: Row) -> dict[str, Any]:
        """See ``Store``."""
        try:
            return self._tables.metadata(row)
        except Fault as error:
            raise self.listing.corrupt_row(row, str(error)) from error


def _open(found: ExpertPlace, resolution: int | None, cache: str | Path | None, skips: bool) -> Store:
    location = found.place.location
    if found.format == "parquet":
        tables, lister = ParquetRows(location, found.paths, resolution), Lister(_uris(found, found.paths), skips)
        tables.add_to(lister, found.cluster)
        return TableStore(tables, lister.finish())
    if found.format == "mds":
        shards = [shard for path in found.paths for shard in read_index(found.place.read(path), path)]
        paths = [shard.path for shard in shards]
        packed = any(shard.packed for shard in shards)
        files = ByteFiles(location, paths, cache, _Unpack(shards) if packed else None)
        lister = Lister(_uris(found, paths), skips)
        listing_mds = MdsLister(lister, resolution)
        for number, shard in enumerate(shards):
            listing_mds.add(number, shard, files.scan(number))
        return PlacedStore(files, lister.finish(), shards)
    files, lister = ByteFiles(location, found.paths, cache), Lister(_uris(found, found.paths), skips)
    smallest = found.place.manifest.get("format", {}).get("latents", {}).get("resolution")
    listing_tars = TarLister(lister, resolution, smallest)
    for number in range(len(found.paths)):
        listing_tars.add(number, files.scan(number))
    return PlacedStore(files, lister.finish(), ())


class _Unpack:
    def __init__(self, shards: Sequence[MdsFile]) -> None:
        self._shards = shards

    def __call__(self, number: int, stored: Any) -> bytes:
        return unpacked(self._shards[number], stored)


def _uris(found: ExpertPlace, paths: Sequence[str]) -> list[str]:
    return [found.place.location.uri(path) for path in paths]


def _array(data: memoryview, form: Form) -> np.ndarray:
    return np.frombuffer(data, form.dtype).reshape(form.shape)
