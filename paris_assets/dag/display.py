"""How tables look in Dagster's UI: columns, lineage, figures of a record, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from paris_assets.dag import pictures
from paris_assets.dag.records import Record, table_path
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output, Samples
from paris_assets.storage.schema import Schema

COLUMNS = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"
MAX_PICTURES = 10
SAMPLE_ROWS, SAMPLE_COLUMNS, MAX_TEXT = 5, 12, 80
MAX_ITEMS = 20
INTERNAL = ("made_from", "sketch")  # facts of records that say nothing to a person
# The same at every materialisation, until someone changes a setting.
CONSTANT = (
    "dimensions",
    "k",
    "restarts",
    "seed",
    "sample",
    "stability_seeds",
    "scaling_factor",
    "shift_factor",
)
NAMES = {
    "kept": "rows_kept",
    "keepers": "images_kept",
    "trained_on": "images_trained_on",
    "sizes": "images_per_cluster",
    "shares": "share_per_cluster",
    "upscaled": "images_upscaled",
    "train": "samples_for_training",
    "validation": "samples_for_validation",
    "mean_distance": "mean_distance_to_centroid",
}

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
    return {**shown, **facts_metadata(record.facts)}


def facts_metadata(facts: Mapping[str, Any]) -> Shown:
    """Facts of a record under names that say what is counted. What settings decide is text, and so not plotted."""
    return {
        NAMES.get(name, name): dg.MetadataValue.text(_in_one_line(value))
        if name in CONSTANT or not isinstance(value, (bool, int, float, str))
        else value
        for name, value in facts.items()
        if name not in INTERNAL
    }


def _in_one_line(value: Any) -> str:
    """A list's items, the first and last of many; what a dict knows; of hashes the beginning."""
    if isinstance(value, dict):
        known = {name: item for name, item in value.items() if item is not None}
        return "; ".join(f"{name}: {_in_one_line(item)}" for name, item in known.items())
    if isinstance(value, list):
        many = len(value) > MAX_ITEMS
        few = [*value[: MAX_ITEMS // 2], "...", *value[-MAX_ITEMS // 2 :]] if many else value
        return ", ".join(_in_one_line(item) for item in few) + (f" ({len(value):,} in all)" if many else "")
    if isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return value[:12]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def in_words(record: Record, seconds: float | None) -> str:
    """A line on a table: rows in and out, rejects by reason, how long it took; None where it was left as it is."""
    entered = record.counts.get("rows_in", record.rows)
    rejects = ", ".join(f"{count:,} {reason}" for reason, count in sorted(record.rejects.items()))
    spent = "up to date, left as it is" if seconds is None else f"written in {seconds:.1f} s"
    said = f"{table_path(record.asset, record.shard)}: {entered:,} rows in, {record.rows:,} rows out, {spent}"
    return f"{said}; rejected: {rejects}" if rejects else said


def kept_metadata(location: Location, record: Record, instance: dg.DagsterInstance) -> Shown:
    """What an unpartitioned table on this disk shows that was made before: pictures, pages and rows."""
    if location.remote:  # each file would be a request
        return {}
    files = [file.path for file in record.files]
    drawn = {path: location.read(path) for path in files if path.endswith(".png")}
    page = next((path for path in files if path.endswith(".html")), None)
    output = Output(pictures=drawn, links={"report": page} if page else {})
    return {**output_metadata(location, output, instance, record), **first_rows(location, record)}


def first_rows(location: Location, record: Record) -> Shown:
    """The first rows of a table on this disk, as far as they are text and numbers."""
    if location.remote or record.rows == 0:
        return {}
    table = pl.scan_parquet(location.uri(table_path(record.asset, record.shard)))
    return _rows("first rows", table.head(SAMPLE_ROWS))


def _rows(label: str, table: pl.LazyFrame) -> Shown:
    kinds = table.collect_schema().items()
    plain = [name for name, kind in kinds if kind in (pl.String, pl.Boolean) or kind.is_numeric()]
    plain.sort(key=lambda name: name == "image_id")  # which is long and says little, last
    rows = table.select(plain[-SAMPLE_COLUMNS:]).collect().iter_rows(named=True)
    records = [dg.TableRecord({name: _short(value) for name, value in row.items()}) for row in rows]
    return {label: dg.MetadataValue.table(records)} if plain else {}


def sample_metadata(location: Location, samples: Samples | None, instance: dg.DagsterInstance, record: Record) -> Shown:
    """A few images of a table on this disk and their rows, or its first rows where it shows no images."""
    if samples is None or location.remote or record.rows == 0:  # each image would be a request
        return first_rows(location, record)
    table = pl.scan_parquet(location.uri(table_path(record.asset, record.shard)))
    chosen = samples.choose(table)
    if chosen.is_empty():
        return first_rows(location, record)
    picture = pictures.of_samples(samples, chosen)
    value = pictures.shown(instance, record.asset, f"images {record.shard}", picture)
    rows = chosen.lazy().select("image_id").unique(maintain_order=True).head(SAMPLE_ROWS)
    rows = rows.join(table, on="image_id", how="left", maintain_order="left")
    return {**({"images": value} if value else {}), **_rows("rows of these images", rows)}


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]} ..."
    return round(value, 4) if isinstance(value, float) else value


def output_metadata(location: Location, output: Output, instance: dg.DagsterInstance, record: Record) -> Shown:
    """Pictures, of many the first ten, and links to pages."""
    found: Shown = {}
    for path, png in list(output.pictures.items())[:MAX_PICTURES]:
        name = path.rpartition("/")[2]
        value = pictures.shown(instance, record.asset, name.removesuffix(".png"), pictures.of_png(png))
        found |= {name: value} if value else {}
    for name, path in output.links.items():
        uri = location.uri(path)
        found[name] = dg.MetadataValue.url(uri) if location.remote else dg.MetadataValue.path(uri)
    return found
