"""A published folder against its manifest: every hash, count and join, with nothing else at hand.

Files are read one image shard at a time, so memory holds one shard's sample rows and every image_id (32 bytes each),
never latents or embeddings.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from paris_assets.storage.location import Location
from paris_assets.verification.findings import Findings
from paris_assets.verification.listed_files import ListedFiles, Promise, load_array
from paris_assets.verification.manifest_checks import (
    EMPTY_PROMPT,
    MANIFEST,
    TAR,
    check_clusters,
    check_manifest,
    check_splits,
    shard_of,
)
from paris_assets.verification.router_files import Arrays, Consolidated, join_samples, open_shard
from paris_assets.verification.sampling_weights import Weights, weight_bounds
from paris_assets.verification.tar_samples import Shapes, ShardTars

PUBLISHED = ("expert_shards/*/*", "expert_shards/*.npy", "router_arrays/*/*.npy", "router_training/*")
AHEAD = 2
OnShard = Callable[[str, pl.DataFrame, ShardTars, Arrays | None], None]


def verify_published(
    root: Location, manifest: dict[str, Any], findings: Findings, on_shard: OnShard | None = None
) -> None:
    """Check all that the manifest lists; ``on_shard`` is called with each shard's samples while they are at hand.

    Args:
        root: the folder that paths in the manifest are relative to.
        manifest: values from ``parse_manifest``.
        findings: where problems go.
        on_shard: shard, its samples (``tar_samples.SCHEMA``), its open tars, and its router arrays if they are whole.
    """
    promises = {file["path"]: Promise(file["size_bytes"], file["sha256"]) for file in manifest["files"]}
    check_manifest(manifest, findings)
    _check_strays(root, set(promises), findings)
    with ListedFiles(root, promises, findings) as files:
        if not root.remote:
            files.prepare(files.promises)
        shards = _Shards(files, manifest, findings, on_shard)
        keys = [str(shard) for shard in manifest["shards"]]
        for number, shard in enumerate(keys):
            for ahead in keys[number : number + 1 + AHEAD]:
                files.prepare(shards.paths[ahead])
            shards.check(shard)
        shards.finish()
        for path in files.promises:
            files.take(path)


class _Shards:
    """Checks shard after shard, and keeps what has to be known of all of them."""

    def __init__(
        self, files: ListedFiles, manifest: dict[str, Any], findings: Findings, on_shard: OnShard | None
    ) -> None:
        self._files, self._manifest, self._findings, self._on_shard = files, manifest, findings, on_shard
        self._declared = {file["path"]: file.get("samples") for file in manifest["files"]}
        self._consolidated = Consolidated(files, findings)
        prompt, bounds = _prompt_shape(files, manifest, findings), weight_bounds(manifest["settings"])
        self._shapes = Shapes(self._consolidated.shape("latents"), prompt, bounds)
        self._weights = Weights(bounds) if bounds else None
        self._seen = [np.zeros(0, "S32")]
        self._per_cluster: Counter[str] = Counter()
        self._per_split: Counter[tuple[str, int]] = Counter()
        self.paths: dict[str, list[str]] = defaultdict(list)
        for path in sorted(files.promises):
            if shard := shard_of(path):
                self.paths[shard].append(path)

    def check(self, shard: str) -> None:
        """The tars and the router arrays of one shard, and whether they belong together."""
        tars = ShardTars()
        try:
            samples = self._samples(shard, tars)
            arrays = open_shard(shard, self._files, self._declared, self._findings)
            if arrays is None:
                rows = self._declared.get(f"router_arrays/{shard}/labels.npy")
                self._consolidated.skip(samples.height if rows is None else rows)
            else:
                self._consolidated.compare(shard, arrays)
                join_samples(shard, arrays, samples, tars, self._findings)
            if self._on_shard is not None:
                self._on_shard(shard, samples, tars, arrays)
        finally:
            tars.close()
        self._seen.append(samples["image_id"].to_numpy().astype("S32"))
        self._per_cluster.update({str(expert): count for expert, count in samples["expert"].value_counts().iter_rows()})
        sides = samples.group_by("expert", "split").len()
        self._per_split.update({(str(expert), split): count for expert, split, count in sides.iter_rows()})
        if self._weights:
            self._weights.add(samples)
        self._files.drop(self.paths[shard])

    def _samples(self, shard: str, tars: ShardTars) -> pl.DataFrame:
        """Each sample of the shard once."""
        for path in self.paths[shard]:
            if TAR.fullmatch(path) and (local := self._files.take(path)):
                tars.add(path, local, self._declared[path], self._shapes, self._findings)
        samples = tars.table()
        in_one = (
            samples.unique(["image_id", "path"]).filter(pl.col("image_id").is_duplicated()).sort("path", "image_id")
        )
        for (path,), rows in in_one.group_by("path", maintain_order=True):
            ids = rows["image_id"].to_list()
            self._findings.samples(str(path), "every image in one tar", "an image of another tar too", ids)
        return samples.unique("image_id", keep="first", maintain_order=True)

    def finish(self) -> None:
        """What holds for all shards together."""
        self._consolidated.finish()
        _check_unique(np.concatenate(self._seen), self._findings)
        check_clusters(self._manifest["images_per_cluster"], self._per_cluster, "the tars hold", self._findings)
        if "split_per_cluster" in self._manifest:  # manifests of 0.1.0 have none
            check_splits(self._manifest["split_per_cluster"], self._per_split, self._findings)
        if self._weights:
            self._weights.check(self._manifest.get("weights_per_cluster"), self._findings)


def _check_strays(root: Location, listed: set[str], findings: Findings) -> None:
    for path in sorted({path for pattern in PUBLISHED for path in root.glob(pattern)} - listed):
        remedy = "delete it, or let `paris run` finish and list it: readers of the folder would take it for data"
        findings.problem(path, f"only files that {MANIFEST} lists", "one that it does not list", remedy)


def _check_unique(ids: np.ndarray, findings: Findings) -> None:
    ordered = np.sort(ids)
    repeated = [name.decode() for name in np.unique(ordered[1:][ordered[1:] == ordered[:-1]])]
    remedy = "find where with `paris inspect`, then: paris run --force --select duplicate_groups,curated_images"
    findings.samples("expert_shards", "every image in one shard", "an image in two shards", repeated, remedy)


def _prompt_shape(files: ListedFiles, manifest: dict[str, Any], findings: Findings) -> tuple[int, ...] | None:
    """Shape of a text embedding, from the empty prompt's; None when that file is not usable."""
    local = files.take(EMPTY_PROMPT)
    if local is None:
        return None
    tokens = manifest["settings"]["text"]["tokens"]
    expected = f"a finite float16 .npy of shape ({tokens}, dim)"
    try:
        array = load_array(local)
    except ValueError as error:
        findings.problem(EMPTY_PROMPT, expected, f"one that cannot be read ({error})")
        return None
    if array.dtype != np.float16 or array.ndim != 2 or array.shape[0] != tokens or not np.isfinite(array).all():
        findings.problem(EMPTY_PROMPT, expected, f"{array.dtype} of shape {array.shape}")
        return None
    return array.shape
