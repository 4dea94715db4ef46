"""`croissant.json`: an export as a machine-readable description (Croissant 1.1, a vocabulary of JSON-LD).

Of the specification at http://mlcommons.org/croissant/1.1: every file with its sha256, and a record set for each set of
rows with its columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from paris_assets.export.parquet import DESCRIPTION, IMAGE
from paris_assets.export.parts import Config, Part

CROISSANT = "croissant.json"
PARQUET = "application/x-parquet"
_SAME = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
    "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField",
    "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator", "source",
    "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _SAME},
}
"""The context that the specification gives."""
KINDS = {
    pa.bool_(): "sc:Boolean",
    pa.string(): "sc:Text",
    pa.binary(): "sc:Text",
    pa.float16(): "cr:Float16",
    pa.float32(): "cr:Float32",
    pa.float64(): "cr:Float64",
    pa.int8(): "cr:Int8",
    pa.int16(): "cr:Int16",
    pa.int32(): "cr:Int32",
    pa.int64(): "cr:Int64",
    pa.uint8(): "cr:UInt8",
    pa.uint16(): "cr:UInt16",
    pa.uint32(): "cr:UInt32",
    pa.uint64(): "cr:UInt64",
}


def croissant(
    name: str, said: str, license: str, version: str, configs: Sequence[Config], schema: pa.Schema
) -> dict[str, Any]:
    """The description, of the sets that share no file.

    Args:
        said: what the data set is.
        license: of the data set.
        version: a semantic one.
        schema: of all files.
    """
    files = [part for config in configs for part in config.parts]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": re.sub(r"[^A-Za-z0-9_-]+", "-", name),
        "description": said,
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "license": license,
        "version": version,
        "distribution": [*map(_file, files), *map(_file_set, configs)],
        "recordSet": [_records(config, schema) for config in configs],
    }


def _file(part: Part) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": part.path,
        "name": part.path,
        "contentUrl": part.path,
        "contentSize": f"{part.size_bytes} B",
        "encodingFormat": PARQUET,
        "sha256": part.sha256,
    }


def _file_set(config: Config) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"files-of-{config.name}",
        "name": f"files-of-{config.name}",
        "description": f"Files of {config.name}",
        "encodingFormat": PARQUET,
        "includes": [pattern for pattern, _ in config.splits.values()],
    }


def _records(config: Config, schema: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": config.name,
        "name": config.name,
        "description": config.said,
        "field": [_field(config.name, field) for field in schema],
    }


def _field(records: str, field: pa.Field) -> dict[str, Any]:
    kind, shape = field.type, list[int]()
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        shape.append(kind.list_size if pa.types.is_fixed_size_list(kind) else -1)
        kind = kind.value_type
    array = {"isArray": True, "arrayShape": ",".join(map(str, shape))} if shape else {}
    described = (field.metadata or {}).get(DESCRIPTION, b"").decode()
    extract: dict[str, Any] = {"column": field.name}
    source: dict[str, Any] = {"fileSet": {"@id": f"files-of-{records}"}, "extract": extract}
    if field.name == IMAGE:
        source["transform"] = {"jsonPath": "bytes"}
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{field.name}",
        "name": field.name,
        **({"description": described} if described else {}),
        "dataType": "sc:ImageObject" if field.name == IMAGE else KINDS[kind],
        **array,
        "source": source,
    }
