"""What a table holds: one object per table builds its frames, is checked on commit and is shown to people."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from paris_assets.errors import BrokenInvariant

Kind = pl.DataType | type[pl.DataType]


class WrongColumns(BrokenInvariant):
    """Rows do not have the columns that their table declares; the message names the first difference."""


@dataclass(frozen=True)
class ArrayOf:
    """Fixed-size arrays whose size only the profile or a network knows.

    Attributes:
        item: type of the values.
        sizes: a name per axis, as people read it.
        or_ragged: whether a profile may have rows of sizes of their own in place of it: their bytes, little-endian and
            in C order. Lists of arrays would say the same; Parquet writes and reads bytes 6 to 13 times as fast.
    """

    item: Kind
    sizes: tuple[str, ...]
    or_ragged: bool = False

    def __str__(self) -> str:
        return f"Array({self.item}, ({', '.join(self.sizes)})){' or its bytes' if self.or_ragged else ''}"

    def accepts(self, found: Kind) -> bool:
        """Whether a column's type is such an array, of any size."""
        if self.or_ragged and found == pl.Binary:
            return True
        return isinstance(found, pl.Array) and len(found.shape) == len(self.sizes) and _innermost(found) == self.item


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        kind: its type.
        description: what it holds, with units.
        origins: the ``asset.column`` that its values are made from.
    """

    kind: Kind | ArrayOf
    description: str
    origins: tuple[str, ...] = ()

    def accepts(self, found: Kind) -> bool:
        """Whether values of a type belong here."""
        return self.kind.accepts(found) if isinstance(self.kind, ArrayOf) else found == self.kind


class Schema(Mapping[str, Column]):
    """Columns of a table, in order.

    Args:
        columns: name -> (type, description, the ``asset.column`` that values are made from ...).
        others: description of columns that a profile adds; empty where it may add none.
        by_profile: columns of these that a profile may do without.
    """

    def __init__(
        self, columns: Mapping[str, tuple[Any, ...]], others: str = "", by_profile: Container[str] = ()
    ) -> None:
        self._columns = {name: Column(kind, text, tuple(origins)) for name, (kind, text, *origins) in columns.items()}
        self.others, self._by_profile = others, by_profile

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def polars(self, without: Container[str] = (), **shapes: tuple[int, ...] | None) -> pl.Schema:
        """Names and types, for building frames.

        Args:
            without: columns that a profile does without.
            shapes: of the columns whose size only the profile or a network knows; None: rows have their own.

        Raises:
            TypeError: such a column got no shape; ``fixed`` leaves those out.
        """
        chosen = {name: column.kind for name, column in self.items() if name not in without}
        open_ended = [name for name, kind in chosen.items() if isinstance(kind, ArrayOf) and name not in shapes]
        if open_ended:
            raise TypeError(f"columns {open_ended} have no size of their own")
        return pl.Schema({name: _sized(kind, shapes.get(name)) for name, kind in chosen.items()})

    def fixed(self) -> pl.Schema:
        """Names and types of the columns whose type is known whatever the profile says."""
        return pl.Schema({name: column.kind for name, column in self.items() if not isinstance(column.kind, ArrayOf)})

    def frame(self, rows: Any = None, **options: Any) -> pl.DataFrame:
        """Rows, given in any way that polars takes, as a frame of these columns."""
        return pl.DataFrame(rows, schema=self.polars(), **options)

    def select(self, without: Container[str] = ()) -> list[pl.Expr]:
        """Expressions that bring a frame's columns into this order and these types, but for those that a profile does
        without."""
        return [pl.col(name).cast(kind) for name, kind in self.polars().items() if name not in without]

    def always(self) -> list[str]:
        """Columns that the table has whatever the profile says."""
        return [name for name in self if name not in self._by_profile]

    def require(self, found: Mapping[str, Kind], table: str) -> None:
        """Check the columns of rows that are about to be committed.

        Args:
            found: name -> type.
            table: what the message calls it.

        Raises:
            WrongColumns: one is missing, unknown or of another type.
        """
        always = self.always()
        for name, column in self.items():
            if name not in found and name in always:
                raise WrongColumns(f"{table} lacks its column {name!r} ({column.kind})")
            if name in found and not column.accepts(found[name]):
                raise WrongColumns(f"{table}.{name} holds {found[name]}, not {column.kind}")
        unknown = [name for name in found if name not in self]
        if unknown and not self.others:
            raise WrongColumns(f"{table} has columns that its schema does not know: {', '.join(unknown)}")


def every(asset: str, *columns: str) -> tuple[str, ...]:
    """``asset.column`` of several columns."""
    return tuple(f"{asset}.{column}" for column in columns)


def _sized(kind: Kind | ArrayOf, shape: tuple[int, ...] | None) -> Kind:
    if not isinstance(kind, ArrayOf):
        return kind
    return pl.Binary() if shape is None else pl.Array(kind.item, shape)


def _innermost(kind: pl.Array) -> Kind:
    inner: Any = kind
    while isinstance(inner, pl.Array):
        inner = inner.inner
    return inner
