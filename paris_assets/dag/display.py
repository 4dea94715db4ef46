"""How tables look in Dagster's UI: columns, lineage, figures of a record, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from paris_assets.dag.records import Record, table_path
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets.storage.schema import Schema

COLUMNS = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"
MAX_INLINE_BYTES = 36_000  # base64 makes it 48 KB
MAX_PICTURES = 10
SAMPLE_ROWS, SAMPLE_COLUMNS, MAX_TEXT = 5, 12, 80
INTERNAL = ("made_from",)  # facts of records that say nothing to a person

Shown = dict[str, Any]


def table_schema(schema: Schema, found: Mapping[str, Any] | None = None) -> dg.TableSchema:
    """Types and descriptions. What a column is made from is a tag, as Dagster's own UI shows lineage to nobody.

    Args:
        found: columns and types as they are, where a profile adds columns or decides their size.
    """
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                str(kind),
                schema[name].description if name in schema else schema.others,
                tags={"from": _in_short(schema[name].origins)} if name in schema and schema[name].origins else None,
            )
            for name, kind in (found or {name: column.kind for name, column in schema.items()}).items()
        ]
    )


def _in_short(origins: tuple[str, ...]) -> str:
    """Two columns by name; of more, which tables they are in."""
    tables = list(dict.fromkeys(origin.split(".")[0] for origin in origins))
    return ", ".join(origins if len(origins) <= 2 else tables)


def column_lineage(schema: Schema, inputs: tuple[str, ...]) -> dg.TableColumnLineage:
    """Columns that are made from columns of the assets that a profile's graph has."""
    origins = {
        name: [origin for origin in column.origins if origin.split(".")[0] in inputs] for name, column in schema.items()
    }
    return dg.TableColumnLineage(
        deps_by_column={
            name: [dg.TableColumnDep(*origin.split(".")) for origin in found]
            for name, found in origins.items()
            if found
        }
    )


def record_metadata(location: Location, record: Record) -> Shown:
    """What a record shows on its materialisation: numbers that plot, rejects by reason, where the file lies."""
    path = table_path(record.asset, record.shard)
    size = (location.size(path) or 0) + sum(file.size_bytes for file in record.files)
    shown: Shown = {
        "dagster/row_count": record.rows,
        "dagster/uri": location.uri(path),
        "dagster/size_bytes": size,
        **record.counts,
        **{f"rejected {reason}": count for reason, count in record.rejects.items()},
    }
    if entered := record.counts.get("rows_in"):
        shown["kept_share"] = round(1 - sum(record.rejects.values()) / entered, 4)
    for name, value in record.facts.items():
        if name in INTERNAL:
            continue
        shown[name] = value if isinstance(value, (int, float, str)) else dg.MetadataValue.json(value)
    return shown


def in_words(record: Record, seconds: float) -> str:
    """A line on a table that has just been made: rows in and out, rejects by reason, how long it took."""
    entered = record.counts.get("rows_in", record.rows)
    rejects = ", ".join(f"{count:,} {reason}" for reason, count in sorted(record.rejects.items()))
    said = f"{table_path(record.asset, record.shard)}: {entered:,} rows in, {record.rows:,} rows written, {seconds:.1f} s"
    return f"{said}; rejected: {rejects}" if rejects else said


def kept_metadata(location: Location, record: Record) -> Shown:
    """What an unpartitioned table on this disk shows that was made before: pictures, pages and rows."""
    if location.remote:  # each file would be a request
        return {}
    files = [file.path for file in record.files]
    pictures = {path: location.read(path) for path in files if path.endswith(".png")}
    page = next((path for path in files if path.endswith(".html")), None)
    output = Output(pictures=pictures, links={"report": page} if page else {})
    return {**sample_rows(location, record), **output_metadata(location, output)}


def sample_rows(location: Location, record: Record) -> Shown:
    """The first rows of a table on this disk, as far as they are text and numbers."""
    if location.remote or record.rows == 0:
        return {}
    table = pl.scan_parquet(location.uri(table_path(record.asset, record.shard)))
    plain = [name for name, kind in table.collect_schema().items() if kind == pl.String or kind.is_numeric()]
    rows = table.select(plain[:SAMPLE_COLUMNS]).head(SAMPLE_ROWS).collect().iter_rows(named=True)
    records = [dg.TableRecord({name: _short(value) for name, value in row.items()}) for row in rows]
    return {"first rows": dg.MetadataValue.table(records)} if plain else {}


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]} ..."
    return round(value, 4) if isinstance(value, float) else value


def output_metadata(location: Location, output: Output) -> Shown:
    """Pictures, inline as small JPEGs with where the whole ones lie (of many, the first ten), and links."""
    shown: Shown = {}
    for path, png in list(output.pictures.items())[:MAX_PICTURES]:
        inline = f"![{path}](data:image/jpeg;base64,{_thumbnail(png)})"
        shown[path.rpartition("/")[2]] = dg.MetadataValue.md(f"{location.uri(path)}\n\n{inline}")
    for name, path in output.links.items():
        uri = location.uri(path)
        shown[name] = dg.MetadataValue.url(uri) if location.remote else dg.MetadataValue.path(uri)
    return shown


def _thumbnail(png: bytes) -> str:
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for side in (900, 700, 500, 350, 200, 100):
        picture.thumbnail((side, side))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=80)
        if len(file.getvalue()) <= MAX_INLINE_BYTES:
            break
    return base64.b64encode(file.getvalue()).decode()
