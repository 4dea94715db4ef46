"""Tars and MDS folders made by hand, sound ones and what strangers write."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

Member = tuple[str, bytes]


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=array.dtype == object)
    return file.getvalue()


def sample(number: int, key: str | None = None) -> list[Member]:
    """A sample with all kinds of members; every number another."""
    name = key or f"{number:06d}"
    latent = np.random.default_rng(number).normal(size=(4, 2, 2)).astype(np.float16)
    return [
        (f"{name}.caption.txt", f"picture {number}".encode()),
        (f"{name}.latent.npy", npy(latent)),
        (f"{name}.metadata.json", json.dumps({"number": number}).encode()),
    ]


def samples(count: int, first: int = 0) -> list[Member]:
    return [member for number in range(first, first + count) for member in sample(number)]


def tar(path: Path, members: Sequence[Member], format: int = tarfile.USTAR_FORMAT, mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=format) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def mds_sample(number: int) -> dict[str, bytes]:
    """A sample of ``COLUMNS``."""
    text = np.full((1 + number % 3, 3), 0.5, np.float16)
    latent = (np.arange(4, dtype=np.uint8) + number + 1).tobytes()
    shape = bytes([2 * 4, *text.shape])
    return {"id": f"a{number}".encode(), "latent": latent, "n": np.uint16(7 + number).tobytes(),
            "text": shape + text.tobytes(), "u": np.array([1, 2], np.float16).tobytes()}  # fmt: skip


COLUMNS = {"id": "str", "latent": "ndarray:uint8:1,2,2", "n": "uint16", "text": "ndarray:float16",
           "u": "ndarray:float16:2"}  # fmt: skip
SIZES = {"id": None, "latent": 4, "n": 2, "text": None, "u": 4}


def mds_bytes(rows: Sequence[dict[str, bytes]], columns: dict[str, str], sizes: dict[str, int | None]) -> bytes:
    """A shard, by the layout of the library (spec of the format: offsets, header, samples)."""
    header = json.dumps(
        {"column_encodings": list(columns.values()), "column_names": list(columns),
         "column_sizes": [sizes[name] for name in columns], "compression": None, "format": "mds", "hashes": ["sha1"],
         "size_limit": 1 << 26, "version": 2}, sort_keys=True,
    ).encode()  # fmt: skip
    bodies = []
    for row in rows:
        lengths = [len(row[name]) for name in columns if sizes[name] is None]
        bodies.append(np.array(lengths, "<u4").tobytes() + b"".join(row[name] for name in columns))
    start = 4 + 4 * (len(rows) + 1) + len(header)
    offsets = np.concatenate([[0], np.cumsum([len(body) for body in bodies])]) + start
    return np.uint32(len(rows)).tobytes() + offsets.astype("<u4").tobytes() + header + b"".join(bodies)


def mds(
    folder: Path,
    rows: Sequence[Sequence[dict[str, bytes]]],
    columns: dict[str, str] | None = None,
    sizes: dict[str, int | None] | None = None,
    compression: str | None = None,
) -> Path:
    """A folder with a shard for each list of rows, and its index."""
    columns, sizes, entries = columns or COLUMNS, sizes or SIZES, list[dict[str, Any]]()
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(rows):
        data, name = mds_bytes(part, columns, sizes), f"shard.{number:05d}.mds"
        packed = None
        if compression:
            content = pa.Codec("zstd", 3).compress(data, asbytes=True)
            (folder / f"{name}.zstd").write_bytes(content)
            packed = _file(f"{name}.zstd", content)
        else:
            (folder / name).write_bytes(data)
        entries.append(
            {"column_encodings": list(columns.values()), "column_names": list(columns),
             "column_sizes": [sizes[name] for name in columns], "compression": compression, "format": "mds",
             "hashes": ["sha1"], "raw_data": _file(name, data), "samples": len(part), "size_limit": 1 << 26,
             "version": 2, "zip_data": packed}
        )  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"shards": entries, "version": 2}, sort_keys=True))
    return folder


def _file(name: str, data: bytes) -> dict[str, Any]:
    return {"basename": name, "bytes": len(data), "hashes": {"sha1": hashlib.sha1(data).hexdigest()}}


def edit_index(folder: Path, **values: Any) -> None:
    """Change the first shard's entry."""
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0] |= values
    (folder / "index.json").write_text(json.dumps(index))


def seal(folder: Path) -> None:
    """Write sizes and hashes of uncompressed shards anew, so that only their content can tell what was changed."""
    index = json.loads((folder / "index.json").read_text())
    for entry in index["shards"]:
        name = entry["raw_data"]["basename"]
        entry["raw_data"] = _file(name, (folder / name).read_bytes())
    (folder / "index.json").write_text(json.dumps(index))
