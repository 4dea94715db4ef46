"""Expert shards: one WebDataset tar per cluster and image shard, reproducible byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from webdataset.writer import TarWriter

from paris_assets.config import Experts
from paris_assets.experts.samples import SampleTables, array_rows, chosen_samples
from paris_assets.experts.schema import EXPERT_SHARDS
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output

BATCH_ROWS = 256


def expert_tars(shard: str, tables: SampleTables, texts: pl.LazyFrame, resolution: int, settings: Experts) -> Output:
    """Rows of `expert_shards` and the tars of one image shard; see ``write_expert_tars``.

    Args:
        shard: key of the shard, which names the tars.
        tables: what samples are joined from.
        texts: `text_embeddings` of the shard.
        resolution: which latents, pixels.
    """
    samples, output = chosen_samples(tables)

    def write() -> Iterator[pl.DataFrame]:
        index, files = write_expert_tars(shard, samples, tables.latents, texts, resolution, settings, output.scratch)
        output.files.update(files)
        output.facts["kept"] = output.facts["samples"] = samples.height
        yield index

    output.rows = write()
    return output


def write_expert_tars(
    shard: str,
    samples: pl.DataFrame,
    latents: pl.LazyFrame,
    texts: pl.LazyFrame,
    resolution: int,
    settings: Experts,
    folder: Path,
) -> tuple[pl.DataFrame, dict[str, Path]]:
    """Write the tars of one image shard into ``folder``.

    Args:
        samples: rows of ``sample_table``, sorted by image_id.
        latents: table with image_id and latent_<resolution> (4, h, w) float16.
        texts: table with image_id, embedding (tokens, dim) float16 and tokens.
        settings: ``max_samples``: a further tar is begun beyond it; ``split_tars``.

    Returns:
        the index (columns of `expert_shards`, sorted by path) and, per path below the root, the local file.
    """
    tars = _ClusterTars(shard, settings.max_samples, folder)
    try:
        for sample in _samples(samples, latents, texts, resolution):
            side = sample["split"] if settings.split_tars else None
            tars.write(Kind(sample["cluster"], side), sample["members"])
    finally:
        tars.close()
    index = pl.DataFrame(
        [
            {
                **kind._asdict(),
                "path": path,
                "samples": count,
                "size_bytes": local.stat().st_size,
                "sha256": sha256_file(local),
            }
            for path, (kind, count, local) in sorted(tars.written.items())
        ],
        schema=EXPERT_SHARDS.polars(),
    )
    return index, {path: local for path, (_, _, local) in tars.written.items()}


def _samples(
    samples: pl.DataFrame, latents: pl.LazyFrame, texts: pl.LazyFrame, resolution: int
) -> Iterator[dict[str, Any]]:
    ids = samples["image_id"]
    column = f"latent_{resolution}"
    streams = (array_rows(latents, column, ids, BATCH_ROWS), array_rows(texts, "embedding", ids, BATCH_ROWS))
    counts = array_rows(texts, "tokens", ids, BATCH_ROWS)
    for start, (latent, text, tokens) in enumerate(zip(*streams, counts, strict=True)):
        rows = samples.slice(start * BATCH_ROWS, BATCH_ROWS).to_dicts()
        for row, one_latent, one_text, count in zip(rows, latent, text, tokens, strict=True):
            captions = dict(zip(row.pop("kinds"), row["captions"], strict=True))
            metadata = {**row, "captions": captions, "tokens": int(count)}
            yield {
                "cluster": row["cluster"],
                "split": row["split"],
                "members": {
                    "__key__": row["image_id"],
                    "caption.txt": row["caption"],
                    "clip_emb.npy": np.ascontiguousarray(one_text),
                    "latent.npy": np.ascontiguousarray(one_latent),
                    "metadata.json": {name: metadata[name] for name in sorted(metadata)},
                },
            }


class Kind(NamedTuple):
    """Samples that share a tar: those of an expert, of one side of the split where sides are kept apart."""

    cluster: int
    split: int | None


class _ClusterTars:
    """Open tars of one image shard, one per kind, each cut after a number of samples."""

    def __init__(self, shard: str, max_samples: int, folder: Path) -> None:
        self.written: dict[str, tuple[Kind, int, Path]] = {}
        self._shard, self._max_samples, self._folder = shard, max_samples, folder
        self._open: dict[Kind, tuple[TarWriter, str]] = {}
        self._parts: Counter[int] = Counter()

    def write(self, kind: Kind, members: dict[str, Any]) -> None:
        if kind not in self._open:
            self._begin(kind)
        writer, path = self._open[kind]
        writer.write(members)
        _, count, local = self.written[path]
        self.written[path] = (kind, count + 1, local)
        if count + 1 >= self._max_samples:
            writer.close()
            del self._open[kind]

    def _begin(self, kind: Kind) -> None:
        cluster, part = kind.cluster, self._parts[kind.cluster]
        self._parts[cluster] += 1
        path = f"expert_shards/cluster_{cluster}/{self._shard}-{part:05d}.tar"
        local = self._folder / f"cluster_{cluster}-{part:05d}.tar"
        self._open[kind] = (TarWriter(str(local), user="", group="", mode=0o644, mtime=0), path)
        self.written[path] = (kind, 0, local)

    def close(self) -> None:
        for writer, _ in self._open.values():
            writer.close()
        self._open.clear()
