"""The manifest: everything published, with hashes, counts of every stage and the models that ran."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Profile
from paris_assets.dag.fingerprint import own_code
from paris_assets.dag.records import ALL, Record
from paris_assets.dag.store import Store
from paris_assets.experts.router import ARRAYS, consolidate
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output

MANIFEST = "pipeline_manifest.json"
QUALITY = (
    "silhouette",
    "davies_bouldin",
    "calinski_harabasz",
    "intra_cluster_cosine",
    "boundary_fraction",
    "stability_mean",
    "smallest_share",
    "largest_share",
)
SCHEMA = {"path": pl.String, "size_bytes": pl.Int64, "sha256": pl.String, "samples": pl.Int64}


def pipeline_manifest(store: Store) -> Output:
    """Consolidated router files and the manifest; its table lists every published file."""
    shards = store.present("router_arrays", "expert_shards")
    output = Output(rows_in=len(shards))

    def write() -> Iterator[pl.DataFrame]:
        output.files.update(_router_training(store, shards, output.scratch))
        files = published_files(store, shards, output.files)
        manifest = describe(store, shards, files)
        output.add_file(MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        output.facts |= {"version": manifest["version"], "published_bytes": int(files["size_bytes"].sum())}
        yield files

    output.rows = write()
    return output


def published_files(store: Store, shards: list[str], consolidated: dict[str, Path]) -> pl.DataFrame:
    """path, size_bytes, sha256 and samples of every published file, sorted by path."""
    tars = store.scan("expert_shards", shards).select("path", "size_bytes", "sha256", "samples").collect()
    rows: list[dict[str, Any]] = []
    for asset, shard in [*(("router_arrays", shard) for shard in shards), ("expert_summary", ALL)]:
        record = store.record(asset, shard)
        assert record is not None
        samples = record.rows if asset == "router_arrays" else None
        rows += [{**file.model_dump(), "samples": samples} for file in record.files]
    for path, local in consolidated.items():
        rows.append({"path": path, "size_bytes": local.stat().st_size, "sha256": sha256_file(local), "samples": None})
    return pl.concat([tars, pl.DataFrame(rows, schema=SCHEMA)]).sort("path")


def describe(store: Store, shards: list[str], files: pl.DataFrame) -> dict[str, Any]:
    """The manifest as JSON values; it holds no time, host, absolute path or root."""
    profile = store.profile
    settings, code = published_settings(profile), own_code(profile, Profile.model_fields)
    fitted = store.record("cluster_model")
    report = store.record("cluster_report")
    assert fitted is not None
    assert report is not None
    summary = store.read("expert_summary")
    manifest: dict[str, Any] = {
        "profile": profile.name,
        "settings": settings,
        **({"code": code} if code else {}),
        "seed": profile.seed,
        "models": models_that_ran(store, shards),
        "counts": stage_counts(store),
        "images_per_cluster": {
            str(cluster): samples for cluster, samples in summary.select("cluster", "samples").rows()
        },
        "cluster_quality": {name: report.facts[name] for name in QUALITY if name in report.facts},
        "files": files.to_dicts(),
        "shards": shards,
        "shards_fitted_on": fitted.facts["shards"],
        "shards_missing": [shard for shard in store.shards() if shard not in shards],
    }
    canonical = json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()
    return {"version": hashlib.sha256(canonical).hexdigest()[:16], **manifest}


def published_settings(profile: Profile) -> dict[str, Any]:
    """All settings that results depend on, without where the source or a model's folder lies on this machine."""
    settings = {name: profile.results(name) for name in Profile.model_fields if name != "checks"}
    settings["source"]["path"] = profile.source.path.rstrip("/").rpartition("/")[2]
    return _without_folders(settings)


def _without_folders(value: Any) -> Any:
    """Settings with the last name only of the local folders that models are read from."""
    if isinstance(value, dict):
        named = {key: _without_folders(item) for key, item in value.items()}
        path = named.get("path")
        if "implementation" in named and path and (path[0] in "/.~" or path.count("/") > 1):
            named["path"] = path.rstrip("/").rpartition("/")[2]
        return named
    return [_without_folders(item) for item in value] if isinstance(value, list) else value


def models_that_ran(store: Store, shards: list[str]) -> dict[str, Any]:
    """Setting -> identity of the network that really ran; a list where shards were made by different ones."""
    found: dict[str, list[Any]] = {}
    for asset in sorted(store.graph):
        for record in _records(store, asset):
            for setting, identity in record.facts.get("models", {}).items():
                known = found.setdefault(setting, [])
                if identity not in known:
                    known.append(identity)
    return {setting: known[0] if len(known) == 1 else known for setting, known in found.items()}


def stage_counts(store: Store) -> dict[str, dict[str, Any]]:
    """Rows in, rows out and rejects by reason of every asset, summed over shards."""
    counts: dict[str, dict[str, Any]] = {}
    # Not of the manifest itself: an earlier one is there or not by chance, and the bytes would tell.
    for asset in sorted(set(store.graph) - {"pipeline_manifest"}):
        records = _records(store, asset)
        rejects: Counter[str] = Counter()
        for record in records:
            rejects.update(record.rejects)
        if records:
            counts[asset] = {
                "in": sum(record.counts.get("rows_in", record.rows) for record in records),
                "out": sum(int(record.facts.get("kept", record.rows)) for record in records),
                "rejects": dict(sorted(rejects.items())),
            }
    return counts


def _records(store: Store, asset: str) -> list[Record]:
    keys = store.shards() if store.graph[asset].partitioned else [ALL]
    return [record for key in keys if (record := store.record(asset, key))]


def _router_training(store: Store, shards: list[str], scratch: Path) -> dict[str, Path]:
    arrays = []
    for shard in shards:
        record = store.record("router_arrays", shard)
        for file in record.files if record else ():
            if sha256_file(store.local(file.path)) != file.sha256:
                raise DamagedFile(store.root.uri(file.path))
        arrays.append({name: store.local(f"router_arrays/{shard}/{name}.npy") for name in ARRAYS})
    written = consolidate(arrays, scratch, store.profile.experts.consolidate_max_bytes)
    return {f"router_training/{name}": file for name, file in written.items()}
