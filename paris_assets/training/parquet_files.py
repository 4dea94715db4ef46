"""Samples in Parquet files, read row group by row group."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.errors import UserError
from paris_assets.storage.location import Location
from paris_assets.training.listing import Fault, Form, Lister, Row, checked_id, form_of, told, told_numbers
from paris_assets.training.places import MissingFiles

ARRAYS = re.compile(r"latent_\d+|text|pooled")
GROUPS = 32
"""Row groups that are in memory at a time."""
NEEDED = ("image_id", "caption", "split", "cluster")
OPTIONAL = ("tokens", "weight")
CHANNELS = 4
NOWHERE = (0,) * 5
"""Places of a row that its file does not tell."""


class BadTable(UserError, ValueError):
    """A Parquet file that lacks what training reads."""


class ParquetRows:
    """Row groups of some Parquet files, of which the last few stay in memory.

    A latent is a column ``latent_RESOLUTION``: fixed-size lists of its shape, or bytes with the columns
    ``..._height`` and ``..._width`` or ``..._shape``. ``text`` is fixed-size lists, a list of them with a row per
    token, or bytes with the column ``text_shape``.
    """

    def __init__(self, location: Location, paths: Sequence[str], resolution: int | None) -> None:
        self._location, self._paths, self._resolution = location, list(paths), resolution
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()
        self._blocks: list[tuple[int, int, str]] = []
        self._listed: list[int] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_groups": OrderedDict()}

    @property
    def held(self) -> int:
        """Samples that are shuffled with each other so that every row group is read about once: of half the groups that
        are held at a time. Files may hold those of other experts, too."""
        return max(1, GROUPS // 2 * sum(self._listed) // max(len(self._listed), 1))

    def add_to(self, lister: Lister, cluster: int | None) -> None:
        """Add the samples of all files, those of one expert where ``cluster`` is given.

        Raises:
            BadTable: a file is no Parquet, or lacks a column.
        """
        for number, path in enumerate(self._paths):
            with self._open(path) as file:
                latent = self._latent_column(path, file.schema_arrow)
                if latent is None:
                    lister.listing.absent += file.metadata.num_rows
                    continue
                names = file.schema_arrow.names
                # Texts are many times as large as latents, and are not read where their lengths are known.
                wanted = [*NEEDED, *(name for name in OPTIONAL if name in names), latent, *_shapes(names, latent)]
                wanted += [] if "tokens" in names else ["text"]
                for group in range(file.num_row_groups):
                    self._blocks.append((number, group, latent))
                    with lister.sample(number, f"(of row group {group})"):
                        table = _row_group(file, group, wanted)
                        self._add(lister, table, file.schema_arrow.field("text").type, cluster)

    def _add(self, lister: Lister, table: pa.Table, text: pa.DataType, cluster: int | None) -> None:
        block, rows = len(self._blocks) - 1, []
        number, _, latent = self._blocks[block]
        filled = table[latent].is_valid().to_pylist()
        known = table.drop_columns([name for name in (latent, "text") if name in table.column_names]).to_pylist()
        for row, each in enumerate(known):
            if cluster not in (None, each["cluster"]):
                continue
            if not filled[row]:
                lister.listing.absent += 1
                continue
            with lister.sample(number, str(each["image_id"])):
                given = {name: value for name, value in each.items() if value is not None}
                array = _array(table, latent, latent, row)
                forms = [form_of(array.dtype, array.shape), _text_form(table, text, latent, row, given)]
                numbers = told_numbers(given, forms[1].shape[0])
                key, weight = checked_id(each["image_id"]), told(given, "weight", 1.0)
                latent_form, text_form = (lister.form(form) for form in forms)
                places = (latent_form, row, text_form, *NOWHERE)
                rows.append(Row._make((key, number, block, *numbers, weight, *places)))
        lister.add(rows)
        self._listed += [len(rows)] if rows else []

    def sample(self, row: Row) -> tuple[np.ndarray, np.ndarray, str]:
        """Stored latent, stored text and caption of a row of the listing.

        Raises:
            Fault: they cannot be read.
        """
        at, (_, _, latent) = row.latent_at, self._blocks[row.block]
        table = self._group(row.block)
        arrays = (_array(table, name, latent, at) for name in (latent, "text"))
        return (*arrays, table["caption"][at].as_py() or "")  # type: ignore[return-value]

    def metadata(self, row: Row) -> dict[str, Any]:
        """All columns of a row that are no arrays of latents or text.

        Raises:
            Fault: they cannot be read.
        """
        table = self._group(row.block)
        names = [name for name in table.column_names if not ARRAYS.fullmatch(name)]
        return table.select(names).slice(row.latent_at, 1).to_pylist()[0]

    def _group(self, block: int) -> pa.Table:
        if block in self._groups:
            self._groups.move_to_end(block)
            return self._groups[block]
        number, group, latent = self._blocks[block]
        with self._open(self._paths[number]) as file:
            names = [name for name in file.schema_arrow.names if not ARRAYS.fullmatch(name) or name in (latent, "text")]
            table = _row_group(file, group, names)
        self._groups[block] = table
        while len(self._groups) > GROUPS:
            self._groups.popitem(last=False)
        return table

    def _latent_column(self, path: str, schema: pa.Schema) -> str | None:
        sizes = sorted(int(found[1]) for name in schema.names if (found := re.fullmatch(r"latent_(\d+)", name)))
        missing = [name for name in (*NEEDED, "text") if name not in schema.names]
        if missing or not sizes:
            lacks = ", ".join([*missing, *(["latent_RESOLUTION"] if not sizes else [])])
            raise BadTable(f"{self._location.uri(path)} lacks the columns {lacks}: export it again")
        wanted = sizes[0] if self._resolution is None else self._resolution
        return f"latent_{wanted}" if wanted in sizes else None

    @contextmanager
    def _open(self, path: str) -> Iterator[pq.ParquetFile]:
        uri = self._location.uri(path)
        with ExitStack() as stack:
            try:
                file = pq.ParquetFile(stack.enter_context(self._location.open(path)))
            except FileNotFoundError:
                raise MissingFiles(f"{uri} is not there: export it again, or fetch it") from None
            except pa.ArrowInvalid as error:
                raise BadTable(f"{uri} is no Parquet file ({error}): fetch or export it again") from error
            yield file


def _row_group(file: pq.ParquetFile, group: int, names: Sequence[str]) -> pa.Table:
    try:
        return file.read_row_group(group, names).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowIOError) as error:
        if isinstance(error, UserError):
            raise
        raise Fault(f"its row group cannot be read ({error})") from error


def stored_array(column: pa.Array, row: int, shape: Sequence[int] | None) -> np.ndarray:
    """The array in a row of a column.

    Args:
        column: fixed-size lists, lists of them, fixed-shape tensors, or bytes.
        shape: of a flat value; None: as the type says.

    Raises:
        Fault: there is none, or it is of another number of values.
    """
    if isinstance(column.type, pa.FixedShapeTensorType):
        column, shape = column.storage, column.type.shape
    if not column.is_valid()[row].as_py():
        raise Fault("no value")
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _of_bytes(column[row].as_buffer(), shape)
    start, stop, sides = row + column.offset, row + column.offset + 1, list[int]()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        start, stop = column.offsets[row].as_py(), column.offsets[row + 1].as_py()
        column, sides = column.values, [stop - start]
        start, stop = start + column.offset, stop + column.offset
    while pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        column, sides, start, stop = column.values, [*sides, size], start * size, stop * size
    values = np.frombuffer(column.buffers()[1], column.type.to_pandas_dtype())
    part = values[start + column.offset : stop + column.offset]
    wanted = tuple(shape or sides)
    if part.size != np.prod(wanted):
        raise Fault(f"{part.size} values, where the shape is {wanted}")
    return part.reshape(wanted)


def _of_bytes(data: Any, shape: Sequence[int] | None) -> np.ndarray:
    """An array of bytes: of 8 bits where there are as many as values, else float16."""
    size = int(np.prod(shape)) if shape else 0
    if not shape or len(data) not in (size, 2 * size):
        raise Fault(f"{len(data)} bytes, where the shape is {shape}")
    return np.frombuffer(data, np.uint8 if len(data) == size else np.float16).reshape(tuple(shape))


def _shapes(names: Sequence[str], latent: str) -> list[str]:
    """Those of a table's columns that tell shapes."""
    told = [f"{latent}_height", f"{latent}_width", f"{latent}_shape", "text_shape"]
    return [name for name in told if name in names]


