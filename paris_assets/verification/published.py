"""A published folder against its manifest: every hash, count and join, with nothing else at hand.

Files are read one image shard at a time, so memory holds one shard's sample rows and every image_id (32 bytes each),
never latents or embeddings.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from paris_assets.formats.codec import read_codecs
from paris_assets.settings.captions import TRUE_TOKENS
from paris_assets.storage.location import Location
from paris_assets.verification.findings import Findings
from paris_assets.verification.listed_files import ListedFiles, Promise, load_array
from paris_assets.verification.manifest_checks import (
    EMPTY_PROMPT,
    INDEX,
    MANIFEST,
    SAMPLES,
    arrays_of,
    check_clusters,
    check_manifest,
    check_splits,
    codecs_in,
    formats_of,
    shard_of,
)
from paris_assets.verification.mds_indices import read_indices
from paris_assets.verification.mds_samples import ShardMds
from paris_assets.verification.router_files import Arrays, Consolidated, join_samples, open_shard
from paris_assets.verification.sample_shapes import Shapes, published_latents, published_router_resolution
from paris_assets.verification.sampling_weights import Weights, weight_bounds
from paris_assets.verification.tar_samples import ShardTars

PUBLISHED = (
    "expert_shards/*/*",
    "expert_shards/*.npy",
    "expert_mds/cluster_*/**/*.*",
    "router_arrays/*/*.npy",
    "router_training/*",
)
AHEAD = 2
Held = ShardTars | ShardMds
WHAT = {"webdataset": ShardTars.what, "mds": ShardMds.what}
OnShard = Callable[[str, pl.DataFrame, Held, Arrays | None], None]


def verify_published(
    root: Location, manifest: dict[str, Any], findings: Findings, on_shard: OnShard | None = None
) -> None:
    """Check all that the manifest lists; ``on_shard`` is called with each shard's samples while they are at hand.

    Args:
        root: the folder that paths in the manifest are relative to.
        manifest: values from ``parse_manifest``.
        findings: where problems go.
        on_shard: shard, its samples (``Shapes.schema``), its open tars or MDS files, and with the first of them its
            router arrays if they are whole.
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
        coded, settings = codecs_in(manifest), manifest["settings"]
        self._arrays, self._coded = arrays_of(manifest), {"latents"} & coded.keys()
        self._consolidated = Consolidated(self._arrays, files, findings, self._coded)
        prompt, bounds = _prompt_shape(files, manifest, findings), weight_bounds(settings)
        router = published_router_resolution(settings)
        ragged = settings["text"].get("stored") == TRUE_TOKENS
        latent, latents = self._consolidated.shape("latents"), published_latents(settings)
        self._shapes = Shapes(latent, prompt, bounds, latents, router, ragged, coded)
        self._router_latents = self._shapes.place(router)
        indices = {path: files.take(path) for path in files.promises if INDEX.fullmatch(path)}
        self._entries = read_indices({file["path"]: file for file in manifest["files"]}, indices, findings)
        self._totals = {name: _Totals(bounds) for name in formats_of(manifest)}
        self.paths: dict[str, list[str]] = defaultdict(list)
        for path in sorted(files.promises):
            if shard := shard_of(path):
                self.paths[shard].append(path)

    def check(self, shard: str) -> None:
        """The tars or MDS files and the router arrays of one shard, and whether they belong together."""
        arrays = open_shard(shard, self._arrays, self._files, self._declared, self._findings, self._coded)
        counted = 0
        for number, (name, totals) in enumerate(self._totals.items()):
            held = ShardMds(self._shapes, self._entries) if name == "mds" else ShardTars(self._shapes)
            try:
                samples = self._samples(shard, held, SAMPLES[name][1])
                counted = samples.height
                if arrays is not None:
                    join_samples(shard, arrays, samples, held, self._findings, self._router_latents)
                if self._on_shard is not None:
                    self._on_shard(shard, samples, held, None if number else arrays)
            finally:
                held.close()
            totals.add(samples)
        if arrays is None:
            rows = self._declared.get(f"router_arrays/{shard}/labels.npy")
            self._consolidated.skip(counted if rows is None else rows)
        else:
            self._consolidated.compare(shard, arrays)
        self._files.drop(self.paths[shard])

    def _samples(self, shard: str, tars: Held, names: re.Pattern[str]) -> pl.DataFrame:
        """Each sample of the shard once."""
        for path in self.paths[shard]:
            if names.fullmatch(path) and (local := self._files.take(path)):
                tars.add(path, local, self._declared[path], self._findings)
        samples = tars.table()
        in_one = (
            samples.unique(["image_id", "path"]).filter(pl.col("image_id").is_duplicated()).sort("path", "image_id")
        )
        for (path,), rows in in_one.group_by("path", maintain_order=True):
            ids = rows["image_id"].to_list()
            one = tars.what[:-1]
            self._findings.samples(str(path), f"every image in one {one}", f"an image of another {one} too", ids)
        return samples.unique("image_id", keep="first", maintain_order=True)

    def finish(self) -> None:
        """What holds for all shards together."""
        self._consolidated.finish()
        for name, totals in self._totals.items():
            totals.check(self._manifest, SAMPLES[name][0], WHAT[name], self._findings)
        check_codecs(self._manifest, self._files, self._findings)


