"""Expert shards: one WebDataset tar per cluster and image shard, reproducible byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from paris_assets.config import Experts
from paris_assets.experts.arrays import Sample, samples_of
from paris_assets.experts.coding import Codecs, Coder
from paris_assets.experts.samples import SampleTables, chosen_samples
from paris_assets.experts.schema import EXPERT_SHARDS
from paris_assets.formats.tar_writer import SampleTar
from paris_assets.storage.output import Output


def expert_tars(
    shard: str,
    tables: SampleTables,
    texts: pl.LazyFrame,
    resolutions: Sequence[int],
    settings: Experts,
    codecs: Codecs,
) -> Output:
    """Rows of `expert_shards` and the tars of one image shard; see ``write_expert_tars``.

    Args:
        shard: key of the shard, which names the tars.
        tables: what samples are joined from.
        texts: `text_embeddings` of the shard.
        resolutions: which latents, pixels; of each a sample holds those that it has.
        codecs: by kind of arrays.
    """
    samples, output = chosen_samples(tables)

    def write() -> Iterator[pl.DataFrame]:
        coder = Coder(codecs)
        found = samples_of(samples, tables.latents, texts, resolutions)
        index, files = write_expert_tars(shard, map(coder.sample, found), settings, output.scratch)
        output.files.update(files)
        output.hashes.update(index.select("path", "sha256").iter_rows())
        output.facts |= {"kept": samples.height, "samples": samples.height, **coder.facts}
        yield index

    output.rows = write()
    return output


def write_expert_tars(
    shard: str, samples: Iterable[Sample], settings: Experts, folder: Path
) -> tuple[pl.DataFrame, dict[str, Path]]:
    """Write the tars of one image shard into ``folder``.

    Args:
        samples: as they are stored, sorted by image_id.
        settings: ``max_samples``: a further tar is begun beyond it; ``split_tars``.

    Returns:
        the index (columns of `expert_shards`, sorted by path) and, per path below the root, the local file.
    """
    with ThreadPoolExecutor(2) as threads:
        tars = _ClusterTars(shard, settings.max_samples, folder, threads)
        try:
            for sample in samples:
                side = sample.metadata["split"] if settings.split_tars else None
                tars.write(Kind(sample.metadata["cluster"], side), sample)
            index = EXPERT_SHARDS.frame(tars.finish()).sort("path")
        finally:
            tars.abort()
    return index, tars.files


def members(sample: Sample) -> dict[str, Any]:
    """The members of a sample in its tar: `latent.npy` is of the smallest resolution, `latent_<r>.npy` of others."""
    smallest = min(sample.latents)
    latents = {"latent.npy" if r == smallest else f"latent_{r}.npy": array for r, array in sample.latents.items()}
    return {
        "caption.txt": sample.metadata["caption"],
        "clip_emb.npy": sample.text,
        **latents,
        "metadata.json": sample.metadata,
    }


class Kind(NamedTuple):
    """Samples that share a tar: those of an expert, of one side of the split where sides are kept apart."""

    cluster: int
    split: int | None


class _ClusterTars:
    """Open tars of one image shard, one per kind, each cut after a number of samples."""

    def __init__(self, shard: str, max_samples: int, folder: Path, threads: ThreadPoolExecutor) -> None:
        self.files: dict[str, Path] = {}
        self._shard, self._max_samples, self._folder, self._threads = shard, max_samples, folder, threads
        self._open: dict[Kind, SampleTar] = {}
        self._samples: Counter[Kind] = Counter()
        self._parts: Counter[int] = Counter()
        self._paths: dict[Kind, str] = {}
        self._rows: list[dict[str, Any]] = []

    def write(self, kind: Kind, sample: Sample) -> None:
        if kind not in self._open:
            self._begin(kind)
        self._open[kind].write(sample.metadata["image_id"], members(sample))
        self._samples[kind] += 1
        if self._samples[kind] >= self._max_samples:
            self._finish(kind)

    def finish(self) -> list[dict[str, Any]]:
        """Finish all tars; rows of `expert_shards`."""
        for kind in list(self._open):
            self._finish(kind)
        return self._rows

    def abort(self) -> None:
        for tar in self._open.values():
            tar.abort()

    def _begin(self, kind: Kind) -> None:
        cluster, part = kind.cluster, self._parts[kind.cluster]
        self._parts[cluster] += 1
        path = f"expert_shards/cluster_{cluster}/{self._shard}-{part:05d}.tar"
        self._paths[kind], self.files[path] = path, self._folder / f"cluster_{cluster}-{part:05d}.tar"
        self._open[kind] = SampleTar(self.files[path], self._threads)

    def _finish(self, kind: Kind) -> None:
        size, sha256 = self._open.pop(kind).close()
        row = {"path": self._paths[kind], "samples": self._samples.pop(kind), "size_bytes": size, "sha256": sha256}
        self._rows.append({**kind._asdict(), **row})
