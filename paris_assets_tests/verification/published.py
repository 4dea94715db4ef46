"""A small published folder with a sealed manifest, to be damaged by tests."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from paris_assets.dag.records import ALL
from paris_assets.experts.coding import codecs_of
from paris_assets.experts.mds.indices import indices
from paris_assets.experts.published_settings import published_settings
from paris_assets.experts.router import ARRAYS, consolidate
from paris_assets.experts.summary import summarised, weights_per_cluster
from paris_assets.verification.manifest_checks import MANIFEST, version_of
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import MadeUpRoot

SHARDS = ("00000", "00001")
EARLIER = ("source_rows", "raw_images", "filtered_images")
TABLES = (
    "curated_images",
    "captions",
    "text_embeddings",
    "image_embeddings",
    "latents",
    "cluster_assignments",
    "training_selection",
)


def publish_two_shards(folder: Path, count: int = 24, max_bytes: int = 10**9, **settings: Any) -> MadeUpRoot:
    """Two shards of tars, router arrays, their consolidation, empty prompt and manifest, beside their tables."""
    store = made_up.flat_root(folder, **settings)
    registry = pl.DataFrame({"shard": SHARDS, "file": "", "rows": count // 2})
    made_up.put_registry(folder, registry)
    made_up.publishable(store, count)
    if store.profile.latents.buckets:
        made_up.add_buckets(store)
    for asset in _tables(store):
        whole = store.read(asset, SHARDS[0])
        for number, shard in enumerate(SHARDS):
            store.put(asset, whole[number * count // 2 : (number + 1) * count // 2], shard)
    for number, shard in enumerate(SHARDS):
        rows = pl.DataFrame({"source_row": range(number * count // 2, (number + 1) * count // 2)})
        for asset in EARLIER:
            store.put(asset, rows, shard)
    occurrences = {"shard": [SHARDS[2 * row // count] for row in range(count)], "source_row": range(count)}
    store.put("duplicate_groups", pl.DataFrame(occurrences))
    coded = store.profile.experts.codec is not None
    if coded:
        made_up.put_ranges(store)
    for shard in SHARDS:
        made_up.publish(store, shard)
    if "mds_index" in store.graph:
        ranges = store.scan("value_ranges", [ALL]) if coded else None
        store.commit("mds_index", ALL, indices(store.scan("expert_mds", SHARDS), codecs_of(ranges)))
    (folder / "router_training").mkdir()
    paths = [{name: folder / f"router_arrays/{shard}/{name}.npy" for name in ARRAYS} for shard in SHARDS]
    arrays = [{name: path for name, path in files.items() if path.exists()} for files in paths]
    consolidate(arrays, folder / "router_training", max_bytes)
    (folder / "expert_shards").mkdir(exist_ok=True)
    rows = 1 if store.profile.text.stored == "true_tokens" else made_up.TOKENS
    prompt = np.zeros((rows, made_up.TEXT_DIM), np.float16)
    np.save(folder / "expert_shards/empty_prompt.npy", prompt if not coded else np.full(prompt.shape, 128, np.uint8))
    (folder / MANIFEST).write_text(json.dumps(_manifest(folder, store, count)))
    seal(folder)
    return store


def _manifest(folder: Path, store: MadeUpRoot, count: int) -> dict[str, Any]:
    written = [asset for asset in ("expert_shards", "expert_mds") if asset in store.graph]
    index = store.scan(written[0], SHARDS).collect()
    samples = {
        path: count
        for asset in written
        for path, count in store.scan(asset, SHARDS).select("path", "samples").collect().iter_rows()
    }
    described = {name: {} for name in ARRAYS if (folder / f"router_arrays/{SHARDS[0]}/{name}.npy").exists()}
    arrays = {f"router_arrays/{shard}/{name}.npy": count // 2 for shard in SHARDS for name in described}
    patterns = ("expert_shards/*.npy", "expert_shards/*/*", "router_arrays/*/*.npy", "router_training/*")
    patterns += ("expert_mds/codec.json", "expert_mds/cluster_*/**/*.*", "router_arrays/codec.json")
    coded = store.record("value_ranges", ALL) if "value_ranges" in store.graph else None
    paths = sorted(str(path.relative_to(folder)) for pattern in patterns for path in folder.glob(pattern))
    per_cluster: Counter[str] = Counter()
    for cluster, number in index.select("cluster", "samples").iter_rows():
        per_cluster[str(cluster)] += number
    rows = {"in": count, "out": count, "rejects": {}}
    stages = (*EARLIER, "duplicate_groups", *_tables(store))
    weights = weights_per_cluster(_summary(store)) if "sampling_weights" in store.graph else None
    return {
        **({"weights_per_cluster": weights} if weights else {}),
        "version": "",
        "profile": "demo",
        "settings": published_settings(store.profile),
        "counts": {asset: rows for asset in (*stages, *written, "router_arrays")},
        "images_per_cluster": per_cluster,
        "format": {"router": {"arrays": described}, **({"codec": coded.facts["codec"]} if coded else {})},
        "files": [{"path": path, "samples": samples.get(path) or arrays.get(path)} for path in paths],
        "shards": list(SHARDS),
        "shards_missing": [],
    }


def _tables(store: MadeUpRoot) -> list[str]:
    return [*TABLES, *(["sampling_weights"] if "sampling_weights" in store.graph else [])]


def _summary(store: MadeUpRoot) -> pl.DataFrame:
    """`expert_summary`, of what a root with weights has published."""
    samples = store.scan("router_arrays", SHARDS)
    for asset in ("captions", "cluster_assignments", "sampling_weights"):
        samples = samples.join(store.scan(asset, SHARDS).drop("cluster", strict=False), on="image_id")
    samples = samples.join(store.read("training_split").lazy().select("image_id", "group_id"), on="image_id")
    model = pl.LazyFrame({"level": "coarse", "index": pl.Series([0, 1], dtype=pl.Int32)})
    return summarised(model, store.scan("expert_shards", SHARDS), samples, store.profile.concepts)


def seal(folder: Path) -> None:
    """Write sizes, hashes and the version anew, so that only counts and joins can tell what was changed."""

    def fix(manifest: dict[str, Any]) -> None:
        for file in manifest["files"]:
            data = (folder / file["path"]).read_bytes()
            file |= {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    edit_manifest(folder, fix)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None], version: bool = True) -> None:
    """Change the manifest, and its version with it unless told otherwise."""
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    if version:
        manifest["version"] = version_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
