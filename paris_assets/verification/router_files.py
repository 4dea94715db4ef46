"""Router arrays read back for verification: against the samples of the tars, and joined against each shard's own."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.verification.findings import Findings
from paris_assets.verification.listed_files import ListedFiles, load_array
from paris_assets.verification.mds_samples import ShardMds
from paris_assets.verification.tar_samples import INFINITE, SIGN, ShardTars

FOLDER = "router_training"
DTYPES = {"latents": "<f2", "labels": "<i8", "embeddings": "<f2", "clip": "<f2", "image_ids": "|S32", "split": "|u1"}
AXES = {"latents": 4, "labels": 1, "embeddings": 2, "clip": 2, "image_ids": 1, "split": 1}
BLOCK_ROWS = 2048

Arrays = dict[str, np.ndarray]


def open_array(path: str, local: Path, name: str, findings: Findings, coded: Container[str] = ()) -> np.ndarray | None:
    """One array, memory-mapped; None, and a problem, where it is not what the contract says.

    Args:
        coded: arrays that are stored as uint8.
    """
    dtype = "|u1" if name in coded else DTYPES[name]
    expected = f"an .npy file of {dtype} with {AXES[name]} axes"
    try:
        array = load_array(local, mmap_mode="r")
    except ValueError as error:
        findings.problem(path, expected, f"one that cannot be read ({error})")
        return None
    if array.dtype.str != dtype or array.ndim != AXES[name]:
        findings.problem(path, expected, f"{array.dtype.str} of shape {array.shape}")
        return None
    return array.view(np.ndarray)


def open_shard(
    shard: str,
    names: Sequence[str],
    files: ListedFiles,
    declared: dict[str, int | None],
    findings: Findings,
    coded: Container[str] = (),
) -> Arrays | None:
    """The arrays of these names of one shard, of equal length; None where one lacks or differs in length."""
    arrays: Arrays = {}
    for name in names:
        path = f"router_arrays/{shard}/{name}.npy"
        local = files.take(path)
        array = open_array(path, local, name, findings, coded) if local else None
        if array is None:
            continue
        arrays[name] = array
        count = declared.get(path)
        if count is not None and len(array) != count:
            findings.problem(path, f"{count} rows", f"{len(array)}")
        if name in ("embeddings", "clip", "latents") and not _finite(array):
            coded_zero = array.dtype == np.uint8
            expected, found = ("codes of 1 to 255", "zeros") if coded_zero else ("finite values", "infinities or NaN")
            findings.problem(path, expected, found)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        findings.problem(f"router_arrays/{shard}/", "arrays of equal length", _said(lengths), _again(shard))
    return arrays if len(arrays) == len(names) and len(set(lengths.values())) == 1 else None


def _finite(array: np.ndarray) -> bool:
    if array.dtype == np.uint8:
        return all(array[start : start + BLOCK_ROWS].all() for start in range(0, len(array), BLOCK_ROWS))
    blocks = (array[start : start + BLOCK_ROWS].view(np.uint16) for start in range(0, len(array), BLOCK_ROWS))
    return all(not block.size or (block & ~SIGN).max() < INFINITE for block in blocks)


def _said(lengths: dict[str, int]) -> str:
    return ", ".join(f"{name} {length}" for name, length in lengths.items())


def _again(shard: str) -> str:
    return f"make them again: paris run --force --select router_arrays --shards {shard}"


def join_samples(
    shard: str, arrays: Arrays, samples: pl.DataFrame, tars: ShardTars | ShardMds, findings: Findings, place: str
) -> None:
    """Rows of a shard's arrays against its tars or MDS files: the same ids in order, labels, splits and latents.

    Args:
        place: the column of ``samples`` that says where the router's latents are.
    """
    folder = f"router_arrays/{shard}"
    ids = arrays["image_ids"]
    unordered = np.flatnonzero(ids[1:] <= ids[:-1]) + 1
    said = [f"row {row}" for row in unordered]
    findings.samples(f"{folder}/image_ids.npy", "ids rising from row to row", "an id that does not rise", said)
    columns = {"image_id": [name.decode(errors="replace") for name in ids.tolist()]}
    values = {"label": arrays["labels"], "held_out": arrays["split"].astype(np.int64)}
    rows = pl.DataFrame(columns | values, schema_overrides={"image_id": pl.String}).with_row_index("row")
    unknown = rows.join(samples, on="image_id", how="anti")["image_id"].to_list()
    missing = samples.join(rows, on="image_id", how="anti")
    findings.samples(
        f"{folder}/image_ids.npy", f"ids of the shard's {tars.what}", f"an id that no {tars.what[:-1]} holds", unknown
    )
    for (path,), lost in missing.group_by("path", maintain_order=True):
        expected = f"samples of {folder}/image_ids.npy"
        findings.samples(str(path), expected, "an id that is not there", lost["image_id"].to_list())
    joined = rows.join(samples, on="image_id", how="inner", maintain_order="left")
    wrong = joined.filter(pl.col("label") != pl.col("expert"))["image_id"].to_list()
    findings.samples(
        f"{folder}/labels.npy", f"the expert whose {tars.what[:-1]} holds the sample", "another label", wrong
    )
    wrong = joined.filter(pl.col("held_out") != pl.col("split"))["image_id"].to_list()
    findings.samples(f"{folder}/split.npy", "the split in the sample's metadata.json", "another split", wrong)
    latents = arrays["latents"]
    wrong = [
        name
        for row, name, path, at in joined.select("row", "image_id", "path", place).iter_rows()
        if at is None or not tars.same(path, at, latents[row].tobytes())
    ]
    findings.samples(f"{folder}/latents.npy", f"the latent in the sample's {tars.what[:-1]}", "another latent", wrong)
    findings.checked["joined values"] += 3 * joined.height


class Consolidated:
    """``router_training``: the arrays of all shards laid end to end, in one file per array or in numbered parts."""

    def __init__(
        self, names: Sequence[str], files: ListedFiles, findings: Findings, coded: Container[str] = ()
    ) -> None:
        self._arrays, self._files, self._findings, self._coded = names, files, findings, coded
        self._opened: dict[str, np.ndarray | None] = {}
        self._reported: set[str] = set()
        self._names, self._rows = self._layout()
        self._end = 0

    def _layout(self) -> tuple[dict[str, list[str]], list[int] | None]:
        index = f"{FOLDER}/index.json"
        if index not in self._files.promises:
            return {name: [f"{FOLDER}/{name}.npy"] for name in self._arrays}, None
        local = self._files.take(index)
        try:
            said: Any = json.loads(local.read_bytes()) if local else None
            names = {name: [f"{FOLDER}/{file}" for file in said["files"][name]] for name in self._arrays}
            return names, [int(rows) for rows in said["rows"]]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self._findings.problem(index, "rows of every part and the files of each array", "something else")
            self._reported.update(self._arrays)
            return {name: [] for name in self._arrays}, []

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of one row, or None where the array cannot be read."""
        array = self._open(name, 0)
        return None if array is None else array.shape[1:]

    def compare(self, shard: str, arrays: Arrays) -> None:
        """The next rows are those of this shard."""
        rows = len(arrays["labels"])
        for name in self._arrays:
            if name not in self._reported:
                self._compare_one(name, shard, arrays[name])
        self._end += rows

    def skip(self, rows: int) -> None:
        """The next rows are those of a shard whose own arrays cannot be read."""
        self._end += rows

    def _compare_one(self, name: str, shard: str, array: np.ndarray) -> None:
        done = 0
        while done < len(array):
            part, start = self._locate(self._end + done)
            found = self._open(name, part)
            if found is None or start >= len(found):
                return  # said elsewhere: the file cannot be read, or is too short
            block = array[done : done + min(BLOCK_ROWS, len(found) - start)]
            row = _first_difference(block, found[start : start + len(block)])
            if row is not None:
                self._reported.add(name)
                expected = f"row {done + row} of router_arrays/{shard}/{name}.npy as row {start + row}"
                self._findings.problem(self._names[name][part], expected, "another row")
                return
            done += len(block)
            self._findings.checked["joined values"] += len(block)

    def finish(self) -> None:
        """After the last shard: no row is left over, and parts are as long as the index says."""
        for name in self._arrays:
            lengths = []
            for part, path in enumerate(self._names[name]):
                array = self._open(name, part)
                lengths.append(0 if array is None else len(array))
                if self._rows and part < len(self._rows) and array is not None and len(array) != self._rows[part]:
                    self._findings.problem(path, f"{self._rows[part]} rows, as index.json says", f"{len(array)}")
            if sum(lengths) != self._end and name not in self._reported:
                path = self._names[name][-1] if self._names[name] else f"{FOLDER}/index.json"
                self._findings.problem(path, f"{self._end} rows in all, as in router_arrays", f"{sum(lengths)}")

    def _locate(self, row: int) -> tuple[int, int]:
        """(part, row within it)."""
        part = 0
        while self._rows and part < len(self._rows) - 1 and row >= self._rows[part]:
            row -= self._rows[part]
            part += 1
        return part, row

    def _open(self, name: str, part: int) -> np.ndarray | None:
        if part >= len(self._names[name]):
            return None
        path = self._names[name][part]
        if path not in self._opened:
            local = self._files.take(path)
            self._opened[path] = open_array(path, local, name, self._findings, self._coded) if local else None
        return self._opened[path]


def _first_difference(left: np.ndarray, right: np.ndarray) -> int | None:
    """First of equally many rows whose bytes differ; None when there is none."""
    if left.shape != right.shape:
        return 0
    a, b = (np.ascontiguousarray(side).view(np.uint8).reshape(len(side), -1) for side in (left, right))
    return None if np.array_equal(a, b) else int(np.flatnonzero((a != b).any(axis=1))[0])
