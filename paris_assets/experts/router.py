"""Router training arrays: `.npy` files in one row order, per image shard and consolidated."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from paris_assets.errors import BrokenInvariant
from paris_assets.experts.arrays import array_rows
from paris_assets.experts.coding import Codecs, Coder
from paris_assets.experts.samples import SampleTables, chosen_samples
from paris_assets.formats.npy import write_npy_header
from paris_assets.storage.output import Output

ARRAYS = ("latents", "labels", "embeddings", "clip", "image_ids", "split")
OPTIONAL = ("clip",)
"""Those of them that are there only where texts have a pooled vector."""
BATCH_ROWS = 2048


class MisalignedRows(BrokenInvariant):
    """Router arrays do not have the same number of rows, or a shard lacks an array."""


def router_rows(
    shard: str,
    tables: SampleTables,
    texts: pl.LazyFrame,
    image_embeddings: pl.LazyFrame,
    resolution: int,
    codecs: Codecs,
) -> Output:
    """Rows of `router_arrays` and the arrays of one image shard; see ``write_router_arrays``.

    Args:
        shard: key of the shard, which names the folder.
        tables: what samples are joined from.
        texts: `text_embeddings` of the shard.
        resolution: which latents, pixels; all of one shape.
        codecs: by kind of arrays.
    """
    samples, output = chosen_samples(tables)

    def write() -> Iterator[pl.DataFrame]:
        coder, folder = Coder(codecs), output.scratch
        files = write_router_arrays(samples, tables.latents, image_embeddings, texts, resolution, folder, coder)
        output.facts |= coder.facts
        output.files.update({array_path(shard, name): file for name, file in files.items()})
        yield samples.select("image_id", "cluster", "split")

    output.rows = write()
    return output


def array_path(shard: str, name: str) -> str:
    """Path of a shard's array, relative to the root."""
    return f"router_arrays/{shard}/{name}.npy"


def write_router_arrays(
    samples: pl.DataFrame,
    latents: pl.LazyFrame,
    image_embeddings: pl.LazyFrame,
    texts: pl.LazyFrame,
    resolution: int,
    folder: Path,
    coder: Coder,
) -> dict[str, Path]:
    """Write the arrays of one image shard; every row is the sample of the same position in ``samples``.

    Writes:
        latents f16 (N, channels, h, w) scaled, or uint8 where they are coded; labels int64 (N,);
        embeddings f16 (N, D) as the model gave them; clip f16 (N, dim) pooled text, where there is any;
        image_ids S32 (N,); split uint8 (N,).
    """
    ids = samples["image_id"]
    columns: dict[str, Iterable[np.ndarray]] = {
        "latents": (
            coder.array("latents", rows) for rows in array_rows(latents, f"latent_{resolution}", ids, BATCH_ROWS)
        ),
        "labels": [samples["cluster"].to_numpy().astype(np.int64)],
        "embeddings": array_rows(image_embeddings, "embedding", ids, BATCH_ROWS),
        **({"clip": array_rows(texts, "pooled", ids, BATCH_ROWS)} if "pooled" in texts.collect_schema() else {}),
        "image_ids": [ids.to_numpy().astype("S32")],
        "split": [samples["split"].to_numpy().astype(np.uint8)],
    }
    written = {}
    for name, parts in columns.items():
        written[name] = folder / f"{name}.npy"
        write_npy(written[name], parts, len(ids))
    return written


def write_npy(path: Path, parts: Iterable[np.ndarray], rows: int) -> None:
    """Write one array from its parts without holding it in memory.

    Raises:
        MisalignedRows: the parts do not add up to ``rows``, or there is none; of no rows there is one empty part.
    """
    with open(path, "wb") as file:
        written = 0
        for part in parts:
            if file.tell() == 0:
                write_npy_header(file, part.dtype, (rows, *part.shape[1:]))
            file.write(np.ascontiguousarray(part).tobytes())
            written += len(part)
        headless = file.tell() == 0
    if headless:
        raise MisalignedRows(f"{path.name}: no part was given, so its shape is unknown")
    if written != rows:
        raise MisalignedRows(f"{path.name}: {written} rows written, {rows} expected")


def consolidate(shards: Sequence[dict[str, Path]], folder: Path, max_bytes: int) -> dict[str, Path]:
    """Join the arrays of all shards, in shard order, into ``router_training/*.npy``.

    Where an array is above ``max_bytes``, all are written as numbered files (``latents-00000.npy`` ...) with the same
    row cuts for every array, and ``index.json`` lists them. Without any sample the arrays are empty, with their shapes.

    Returns:
        file name -> local file.

    Raises:
        MisalignedRows: there is no shard, a shard has other arrays than the first, or its arrays differ in rows.
    """
    if not shards:
        raise MisalignedRows("no shard has router arrays, so there is nothing to join: run router_arrays first")
    arrays = [name for name in ARRAYS if name in shards[0]]
    for number, files in enumerate(shards):
        if set(files) != set(arrays):
            raise MisalignedRows(f"shard number {number} has {', '.join(sorted(files))}, the first {', '.join(arrays)}")
    lengths = [_rows(number, files) for number, files in enumerate(shards)]
    # The cuts depend on the width of a row alone, so the first files stay as they are while the source grows.
    per_file = max(1, max_bytes // max(_row_bytes(_open(shards[0][name])) for name in arrays))
    total = sum(lengths)
    parts = [(start, min(start + per_file, total)) for start in range(0, max(total, 1), per_file)]

    def file_of(name: str, part: int) -> str:
        return f"{name}.npy" if len(parts) == 1 else f"{name}-{part:05d}.npy"

    written: dict[str, Path] = {}
    for part, (start, stop) in enumerate(parts):
        for name in arrays:
            file = file_of(name, part)
            written[file] = folder / file
            paths = [files[name] for files in shards]
            write_npy(written[file], _blocks(paths, lengths, start, stop), stop - start)
    if len(parts) > 1:
        rows = [stop - start for start, stop in parts]
        index = {name: [file_of(name, part) for part in range(len(parts))] for name in arrays}
        written["index.json"] = folder / "index.json"
        written["index.json"].write_text(json.dumps({"rows": rows, "files": index}, indent=1, sort_keys=True))
    return written


def _open(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _rows(number: int, files: dict[str, Path]) -> int:
    counts = {name: len(_open(file)) for name, file in files.items()}
    if len(set(counts.values())) != 1:
        raise MisalignedRows(f"router arrays of shard number {number} differ in rows: {counts}")
    return counts["labels"]


def _row_bytes(array: np.ndarray) -> int:
    return array.dtype.itemsize * math.prod(array.shape[1:])


def _blocks(paths: Sequence[Path], lengths: Sequence[int], start: int, stop: int) -> Iterator[np.ndarray]:
    """Rows ``start`` to ``stop`` of the arrays laid end to end, one of them open at a time; of no rows one empty
    block."""
    if start == stop:
        yield _open(paths[0])[:0]
    for path, length in zip(paths, lengths, strict=True):
        if start < length and stop > 0:
            array = _open(path)
            for first in range(max(start, 0), min(stop, length), BATCH_ROWS):
                yield array[first : min(first + BATCH_ROWS, stop)]
        start, stop = start - length, stop - length
