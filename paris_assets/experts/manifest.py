"""The manifest: everything published, with hashes, counts of every stage and the models that ran."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Profile, own_code
from paris_assets.dag.flow import TELLING, account, stage_counts
from paris_assets.dag.records import ALL, DataFile, Records
from paris_assets.experts.format import described
from paris_assets.experts.readme import README, readme
from paris_assets.experts.router import ARRAYS, array_path, consolidate
from paris_assets.experts.schema import PIPELINE_MANIFEST, WEIGHT_COLUMNS
from paris_assets.experts.summary import EMPTY_PROMPT, SIDES
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output
from paris_assets.storage.shards import Shards

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


def published(
    tars: Shards, shards: list[str], summary: pl.DataFrame, records: Records, files: LocalFiles, profile: Profile
) -> Output:
    """Rows of `pipeline_manifest`, one per published file, the consolidated router files, README and manifest.

    Args:
        tars: `expert_shards`.
        shards: those that are published.
        summary: `expert_summary`.
        records: of all partitions of the run.
        files: opens the router arrays.
    """
    output = Output(rows_in=len(shards))

    def write() -> Iterator[pl.DataFrame]:
        output.files.update(_router_training(records, files, shards, output.scratch, profile))
        prompt = _whole(
            files, next(file for file in _files(records, "expert_summary", ALL) if file.path == EMPTY_PROMPT)
        )
        form = described(profile, latent_factors(records), models_that_ran(records), output.files, prompt)
        output.add_file(README, readme(form, split_per_cluster(summary)))
        listed = published_files(tars.frame(), records, shards, output.files)
        manifest = describe(records, shards, listed, summary, profile, form)
        output.add_file(MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        output.facts |= {"version": manifest["version"], "published_bytes": int(listed["size_bytes"].sum())}
        yield listed

    output.rows = write()
    return output


def published_files(
    tars: pl.LazyFrame, records: Records, shards: list[str], consolidated: dict[str, Path]
) -> pl.DataFrame:
    """Path, bytes, sha256 and samples of every published file, sorted by path.

    Args:
        tars: `expert_shards` of all shards.
        records: name the router arrays and the empty prompt.
        consolidated: path -> local file of the joined router arrays and the README.
    """
    rows: list[dict[str, Any]] = []
    for asset, shard in [*(("router_arrays", shard) for shard in shards), ("expert_summary", ALL)]:
        record = records.one(asset, shard)
        assert record is not None
        samples = record.rows if asset == "router_arrays" else None
        rows += [{**file.model_dump(), "samples": samples} for file in record.files]
    for path, local in consolidated.items():
        rows.append({"path": path, "size_bytes": local.stat().st_size, "sha256": sha256_file(local), "samples": None})
    return pl.concat([tars.select(PIPELINE_MANIFEST.keys()).collect(), PIPELINE_MANIFEST.frame(rows)]).sort("path")


def describe(
    records: Records,
    shards: list[str],
    files: pl.DataFrame,
    summary: pl.DataFrame,
    profile: Profile,
    form: dict[str, Any],
) -> dict[str, Any]:
    """The manifest as JSON values; it holds no time, host, absolute path or root.

    Args:
        form: what the files hold, see ``format.described``.
    """
    settings, code = published_settings(profile), own_code(profile, Profile.model_fields)
    fitted, report = records.one("cluster_model"), records.one("cluster_report")
    assert fitted is not None
    assert report is not None
    quantiles = records.one("score_quantiles") if "score_quantiles" in records.keys else None
    counts = stage_counts(records, set(records.keys) - TELLING)
    manifest: dict[str, Any] = {
        "profile": profile.name,
        "settings": settings,
        **({"code": code} if code else {}),
        "seed": profile.seed,
        "models": models_that_ran(records),
        "counts": counts,
        **({"quantiles": quantiles.facts["quantiles"]} if quantiles else {}),
        "account": [step._asdict() for step in account(counts)],
        "images_per_cluster": {
            str(cluster): samples for cluster, samples in summary.select("cluster", "samples").rows()
        },
        "split_per_cluster": split_per_cluster(summary),
        **({"weights_per_cluster": weights} if (weights := weights_per_cluster(summary)) else {}),
        "format": form,
        "cluster_quality": {name: report.facts[name] for name in QUALITY if name in report.facts},
        "files": files.to_dicts(),
        "shards": shards,
        "shards_fitted_on": fitted.facts["shards"],
        "shards_missing": [shard for shard in records.keys["raw_images"] if shard not in shards],
    }
    canonical = json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()
    return {"version": hashlib.sha256(canonical).hexdigest()[:16], **manifest}


def latent_factors(records: Records) -> dict[str, Any]:
    """Factors by which latents were scaled and shifted; lists where shards were made by different codecs, None where
    nothing was encoded."""
    factors: dict[str, Any] = {}
    for name in ("scaling_factor", "shift_factor"):
        found = sorted({record.facts[name] for record in records.of("latents") if name in record.facts})
        factors[name] = found[0] if len(found) == 1 else found or None
    return factors


def split_per_cluster(summary: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Expert -> samples to train on and samples held out."""
    return {str(row["cluster"]): {side: row[side] for side in SIDES} for row in summary.iter_rows(named=True)}