def _array(table: pa.Table, name: str, latent: str, row: int) -> np.ndarray:
    """The stored array of a row, of a table of one chunk."""
    sides = {name: table[name][row].as_py() for name in _shapes(table.column_names, latent)}
    shape = sides.get(f"{name}_shape")
    if shape is None and f"{name}_height" in sides:
        shape = (CHANNELS, sides[f"{name}_height"], sides[f"{name}_width"])
    try:
        return stored_array(table[name].chunk(0), row, shape)
    except Fault as error:
        raise Fault(f"column {name}: {error}") from error


def _text_form(table: pa.Table, kind: pa.DataType, latent: str, row: int, given: dict[str, Any]) -> Form:
    """Shape of a row's text, whose values need not be at hand where ``tokens`` are."""
    if "text" in table.column_names:
        array = _array(table, "text", latent, row)
        return form_of(array.dtype, array.shape)
    if "text_shape" in given:
        return Form("", tuple(given["text_shape"]))
    if isinstance(kind, pa.FixedShapeTensorType):
        return Form("", tuple(kind.shape))
    sides = list[int]()
    while not pa.types.is_primitive(kind):
        fixed = pa.types.is_fixed_size_list(kind)
        if not fixed and not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            raise Fault(f"column text of {kind}, where its shape is not told")
        sides.append(kind.list_size if fixed else told(given, "tokens"))
        kind = kind.value_type
    return Form("", tuple(sides))
