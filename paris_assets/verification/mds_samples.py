"""MDS files read back for verification: every column of every sample."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from paris_assets.formats.mds_columns import HEAD_BYTES
from paris_assets.formats.mds_reader import MdsEntry, MdsFileReader, TornMds, decompressed
from paris_assets.verification.findings import Findings
from paris_assets.verification.mds_indices import check_hashes
from paris_assets.verification.sample_shapes import TEXT_MEMBER, Shapes
from paris_assets.verification.tar_samples import KEY, Faults, check_order, fault_of, sample_row

TEXT = "text"
NEEDED = {
    "image_id": "str",
    "caption": "str",
    "tokens": "int32",
    "cluster": "int32",
    "split": "uint8",
    "metadata": "json",
}
"""Column -> encoding."""
SAME = ("tokens", "cluster", "split")
"""Columns that repeat what metadata holds."""


class ShardMds:
    """The MDS files of one image shard: a row per sample (columns of ``Shapes.schema``), and the arrays inside by
    position. Compressed files are unpacked to a folder that is removed again."""

    what = "MDS files"

    def __init__(self, shapes: Shapes, entries: Mapping[str, MdsEntry] | None = None) -> None:
        """Nothing is open yet.

        Args:
            entries: path -> what the index of its folder says of a file, where there is one.
        """
        self._shapes, self._entries = shapes, entries or {}
        self._open = ExitStack()
        self._files: dict[str, MdsFileReader] = {}
        self._rows: list[dict[str, Any]] = []

    def add(self, path: str, local: Path, declared: int | None, findings: Findings) -> None:
        """Check one file and add its samples."""
        parts = PurePosixPath(path).parts
        expert, sizes = int(parts[1].removeprefix("cluster_")), parts[2]
        faults: Faults = defaultdict(list)
        keys: list[str] = []
        try:
            file = self._files[path] = self._opened(local)
            if path in self._entries:
                check_hashes(path, local, file, self._entries[path], findings)
            latents = [f"latent_{size}" for size in sizes.split("-")]
            known = [f"latent_{size}" for size in self._shapes.sizes.values()]
            held = {column.name: column.encoding for column in file.columns.columns}
            wrong = [name for name, encoding in NEEDED.items() if held.get(name) != encoding]
            wrong += [name for name in (*latents, TEXT) if not held.get(name, "").startswith("ndarray:")]
            wrong += [name for name in held if name.startswith("latent_") and name not in latents]
            wrong += [name for name in latents if name in held and name not in known]
            if wrong:
                raise TornMds(f"columns {', '.join(held)}; {', '.join(wrong)} missing, too many or of another encoding")
            for number in range(len(file)):
                row = self._read(file, number, latents, expert, faults)
                keys.append(row.pop("key"))
                if len(row):
                    self._rows.append({"path": path, **row})
        except TornMds as error:
            findings.problem(path, f"a whole MDS file of latents of {sizes} px", str(error))
        findings.checked["samples"] += len(keys)
        for (expected, found), of_samples in faults.items():
            findings.samples(path, expected, found, of_samples)
        check_order(path, keys, declared, findings)

    def table(self) -> pl.DataFrame:
        """All samples of the shard, sorted by image_id."""
        return pl.DataFrame(self._rows, schema=self._shapes.schema(), orient="row").sort("image_id")

    def same(self, path: str, offset: int, values: bytes) -> bool:
        """Whether a file holds these bytes at a position."""
        return self._files[path].data[offset : offset + len(values)] == values

    def close(self) -> None:
        """Unmap the files, and remove what was unpacked."""
        self._open.close()

    def _opened(self, local: Path) -> MdsFileReader:
        if local.suffix == ".zstd":
            folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="paris-verify-"))
            data, local = local, Path(folder) / "file.mds"
            local.write_bytes(decompressed(data.read_bytes()))
        return self._open.enter_context(MdsFileReader(local))

    def _read(
        self, file: MdsFileReader, number: int, latents: list[str], expert: int, faults: Faults
    ) -> dict[str, Any]:
        """The row of a sample, with its ``key``; that alone where it is not whole."""
        start, _ = file.span(number)
        sample, parts = file.read(number), file.parts(number)
        members = {TEXT: TEXT_MEMBER} | {f"latent_{size}": kind for kind, size in self._shapes.sizes.items()}
        key, places, found = sample["image_id"], dict[str, int](), dict[str, tuple[int, ...]]()
        if not KEY.fullmatch(key):
            faults["32 hex digits as image_id", "another name"].append(repr(key))
            return {"key": key}
        for name in (*latents, TEXT):
            kind = members[name]
            fault = fault_of(sample[name], kind, self._shapes, sample["tokens"])
            if fault:
                faults[f"{name} of {self._shapes.dtype(kind)}, finite, of one shape", fault].append(key)
            first, end = parts[name]
            head = file.data[start + first : min(start + end, start + first + HEAD_BYTES)]
            *_, at = file.columns.by_name[name].array_head(head, end - first)
            found[kind], places[kind] = sample[name].shape, start + first + at
        row = sample_row(key, sample["metadata"], sample["caption"], expert, self._shapes, found, faults)
        if row is None:
            return {"key": key}
        other = [name for name in SAME if sample[name] != sample["metadata"][name]]
        if other:
            faults["columns as in metadata", f"another {', '.join(other)}"].append(key)
        placed = {self._shapes.place(size): places.get(kind) for kind, size in self._shapes.sizes.items()}
        return {"key": key, **row, **placed, "text_at": places[TEXT_MEMBER]}