class _Totals:
    """What is counted over all shards of a format."""

    def __init__(self, bounds: tuple[float, float] | None) -> None:
        self._seen = [np.zeros(0, "S32")]
        self._per_cluster: Counter[str] = Counter()
        self._per_split: Counter[tuple[str, int]] = Counter()
        self._weights = Weights(bounds) if bounds else None

    def add(self, samples: pl.DataFrame) -> None:
        """The samples of a further shard."""
        self._seen.append(samples["image_id"].to_numpy().astype("S32"))
        self._per_cluster.update({str(expert): count for expert, count in samples["expert"].value_counts().iter_rows()})
        sides = samples.group_by("expert", "split").len()
        self._per_split.update({(str(expert), split): count for expert, split, count in sides.iter_rows()})
        if self._weights:
            self._weights.add(samples)

    def check(self, manifest: dict[str, Any], folder: str, what: str, findings: Findings) -> None:
        """Against what the manifest states."""
        _check_unique(np.concatenate(self._seen), folder, findings)
        check_clusters(manifest["images_per_cluster"], self._per_cluster, f"the {what} hold", findings)
        if "split_per_cluster" in manifest:  # manifests of 0.1.0 have none
            check_splits(manifest["split_per_cluster"], self._per_split, findings)
        if self._weights:
            self._weights.check(manifest.get("weights_per_cluster"), findings)


def _check_strays(root: Location, listed: set[str], findings: Findings) -> None:
    for path in sorted({path for pattern in PUBLISHED for path in root.glob(pattern)} - listed):
        remedy = "delete it, or let `paris run` finish and list it: readers of the folder would take it for data"
        findings.problem(path, f"only files that {MANIFEST} lists", "one that it does not list", remedy)


def check_codecs(manifest: dict[str, Any], files: ListedFiles, findings: Findings) -> None:
    """Every `codec.json` says what the manifest says."""
    codecs = codecs_in(manifest)
    coded = manifest["settings"]["experts"].get("codec")
    if bool(coded) != bool(codecs):
        findings.problem(MANIFEST, "format.codec where settings.experts.codec is, and only there", f"{coded}")
    for path in files.promises:
        if path.endswith("/codec.json") and (local := files.take(path)):
            try:
                found = read_codecs(local.read_bytes())
            except ValueError as error:
                found = str(error)
            if found != codecs:
                findings.problem(path, "the codec in the manifest's format", str(found)[:80])


def _check_unique(ids: np.ndarray, folder: str, findings: Findings) -> None:
    ordered = np.sort(ids)
    repeated = [name.decode() for name in np.unique(ordered[1:][ordered[1:] == ordered[:-1]])]
    remedy = "find where with `paris inspect`, then: paris run --force --select duplicate_groups,curated_images"
    findings.samples(folder, "every image in one shard", "an image in two shards", repeated, remedy)


def _prompt_shape(files: ListedFiles, manifest: dict[str, Any], findings: Findings) -> tuple[int, ...] | None:
    """Shape of a text embedding, from the empty prompt's; None when that file is not usable. Where true tokens alone
    are stored, the first number is the prompt's own."""
    local = files.take(EMPTY_PROMPT)
    if local is None:
        return None
    text = manifest["settings"]["text"]
    tokens, ragged = text["tokens"], text.get("stored") == TRUE_TOKENS
    dtype = np.dtype("u1" if "text" in codecs_in(manifest) else "<f2")
    expected = f"a finite {dtype} .npy of shape ({f'1 to {tokens}' if ragged else tokens}, dim)"
    try:
        array = load_array(local)
    except ValueError as error:
        findings.problem(EMPTY_PROMPT, expected, f"one that cannot be read ({error})")
        return None
    rows = range(1, tokens + 1) if ragged else (tokens,)
    if array.dtype != dtype or array.ndim != 2 or len(array) not in rows or not np.isfinite(array).all():
        findings.problem(EMPTY_PROMPT, expected, f"{array.dtype} of shape {array.shape}")
        return None
    return array.shape
