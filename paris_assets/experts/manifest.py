"""The manifest: everything published, with hashes, counts of every stage and the models that ran."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from paris_assets.config import Profile, own_code
from paris_assets.dag.flow import TELLING, account, stage_counts
from paris_assets.dag.records import ALL, DataFile, Records
from paris_assets.experts.coding import CODEC, codec_bytes
from paris_assets.experts.format import described
from paris_assets.experts.mds.columns import stored_columns
from paris_assets.experts.published_settings import TRAINING_PROBE, published_settings
from paris_assets.experts.readme import README, readme
from paris_assets.experts.router import ARRAYS, array_path, consolidate
from paris_assets.experts.schema import PIPELINE_MANIFEST
from paris_assets.experts.summary import EMPTY_PROMPT, SIDES, weights_per_cluster
from paris_assets.formats.codec import read_codecs
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.files import LocalFiles
from paris_assets.storage.location import sha256_file
from paris_assets.storage.output import Output
from paris_assets.texts.lengths import lengths_of

MANIFEST = "pipeline_manifest.json"
QUALITY = (
    "silhouette", "davies_bouldin", "calinski_harabasz", "intra_cluster_cosine", "boundary_fraction", "stability_mean",
    "smallest_share", "largest_share",
)  # fmt: skip
REDUCTION = ("reduce", "reduced_dimensions", "variance_kept")


def published(
    samples: Sequence[pl.LazyFrame],
    shards: list[str],
    summary: pl.DataFrame,
    records: Records,
    files: LocalFiles,
    profile: Profile,
    takedowns: dict[str, int | str] | None = None,
) -> Output:
    """Rows of `pipeline_manifest`, one per published file, the consolidated router files, README and manifest.

    Args:
        samples: `expert_shards` and `expert_mds` of all shards, those that the profile has.
        shards: those that are published.
        summary: `expert_summary`.
        records: of all partitions of the run.
        files: opens the router arrays.
        takedowns: how much was taken down, and a hash of what; see ``TakedownList.published``.
    """
    output = Output(rows_in=len(shards))

    def write() -> Iterator[pl.DataFrame]:
        output.files.update(_router_training(records, files, shards, output.scratch, profile))
        codec = codec_of(records)
        if codec:
            output.add_file(f"router_training/{CODEC}", codec_bytes(read_codecs(codec)))
        prompt = _whole(
            files, next(file for file in _files(records, "expert_summary", ALL) if file.path == EMPTY_PROMPT)
        )
        lengths = lengths_of(record.facts for record in records.of("text_embeddings"))
        form = described(
            profile,
            latent_factors(records),
            models_that_ran(records),
            lengths,
            output.files,
            prompt,
            codec,
            stored_columns(samples),
        )
        output.add_file(README, readme(form, split_per_cluster(summary)))
        listed = published_files(samples, records, shards, output.files)
        manifest = describe(records, shards, listed, summary, profile, form, takedowns)
        output.add_file(MANIFEST, (json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode())
        output.facts |= {"version": manifest["version"], "published_bytes": int(listed["size_bytes"].sum())}
        yield listed

    output.rows = write()
    return output


def published_files(
    samples: Sequence[pl.LazyFrame], records: Records, shards: list[str], consolidated: dict[str, Path]
) -> pl.DataFrame:
    """Path, bytes, sha256 and samples of every published file, sorted by path.

    Args:
        samples: `expert_shards` and `expert_mds` of all shards, those that the profile has.
        records: name the router arrays, the empty prompt, and the indices of MDS files.
        consolidated: path -> local file of the joined router arrays and the README.
    """
    rows: list[dict[str, Any]] = []
    of_all = [name for name in ("expert_summary", "value_ranges", "mds_index") if name in records.keys]
    for asset, shard in [*(("router_arrays", shard) for shard in shards), *((name, ALL) for name in of_all)]:
        record = records.one(asset, shard)
        assert record is not None
        count = record.rows if asset == "router_arrays" else None
        rows += [{**file.model_dump(), "samples": count} for file in record.files]
    for path, local in consolidated.items():
        rows.append({"path": path, "size_bytes": local.stat().st_size, "sha256": sha256_file(local), "samples": None})
    listed = [table.select(PIPELINE_MANIFEST.keys()).collect() for table in samples]
    return pl.concat([*listed, PIPELINE_MANIFEST.frame(rows)]).sort("path")


def describe(
    records: Records,
    shards: list[str],
    files: pl.DataFrame,
    summary: pl.DataFrame,
    profile: Profile,
    form: dict[str, Any],
    takedowns: dict[str, int | str] | None = None,
) -> dict[str, Any]:
    """The manifest as JSON values; it holds no time, host, absolute path or root.

    Args:
        form: what the files hold, see ``format.described``.
    """
    settings, code = published_settings(profile), own_code(profile, Profile.model_fields)
    fitted, report = records.one("cluster_model"), records.one("cluster_report")
    assert fitted is not None
    assert report is not None
    reduced = {name: fitted.facts[name] for name in REDUCTION if name in fitted.facts}
    quantiles = records.one("score_quantiles") if "score_quantiles" in records.keys else None
    scores = records.one("pool_scores") if "pool_scores" in records.keys else None
    counts = stage_counts(records, set(records.keys) - TELLING)
    manifest: dict[str, Any] = {
        "profile": profile.name,
        "settings": settings,
        **({"code": code} if code else {}),
        "seed": profile.seed,
        "models": models_that_ran(records),
        "counts": counts,
        **({"quantiles": quantiles.facts["quantiles"]} if quantiles else {}),
        **({"subsets": scores.facts["subsets"]} if scores else {}),
        **({"takedowns": takedowns} if takedowns else {}),
        **({"selection_probe": found} if (found := probed(records)) else {}),
        **({"training_probe": TRAINING_PROBE} if profile.probe else {}),
        **({"latents_per_size": sizes} if (sizes := latents_per_size(records)) else {}),
        "account": [step._asdict() for step in account(counts)],
        "images_per_cluster": {
            str(cluster): samples for cluster, samples in summary.select("cluster", "samples").rows()
        },
        "split_per_cluster": split_per_cluster(summary),
        **({"weights_per_cluster": weights} if (weights := weights_per_cluster(summary)) else {}),
        "format": form,
        **({"cluster_reduction": reduced} if reduced else {}),
        "cluster_quality": {name: report.facts[name] for name in QUALITY if name in report.facts},
        "files": files.to_dicts(),
        "shards": shards,
        "shards_fitted_on": fitted.facts["shards"],
        "shards_missing": [shard for shard in records.keys["raw_images"] if shard not in shards],
    }
    canonical = json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()
    return {"version": hashlib.sha256(canonical).hexdigest()[:16], **manifest}


def probed(records: Records) -> dict[str, Any]:
    """What training on the selection of the pool gives, against random rows of its size and all rows: differences with
    their intervals. Empty where the profile has no such probe."""
    record = records.one("selection_probe") if "selection_probe" in records.keys else None
    return record.facts["probe"] if record else {}


def latents_per_size(records: Records) -> dict[str, Any]:
    """Size -> images that have a latent of it, how many were enlarged, and of one in buckets the images of each.

    Empty where the profile has one square size."""
    record = records.one("latent_report")
    sizes = record.facts.get("sizes", {}) if record else {}
    names = ("images", "upscaled", "buckets")
    return {size: {name: held[name] for name in names if name in held} for size, held in sizes.items()}


def codec_of(records: Records) -> dict[str, Any] | None:
    """What `codec.json` holds; None where nothing is coded."""
    record = records.one("value_ranges") if "value_ranges" in records.keys else None
    return record.facts["codec"] if record else None


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


def models_that_ran(records: Records) -> dict[str, Any]:
    """Setting -> identity of the network that really ran; a list where shards were made by different ones."""
    found: dict[str, list[Any]] = {}
    for asset in sorted(set(records.keys) - TELLING):
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
        recorded = _files(records, "router_arrays", shard)
        for file in recorded:
            _whole(files, file)
        there = {file.path for file in recorded}
        paths = {name: array_path(shard, name) for name in ARRAYS}
        arrays.append({name: files.local(path) for name, path in paths.items() if path in there})
    written = consolidate(arrays, scratch, profile.experts.consolidate_max_bytes)
    return {f"router_training/{name}": file for name, file in written.items()}
