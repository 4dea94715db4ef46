"""What an asset declares of its columns, as Dagster shows it: schema and lineage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import dagster as dg
import polars as pl

from paris_assets.storage.parquet import Chunk

Columns = Mapping[str, tuple[str, ...]]
"""Column -> type, description, and the ``asset.column`` that its values are made from."""


def schema_of(columns: Columns) -> dg.TableSchema:
    """Types and descriptions. What a column is made from is a tag, as Dagster's own UI shows lineage to nobody."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, kind, text, tags={"from": _in_short(sources)} if sources else None)
            for name, (kind, text, *sources) in columns.items()
        ]
    )


def _in_short(sources: list[str]) -> str:
    """Two columns by name; of more, which tables they are in."""
    tables = list(dict.fromkeys(source.split(".")[0] for source in sources))
    return ", ".join(sources if len(sources) <= 2 else tables)


def lineage_of(columns: Columns) -> dg.TableColumnLineage:
    """Columns that are made from columns of upstream assets."""
    return dg.TableColumnLineage(
        deps_by_column={
            name: [dg.TableColumnDep(*source.split(".")) for source in sources]
            for name, (_, _, *sources) in columns.items()
            if sources
        }
    )


def every(asset: str, *columns: str) -> tuple[str, ...]:
    """``asset.column`` of several columns."""
    return tuple(f"{asset}.{column}" for column in columns)


class SeenColumns:
    """Passes rows through and remembers their columns and types."""

    def __init__(self, rows: Iterable[Chunk]) -> None:
        self.types: dict[str, str] = {}
        self._rows = rows

    def __iter__(self) -> Iterator[Chunk]:
        for chunk in self._rows:
            if not self.types:
                frame = chunk if isinstance(chunk, pl.DataFrame) else pl.DataFrame(chunk.schema.empty_table())
                self.types = {name: str(kind) for name, kind in frame.schema.items()}
            yield chunk

    def schema(self, declared: dg.TableSchema, others: str) -> dg.TableSchema | None:
        """The schema as it is, where a profile adds columns or decides their size; None where it is as declared.

        Args:
            declared: what the asset declares; its descriptions hold.
            others: description of columns that are not declared.
        """
        known = {column.name: column for column in declared.columns}
        if self.types == {name: column.type for name, column in known.items()}:
            return None
        return dg.TableSchema(
            columns=[
                dg.TableColumn(name, kind, known[name].description if name in known else others)
                for name, kind in self.types.items()
            ]
        )
