"""MDS files: one set per expert and image shard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from paris_assets.config import Experts
from paris_assets.experts.arrays import BATCH_ROWS, Sample, array_rows, samples_of
from paris_assets.experts.coding import Codecs, Coder
from paris_assets.experts.mds.columns import Shapes, encodings, sizes_name, values
from paris_assets.experts.samples import SampleTables, chosen_samples
from paris_assets.experts.schema import EXPERT_MDS
from paris_assets.experts.summary import SIDES
from paris_assets.formats.mds_columns import Columns
from paris_assets.formats.mds_writer import ZSTD, MdsFile, MdsForm
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output

FOLDER = "expert_mds"
HELD_BYTES = 256 << 20
"""Samples of all files in the making that are held in memory; beyond it those of the largest go to disk."""


class Kind(NamedTuple):
    """Samples that share a folder: those of an expert with the same sizes, of one side where sides are kept apart."""

    cluster: int
    sizes: str
    split: int | None

    @property
    def folder(self) -> str:
        """Below the root."""
        side = [] if self.split is None else [SIDES[self.split]]
        return "/".join([FOLDER, f"cluster_{self.cluster}", self.sizes, *side])


def expert_mds_files(
    shard: str,
    tables: SampleTables,
    texts: pl.LazyFrame,
    resolutions: Sequence[int],
    settings: Experts,
    codecs: Codecs,
) -> Output:
    """Rows of `expert_mds` and the MDS files of one image shard.

    Args:
        shard: key of the shard, which names the files.
        tables: what samples are joined from.
        texts: `text_embeddings` of the shard.
        resolutions: which latents, pixels; samples are kept apart by which of them they have.
        codecs: by kind of arrays.
    """
    samples, output = chosen_samples(tables)

    def write() -> Iterator[pl.DataFrame]:
        with ThreadPoolExecutor(2) as threads:
            writer = _ShardFiles(shard, _shapes(samples, tables.latents, texts, resolutions), settings, codecs, threads)
            writer.folder = output.scratch
            for sample, pooled in _with_pooled(samples, tables.latents, texts, resolutions):
                writer.write(sample, pooled)
            rows = writer.close()
        output.files.update(writer.files)
        output.hashes.update({row["path"]: row["sha256"] for row in rows})
        output.facts |= {"kept": samples.height, "samples": samples.height, **writer.coder.facts}
        yield EXPERT_MDS.frame(rows).sort("path")

    output.rows = write()
    return output


def _shapes(samples: pl.DataFrame, latents: pl.LazyFrame, texts: pl.LazyFrame, resolutions: Sequence[int]) -> Shapes:
    of_latents, of_texts = latents.collect_schema(), texts.collect_schema()
    return Shapes(
        {size: of_latents[f"latent_{size}"] for size in resolutions},
        of_texts["embedding"],
        of_texts.get("pooled"),
        frozenset(samples.columns),
    )


def _with_pooled(
    samples: pl.DataFrame, latents: pl.LazyFrame, texts: pl.LazyFrame, resolutions: Sequence[int]
) -> Iterator[tuple[Sample, np.ndarray | None]]:
    """Samples, each with its pooled text embedding where the encoder has one."""
    found = samples_of(samples, latents, texts, resolutions)
    if "pooled" not in texts.collect_schema():
        yield from ((sample, None) for sample in found)
        return
    pooled = (row for rows in array_rows(texts, "pooled", samples["image_id"], BATCH_ROWS) for row in rows)
    yield from zip(found, pooled, strict=True)


class _ShardFiles:
    """The files of one image shard in the making, one per kind, each cut by its size."""

    def __init__(
        self, shard: str, shapes: Shapes, settings: Experts, codecs: Codecs, threads: ThreadPoolExecutor
    ) -> None:
        self.files: dict[str, Path] = {}
        self.folder = Path()
        self.coder = Coder(codecs)
        self._shard, self._shapes, self._settings, self._threads = shard, shapes, settings, threads
        self._forms: dict[str, MdsForm] = {}
        self._open: dict[Kind, MdsFile] = {}
        self._parts: Counter[Kind] = Counter()
        self._rows: list[dict[str, Any]] = []

    def write(self, sample: Sample, pooled: np.ndarray | None) -> None:
        sizes = tuple(sorted(sample.latents))
        side = sample.metadata["split"] if self._settings.split_tars else None
        kind = Kind(sample.metadata["cluster"], sizes_name(sizes), side)
        form = self._form(kind.sizes, sizes)
        data = form.columns.encode(values(self.coder.sample(sample), pooled))
        if kind in self._open and not self._open[kind].takes(data):
            self._finish(kind)
        if kind not in self._open:
            name = f"{kind.cluster}-{kind.sizes}-{kind.split}-{self._parts[kind]}"
            self._open[kind] = MdsFile(form, self.folder / name, self._threads)
        self._open[kind].add(data)
        if sum(file.held_bytes for file in self._open.values()) > HELD_BYTES:
            max(self._open.values(), key=lambda file: file.held_bytes).spill()

    def close(self) -> list[dict[str, Any]]:
        """Finish the files; rows of all of them."""
        for kind in sorted(self._open):
            self._finish(kind)
        return self._rows

    def _form(self, name: str, sizes: tuple[int, ...]) -> MdsForm:
        if name not in self._forms:
            columns, mds = Columns(encodings(sizes, self._shapes, self.coder.codecs)), self._settings.mds
            level = {ZSTD: f"{ZSTD}:3"}.get(mds.compression or "", mds.compression)
            self._forms[name] = MdsForm(columns, mds.hashes, level, mds.size_limit)
        return self._forms[name]

    def _finish(self, kind: Kind) -> None:
        file = self._open.pop(kind)
        basename = f"{self._shard}-{self._parts[kind]:05d}.mds"
        self._parts[kind] += 1
        entry = file.finish(basename)
        stored = entry["zip_data"] or entry["raw_data"]
        path = f"{kind.folder}/{stored['basename']}"
        self.files[path] = file.path
        self._rows.append(
            {
                **kind._asdict(),
                "path": path,
                "samples": entry["samples"],
                "size_bytes": stored["bytes"],
                "sha256": stored["hashes"].get("sha256") or sha256_file(file.path),
                "entry": json.dumps(entry, sort_keys=True),
            }
        )
