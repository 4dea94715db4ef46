"""What is known of an expert's samples before any array of them is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from paris_assets.errors import UserError
from paris_assets.formats.npy import read_npy_header

ID_BYTES = 64
LARGEST = (1 << 31) - 1
"""Numbers of a row have 32 bits."""
FAR = 1e30
"""Beyond what a weight may be."""


class Row(NamedTuple):
    """A sample: the file that it lies in, what is read together with it, and the places of its parts in the file.

    ``latent_form`` and ``text_form`` are numbers in ``Listing.forms``; ``*_at`` the first byte of the values. Of
    Parquet ``latent_at`` is the row within its row group, and no other place is known.
    """

    image_id: bytes
    file: int
    block: int
    cluster: int
    split: int
    tokens: int
    weight: float
    latent_form: int
    latent_at: int
    text_form: int
    text_at: int
    caption_at: int
    caption_bytes: int
    rest_at: int
    rest_bytes: int


_TYPES = (f"S{ID_BYTES}", "i4", "i4", "i4", "u1", "i4", "f4", "i4", "i8", "i4", "i8", "i8", "i8", "i8", "i8")
ROW = np.dtype(list(zip(Row._fields, _TYPES, strict=True)))
"""``Row`` as an array holds it."""


def rows_of(table: np.ndarray) -> list[Row]:
    """The rows of an array of ``ROW``."""
    return [Row._make(row) for row in table.tolist()]


class CorruptSample(UserError, ValueError):
    """A sample, or the rest of a file, that cannot be read; the message names file and key."""

    def __init__(self, file: str, key: str, fault: str) -> None:
        super().__init__(f"{file}: sample {key}: {fault}; fetch or make the file again, or pass on_corrupt='skip'")
        self.file, self.key, self.fault = file, key, fault


class Form(NamedTuple):
    """dtype (as numpy names it) and shape of a stored array."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Fault(ValueError):
    """What is wrong with a sample, for who knows its file and key."""


def form_of(dtype: np.dtype, shape: Sequence[int]) -> Form:
    """The form of an array."""
    return Form(dtype.str.lstrip("<|"), tuple(shape))


def npy_form(content: bytes, name: str) -> tuple[Form, int]:
    """The form of an ``.npy`` file, and the bytes of its header.

    Raises:
        Fault: it is none, or not in C order, or of objects.
    """
    try:
        header = read_npy_header(content)
    except ValueError as error:
        raise Fault(f"{name} is no .npy file ({error})") from error
    if header.fortran_order or header.dtype.hasobject:
        raise Fault(f"{name} in Fortran order, or of objects")
    return form_of(header.dtype, header.shape), header.start


@dataclass
class Listing:
    """Samples in a fixed order: file by file, as they lie in them.

    Attributes:
        files: paths, as error messages name them.
        rows: (N,) of ``ROW``.
        forms: what the numbers of forms mean.
        absent: samples without a latent of the resolution that was asked for, which have no row.
        corrupt: samples that were left out, by name, where that is allowed.
    """

    files: list[str]
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, ROW))
    forms: list[Form] = field(default_factory=list)
    absent: int = 0
    corrupt: list[CorruptSample] = field(default_factory=list)

    def corrupt_row(self, row: Row, fault: str) -> CorruptSample:
        """What is said of a row that cannot be read."""
        return CorruptSample(self.files[row.file], row.image_id.decode(), fault)


class Lister:
    """Gathers a ``Listing``; what is corrupt stops it, or is counted."""

    def __init__(self, files: list[str], skips: bool) -> None:
        self.listing, self._skips = Listing(files), skips
        self._parts: list[np.ndarray] = []
        self._forms: dict[Form, int] = {}

    @contextmanager
    def sample(self, file: int, key: str) -> Iterator[None]:
        """Of a sample: a ``Fault`` within becomes a ``CorruptSample`` that names it."""
        try:
            yield
        except Fault as error:
            found = CorruptSample(self.listing.files[file], key, str(error))
            if not self._skips:
                raise found from error
            self.listing.corrupt.append(found)

    def form(self, form: Form) -> int:
        """The number of a form."""
        return self._forms.setdefault(form, len(self._forms))

    def add(self, rows: Iterable[Row]) -> None:
        """Rows of a file."""
        self._parts.append(np.array(list(rows), ROW))

    def finish(self) -> Listing:
        """The listing of all files."""
        self.listing.rows = np.concatenate([*self._parts, np.zeros(0, ROW)])
        self.listing.forms = list(self._forms)
        return self.listing


def told(metadata: dict[str, Any], name: str, default: Any = None) -> Any:
    """A number of a sample's metadata.

    Raises:
        Fault: it is not there and has no default, or is no number.
    """
    value = metadata.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= FAR:
        raise Fault(f"no number {name} in its metadata")
    return value


def told_whole(metadata: dict[str, Any], name: str, most: int, default: Any = None) -> int:
    """A whole number of a sample's metadata, from 0 to the largest that a row can hold.

    Raises:
        Fault: it is not there and has no default, or is another.
    """
    value = told(metadata, name, default)
    if not 0 <= value <= most or value != int(value):
        raise Fault(f"{name} {value} in its metadata, where 0 to {most} are read")
    return int(value)


def told_numbers(metadata: dict[str, Any], positions: int | None = None) -> tuple[int, int, int]:
    """Expert, side of the split and true tokens of a sample.

    Args:
        positions: of its text, all true ones where the metadata does not tell; None: they have to be told.

    Raises:
        Fault: one is not there, or cannot be.
    """
    return (
        told_whole(metadata, "cluster", LARGEST),
        told_whole(metadata, "split", 1),
        told_whole(metadata, "tokens", LARGEST, positions),
    )


def checked_id(key: Any) -> bytes:
    """A sample's key as a row holds it.

    Raises:
        Fault: it is none, or too long to be one of ours.
    """
    if not isinstance(key, str):
        raise Fault(f"a key that is no text: {key!r}")
    data = key.encode(errors="backslashreplace")
    if not 0 < len(data) <= ID_BYTES:
        raise Fault(f"a key of {len(data)} bytes, where 1 to {ID_BYTES} are read")
    return data


def named(corrupt: Iterable[CorruptSample]) -> str:
    """Corrupt samples counted by file, for a log line."""
    counts = Counter(each.file for each in corrupt)
    return ", ".join(f"{file} ({count})" for file, count in sorted(counts.items()))