def weights_per_cluster(summary: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    """Expert -> effective samples, least and largest weight, and share at the bounds, of its samples to train on; empty
    without sampling weights."""
    if not set(WEIGHT_COLUMNS) <= set(summary.columns):
        return {}
    return {str(row["cluster"]): {name: row[name] for name in WEIGHT_COLUMNS} for row in summary.iter_rows(named=True)}


def published_settings(profile: Profile) -> dict[str, Any]:
    """All settings that results depend on, without where the source or a model's folder lies on this machine."""
    settings = {name: profile.results(name) for name in Profile.model_fields if name != "checks"}
    settings["source"]["path"] = profile.source.path.rstrip("/").rpartition("/")[2]
    return _without_folders(settings)


def changed_sections(profile: Profile, published: dict[str, Any]) -> list[str]:
    """Sections of a root's profile that are others than in the settings of a manifest: a change was begun since."""
    now = published_settings(profile)
    return sorted(name for name in now if name != "name" and now[name] != published.get(name))


def _without_folders(value: Any) -> Any:
    """Settings with the last name only of the local folders that models are read from, and of lists of images."""
    if isinstance(value, dict):
        named = {key: _without_folders(item) for key, item in value.items()}
        path = named.get("path")
        given = "implementation" in named or len(named) == 1
        if given and path and (path[0] in "/.~" or path.count("/") > 1):
            named["path"] = path.rstrip("/").rpartition("/")[2]
        return named
    return [_without_folders(item) for item in value] if isinstance(value, list) else value


def models_that_ran(records: Records) -> dict[str, Any]:
    """Setting -> identity of the network that really ran; a list where shards were made by different ones."""
    found: dict[str, list[Any]] = {}
    for asset in sorted(records.keys):
        for record in records.of(asset):
            for setting, identity in record.facts.get("models", {}).items():
                known = found.setdefault(setting, [])
                if identity not in known:
                    known.append(identity)
    return {setting: known[0] if len(known) == 1 else known for setting, known in found.items()}


def _files(records: Records, asset: str, shard: str) -> list[DataFile]:
    record = records.one(asset, shard)
    return record.files if record else []


def _whole(files: LocalFiles, file: DataFile) -> Path:
    """A local copy of a file that a record names.

    Raises:
        DamagedFile: its bytes are not those that were written.
    """
    local = files.local(file.path)
    if sha256_file(local) != file.sha256:
        raise DamagedFile(files.location.uri(file.path))
    return local


def _router_training(
    records: Records, files: LocalFiles, shards: list[str], scratch: Path, profile: Profile
) -> dict[str, Path]:
    arrays = []
    for shard in shards:
        for file in _files(records, "router_arrays", shard):
            _whole(files, file)
        arrays.append({name: files.local(array_path(shard, name)) for name in ARRAYS})
    written = consolidate(arrays, scratch, profile.experts.consolidate_max_bytes)
    return {f"router_training/{name}": file for name, file in written.items()}
