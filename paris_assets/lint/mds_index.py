"""The index of an MDS folder: what it says of its shards, and whether it can be true."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from paris_assets.lint.local_copies import XXHASHES
from paris_assets.lint.mds_values import UnknownEncoding, size_of
from paris_assets.lint.problems import Problems

INDEX = "index.json"
COMPRESSIONS = {"zstd": ".zstd", "gz": ".gz", "bz2": ".bz2", "br": ".br", "snappy": ".snappy"}
LARGEST = 1 << 32
COLUMNS = ("column_names", "column_encodings", "column_sizes")


class File(NamedTuple):
    """A file that the index promises: name below the index's folder, bytes and hashes by name."""

    name: str
    size_bytes: int
    hashes: dict[str, str]


class Shard(NamedTuple):
    """A shard that can be looked into.

    Attributes:
        raw: as it is read.
        packed: as it lies there where it is compressed, else None.
        compression: name without level, or None.
        columns: name -> encoding, in the order of the bytes.
    """

    raw: File
    packed: File | None
    compression: str | None
    samples: int
    columns: dict[str, str]


def is_index(data: bytes) -> bool:
    """Whether a JSON file looks like an index of MDS shards."""
    try:
        held = json.loads(data)
    except (ValueError, RecursionError):
        return True  # of this name and broken: to be said
    return isinstance(held, dict) and isinstance(held.get("shards"), list)


def read_index(data: bytes, problems: Problems) -> list[Shard]:
    """The shards of an index that can be looked into; what is wrong with it is noted."""
    try:
        held = json.loads(data)
    except (ValueError, RecursionError) as error:
        problems.add("bad_index", "", f"no JSON ({str(error)[:80]})")
        return []
    if not isinstance(held, dict) or not isinstance(held.get("shards"), list):
        problems.add("bad_index", "", "no list of shards in it")
        return []
    if held.get("version") != 2:
        problems.add("bad_index", "", f"version {held.get('version')!r}, not 2")
    if not held["shards"]:
        problems.add("empty", "", "an index without shards")
    shards = [shard for number, entry in enumerate(held["shards"]) if (shard := _shard(number, entry, problems))]
    names = Counter(file.name for shard in shards for file in (shard.raw, shard.packed) if file)
    for name in (name for name, count in names.items() if count > 1):
        problems.add("bad_index", name, f"it is listed {names[name]} times")
    columns = Counter(tuple(shard.columns.items()) for shard in shards)
    if len(columns) > 1:
        usual = columns.most_common(1)[0][0]
        for shard in shards:
            if tuple(shard.columns.items()) != usual:
                problems.add(
                    "other_columns", shard.raw.name, f"columns {_said(shard.columns)}, not {_said(dict(usual))}"
                )
    return shards


def _shard(number: int, entry: Any, problems: Problems) -> Shard | None:
    where = f"shard {number}"
    faults = list(_faults(entry))
    for fault in faults:
        problems.add("bad_index", where, fault)
    if faults:
        return None
    columns = dict(zip(entry["column_names"], entry["column_encodings"], strict=True))
    if not _columns_hold(where, entry, problems):
        return None
    raw = _file(where, entry["raw_data"], problems)
    packed = _file(where, entry["zip_data"], problems) if entry["zip_data"] is not None else None
    if raw is None or (entry["zip_data"] is not None and packed is None):
        return None
    compression = str(entry["compression"]).partition(":")[0] if entry["compression"] is not None else None
    if (compression is None) != (packed is None):
        problems.add("bad_index", where, f"compression {entry['compression']!r}, and zip_data {packed and packed.name}")
        return None
    if raw.size_bytes >= LARGEST:
        problems.add("bad_index", where, f"{raw.size_bytes} bytes: offsets have 32 bits")
    return Shard(raw, packed, compression, entry["samples"], columns)


def _faults(entry: Any) -> Iterator[str]:
    """Why an entry cannot be used."""
    if not isinstance(entry, dict):
        yield "no object"
        return
    for key in COLUMNS:
        if not isinstance(entry.get(key), list):
            yield f"no list {key}"
    if entry.get("format") != "mds":
        yield f"format {entry.get('format')!r}, not 'mds'"
    if entry.get("version") != 2:
        yield f"version {entry.get('version')!r}, not 2"
    samples = entry.get("samples")
    if type(samples) is not int or samples < 0:
        yield f"samples is {samples!r}"
    for key in ("compression", "raw_data", "zip_data"):
        if key not in entry:
            yield f"no {key}"
    compression = entry.get("compression")
    if compression is not None and str(compression).partition(":")[0] not in COMPRESSIONS:
        yield f"compression {compression!r}, which readers do not know"
    lengths = {len(entry[key]) for key in COLUMNS if isinstance(entry.get(key), list)}
    if len(lengths) > 1:
        yield "column_names, column_encodings and column_sizes differ in length"


def _columns_hold(where: str, entry: dict[str, Any], problems: Problems) -> bool:
    """Whether names, encodings and sizes agree; samples can then be taken apart."""
    names = entry["column_names"]
    if not all(isinstance(value, str) for value in [*names, *entry["column_encodings"]]):
        problems.add("bad_index", where, "a column whose name or encoding is no text")
        return False
    if len(set(names)) < len(names):
        problems.add("bad_index", where, "two columns of one name")
        return False
    if names != sorted(names):
        problems.add("bad_index", where, "columns that are not sorted by name, which is the order of the bytes")
    for name, encoding, size in zip(names, entry["column_encodings"], entry["column_sizes"], strict=True):
        try:
            known = size_of(encoding)
        except UnknownEncoding:
            problems.add("unknown_encoding", where, f"column {name} is encoded as {encoding!r}")
            return False
        if size != known:
            said = f"column {name} has size {size}, and {encoding} takes {known}"
            problems.add("bad_index", where, f"{said}: stock readers give other values, without a word")
            return False
    return True


def _file(where: str, held: Any, problems: Problems) -> File | None:
    hashes = held.get("hashes") if isinstance(held, dict) else None
    if (
        not isinstance(held, dict)
        or not isinstance(hashes, dict)
        or not isinstance(held.get("basename"), str)
        or type(held.get("bytes")) is not int
        or held["bytes"] < 0
    ):
        problems.add("bad_index", where, "a file without basename, bytes and hashes")
        return None
    name = held["basename"]
    if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or "\0" in name:
        problems.add("unsafe_name", name, "a name that leads out of the folder; it was not read")
        return None
    unknown = sorted(hash for hash in hashes if hash not in {*hashlib.algorithms_available, *XXHASHES})
    if unknown:
        problems.add("bad_index", where, f"hashes that readers do not know: {', '.join(unknown)}")
    return File(name, held["bytes"], {key: str(value) for key, value in hashes.items()})


def _said(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} {encoding}" for name, encoding in columns.items())
