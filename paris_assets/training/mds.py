"""Where the arrays of expert MDS files lie: by what their index says, and by byte position."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from paris_assets.errors import UserError
from paris_assets.formats.mds_columns import HEAD_BYTES, Column, Columns
from paris_assets.formats.mds_reader import TornMds, decompressed, sample_offsets
from paris_assets.formats.mds_reader import read_index as read_entries
from paris_assets.storage.tar_members import Bytes
from paris_assets.training.listing import Fault, Form, Lister, Row, checked_id, form_of, told, told_numbers

Span = tuple[int, int]
"""First byte of a value in its file, and the first byte after it."""


class BadIndex(UserError, ValueError):
    """An ``index.json`` that is none of MDS, version 2, or that tells of other files than those that are there."""


class MdsFile(NamedTuple):
    """A file of the index.

    Attributes:
        path: of the file as it is stored, relative to where paths of the index are.
        samples: number of them.
        size: bytes before compression.
        packed: whether it is compressed by zstd.
    """

    path: str
    samples: int
    columns: Columns
    size: int
    packed: bool


def read_index(content: bytes, path: str) -> list[MdsFile]:
    """The files of an ``index.json``; ``path`` is where it lies.

    Raises:
        BadIndex: it is no such index, or names a compression or format that is not read.
    """
    folder, layouts, files = PurePosixPath(path).parent, dict[Any, Columns](), []
    try:
        for entry in read_entries(content):
            layout = (tuple(entry.columns.items()), tuple(entry.sizes.items()))
            if layout not in layouts:  # almost every file has the one of the first
                layouts[layout] = Columns(entry.columns, entry.sizes)
            packed = entry.compression is not None
            files.append(MdsFile(str(folder / entry.path), entry.samples, layouts[layout], entry.raw_bytes, packed))
    except ValueError as error:
        raise BadIndex(f"{path}: {error}; make the folder again") from error
    return files


def unpacked(file: MdsFile, stored: Any) -> bytes:
    """The bytes of a file, decompressed where it is compressed.

    Raises:
        BadIndex: the file is not the one that the index tells of.
    """
    try:
        data = decompressed(stored, file.size) if file.packed else bytes(stored)
    except TornMds as error:
        raise BadIndex(f"{file.path}: {error}; fetch it again") from error
    if len(data) != file.size:
        raise BadIndex(f"{file.path}: {len(data)} bytes, where the index says {file.size}; fetch it again")
    return data


class MdsLister:
    """Lists the samples of MDS files.

    Args:
        resolution: of the latents; None: the smallest that a file has.
    """

    def __init__(self, lister: Lister, resolution: int | None) -> None:
        self._lister, self._resolution = lister, resolution

    def add(self, number: int, file: MdsFile, data: Bytes) -> None:
        """The samples of one file.

        Raises:
            CorruptSample: of a sample or file that is not as the index says.
        """
        rows = []
        with self._lister.sample(number, "(of the whole file)"):
            latent = latent_column(file.columns.by_name, self._resolution)
            if latent is None:
                self._lister.listing.absent += file.samples
                return
            for name in ("image_id", "caption", "text"):
                if name not in file.columns.by_name:
                    raise Fault(f"no column {name} beside {', '.join(file.columns.by_name)}")
            for row, span in enumerate(pairwise(_offsets(file, data))):
                with self._lister.sample(number, f"number {row}"):
                    rows.append(self._row(number, file.columns, data, span, latent))
        self._lister.add(rows)

    def _row(self, number: int, columns: Columns, data: Bytes, sample: Span, latent: str) -> Row:
        spans = _spans(columns, data, sample)
        metadata = _metadata(columns, spans, data)
        (latent_form, latent_at), (text_form, text_at) = (
            _array(columns.by_name[name], data, spans[name]) for name in (latent, "text")
        )
        numbers = told_numbers(metadata, text_form.shape[0] if text_form.shape else None)
        arrays = (self._lister.form(latent_form), latent_at, self._lister.form(text_form), text_at)
        weight = told(metadata, "weight", 1.0)
        key, (caption, after), (start, end) = checked_id(metadata.get("image_id")), spans["caption"], sample
        return Row._make((key, number, number, *numbers, weight, *arrays, caption, after - caption, start, end - start))


def latent_column(columns: Iterable[str], resolution: int | None) -> str | None:
    """The column of a resolution, or of the smallest; None where there is none."""
    sizes = sorted(int(found[1]) for name in columns if (found := re.fullmatch(r"latent_(\d+)", name)))
    wanted = sizes[:1] if resolution is None else [size for size in sizes if size == resolution]
    return f"latent_{wanted[0]}" if wanted else None


def metadata_of(columns: Columns, sample: bytes) -> dict[str, Any]:
    """Values of a sample that are no arrays; those of its JSON column ``metadata`` among them.

    Raises:
        Fault: it is not as the index says.
    """
    return _metadata(columns, _spans(columns, sample, (0, len(sample))), sample)


def _array(column: Column, data: Bytes, span: Span) -> tuple[Form, int]:
    """dtype and shape of an array, and the first byte of its values."""
    start, end = span
    try:
        dtype, shape, at = column.array_head(data[start : min(end, start + HEAD_BYTES)], end - start)
    except ValueError as error:
        raise Fault(str(error)) from error
    return form_of(dtype, shape), start + at


def _offsets(file: MdsFile, data: Bytes) -> list[int]:
    try:
        offsets = sample_offsets(data).tolist()
    except TornMds as error:
        raise Fault(str(error)) from error
    if len(offsets) != file.samples + 1:
        raise Fault(f"{len(offsets) - 1} samples, where the index says {file.samples}")
    return offsets


def _spans(columns: Columns, data: Bytes, sample: Span) -> dict[str, Span]:
    """Where each column of a sample lies."""
    start, end = sample
    try:
        parts = columns.parts(data[start : min(end, start + columns.head_bytes)], end - start)
    except ValueError as error:
        raise Fault(str(error)) from error
    return {name: (start + first, start + after) for name, (first, after) in parts.items()}


def _metadata(columns: Columns, spans: Mapping[str, Span], data: Bytes) -> dict[str, Any]:
    """Values of the columns that are numbers, texts or JSON."""
    try:
        values = {
            column.name: column.decode(data[slice(*spans[column.name])])
            for column in columns.columns
            if column.scalar or column.text
        }
    except ValueError as error:
        raise Fault(str(error)) from error
    rest = values.pop("metadata", {})
    if not isinstance(rest, dict):
        raise Fault("column metadata is no JSON object")
    return {**values, **rest}
