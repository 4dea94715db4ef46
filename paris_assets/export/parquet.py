"""An exported shard as a Parquet file that `datasets`, pandas and others read, written a row group at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from paris_assets.images.decode import read_header

GROUP_ROWS, GROUP_IMAGES = 1000, 100
"""Rows of a row group, which is what a reader holds at least: fewer where it has the files."""
IMAGE = "image"
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {b"huggingface": json.dumps({"info": {"features": {IMAGE: {"_type": "Image"}}}}).encode()}
"""What `datasets` takes the column for: pictures, which it decodes."""
DESCRIPTION = b"description"

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
    schema = _described(table.schema, said)
    if read:
        schema = schema.append(pa.field(IMAGE, IMAGE_TYPE)).with_metadata(FEATURES)
    rows = GROUP_IMAGES if read else GROUP_ROWS
    with pq.ParquetWriter(path, schema, **_encoding(schema)) as writer:
        for first in range(0, table.num_rows, rows):
            group = table.slice(first, rows)
            if read:
                group = group.append_column(IMAGE, _images(group, read))
            writer.write_table(group.cast(schema), row_group_size=rows)
        writer.add_key_value_metadata(dict(facts))


def _images(group: pa.Table, read: Read) -> pa.Array:
    """The files of a row group, each with the name that it has in the tars."""
    ids = pl.DataFrame({"image_id": group["image_id"].to_pylist()})
    files = [{"bytes": data, "path": f"{name}.{read_header(data).extension}"} for name, data in read(ids)]
    return pa.array(files, IMAGE_TYPE)


def _described(schema: pa.Schema, said: Mapping[str, str]) -> pa.Schema:
    return pa.schema(
        [
            field.with_metadata({DESCRIPTION: said[field.name].encode()}) if said.get(field.name) else field
            for field in schema
        ]
    )


def _encoding(schema: pa.Schema) -> dict[str, Any]:
    """Vectors and files do not get smaller, and neither do their dictionaries."""
    dense = {f"{field.name}.list.element" for field in schema if pa.types.is_fixed_size_list(field.type)}
    dense |= {f"{IMAGE}.bytes"} if IMAGE in schema.names else set()
    leaves = [leaf for field in schema for leaf in _leaves(field)]
    return {
        "compression": {leaf: "none" if leaf in dense else "zstd" for leaf in leaves},
        "use_dictionary": [leaf for leaf in leaves if leaf not in dense],
        "write_statistics": [leaf for leaf in leaves if leaf not in dense],
    }


def _leaves(field: pa.Field) -> list[str]:
    kind = field.type
    if pa.types.is_struct(kind):
        return [f"{field.name}.{inner}" for each in kind for inner in _leaves(each)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return [f"{field.name}.list.{inner}" for inner in _leaves(kind.value_field.with_name("element"))]
    return [field.name]
