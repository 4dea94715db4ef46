"""An exported shard as a Parquet file that `datasets`, pandas and others read, written a row group at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.images.decode import read_header
from paris_assets.storage.location import Location

GROUP_ROWS, GROUP_IMAGES = 1000, 100
"""Rows of a row group, which is what a reader holds at least: fewer where it has the files."""
IMAGE = "image"
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {b"huggingface": json.dumps({"info": {"features": {IMAGE: {"_type": "Image"}}}}).encode()}
"""What `datasets` takes the column for: pictures, which it decodes."""
DESCRIPTION = b"description"

FINGERPRINT = b"paris_export"
"""In a file's key-value metadata: a hash of what it depends on."""

Read = Callable[[pl.DataFrame], Iterator[tuple[str, bytes]]]
"""image_ids -> (image_id, file bytes) in their order."""


def write_parquet(
    path: Path, table: pa.Table, said: Mapping[str, str], facts: Mapping[str, str], read: Read | None = None
) -> None:
    """Write a table, with a column of images where they can be read.

    Args:
        table: sorted by ``image_id``; the embeddings are its fixed-size lists.
        said: column -> its description.
        facts: key-value metadata of the file.
        read: reads the images of a row group.
    """
    schema = described(table.schema, said)
    if read:
        schema = schema.append(pa.field(IMAGE, IMAGE_TYPE)).with_metadata(FEATURES)
    rows = GROUP_IMAGES if read else GROUP_ROWS

    def groups() -> Iterator[pa.Table]:
        for first in range(0, table.num_rows, rows):
            group = table.slice(first, rows)
            yield group.append_column(IMAGE, _images(group, read)) if read else group

    write_groups(path, schema, groups(), facts)


def write_groups(path: Path, schema: pa.Schema, groups: Iterable[pa.Table], facts: Mapping[str, str]) -> None:
    """Write a file whose row groups are these tables.

    Args:
        facts: key-value metadata of the file.
    """
    with pq.ParquetWriter(path, schema, **_encoding(schema)) as writer:
        for group in groups:
            writer.write_table(group.cast(schema), row_group_size=group.num_rows)
        writer.add_key_value_metadata(dict(facts))


def footer(place: Location, path: str) -> pq.FileMetaData | None:
    """What a file says of itself; None where there is none, or one that is cut off: it is written again."""
    try:
        with place.open(path) as file:
            return pq.read_metadata(file)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None


def read_columns(place: Location, path: str, names: Collection[str]) -> pa.Table:
    """Those of some columns that a file has."""
    with place.open(path) as file:
        table = pq.ParquetFile(file)
        return table.read([name for name in table.schema_arrow.names if name in names])


def _images(group: pa.Table, read: Read) -> pa.Array:
    """The files of a row group, each with the name that it has in the tars."""
    ids = pl.DataFrame({"image_id": group["image_id"].to_pylist()})
    files = [{"bytes": data, "path": f"{name}.{read_header(data).extension}"} for name, data in read(ids)]
    return pa.array(files, IMAGE_TYPE)


def described(schema: pa.Schema, said: Mapping[str, str]) -> pa.Schema:
    """A schema whose fields say what they hold."""
    return pa.schema(
        [
            field.with_metadata({DESCRIPTION: said[field.name].encode()}) if said.get(field.name) else field
            for field in schema
        ]
    )


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Arrays and files do not get smaller, and neither do their dictionaries."""
    dense = {leaf for field in schema if _is_array(field.type) for leaf in _leaves(field)}
    dense |= {f"{IMAGE}.bytes"} if IMAGE in schema.names else set()
    leaves = [leaf for field in schema for leaf in _leaves(field)]
    return {
        "compression": {leaf: "none" if leaf in dense else "zstd" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf not in dense],
        "write_statistics": [leaf for leaf in leaves if leaf not in dense],
    }


def _is_array(kind: pa.DataType) -> bool:
    """Whether it holds numbers of a fixed count, or bytes."""
    inner = kind.value_type if pa.types.is_list(kind) else kind
    return pa.types.is_fixed_size_list(inner) or pa.types.is_binary(kind)


def _leaves(field: pa.Field) -> list[str]:
    kind = field.type
    if pa.types.is_struct(kind):
        return [f"{field.name}.{inner}" for each in kind for inner in _leaves(each)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return [f"{field.name}.list.{inner}" for inner in _leaves(kind.value_field.with_name("element"))]
    return [field.name]
