"""What a manifest alone can be held to: its form, its version, its counts, and the files of its shards."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from paris_assets.errors import UserError
from paris_assets.experts.router import ARRAYS, OPTIONAL
from paris_assets.formats.codec import ArrayCodec, read_codecs
from paris_assets.verification.findings import Findings
from paris_assets.verification.sample_shapes import published_latents

MANIFEST = "pipeline_manifest.json"
EMPTY_PROMPT = "expert_shards/empty_prompt.npy"
TAR = re.compile(r"expert_shards/cluster_[0-9]{1,9}/(?P<shard>.+)-\d+\.tar")
MDS = re.compile(
    r"expert_mds/cluster_[0-9]{1,9}/[0-9-]+/(?:(?:train|validation)/)?(?P<shard>[^/]+)-\d+\.mds(?:\.zstd)?"
)
INDEX = re.compile(r"expert_mds/cluster_[0-9]{1,9}/[0-9-]+/(?:(?:train|validation)/)?index\.json")
SAMPLES = {"webdataset": ("expert_shards", TAR), "mds": ("expert_mds", MDS)}
"""Format -> the asset that writes it, and names of its files."""
ARRAY = re.compile(r"router_arrays/(?P<shard>[^/]+)/[^/]+")
ACCOUNTED = ("raw_images", "filtered_images", "duplicate_groups", "curated_images", "latents")
SAME = (  # stages whose rows are those of the stage before
    ("source_rows", "out", "raw_images", "in"),
    ("curated_images", "out", "latents", "in"),
    ("curated_images", "out", "captions", "out"),
    ("captions", "out", "text_embeddings", "out"),
    ("curated_images", "out", "concepts", "out"),
    ("curated_images", "out", "sampling_weights", "out"),
    ("image_embeddings", "out", "cluster_assignments", "out"),
    ("cluster_assignments", "out", "expert_shards", "in"),
    ("cluster_assignments", "out", "expert_mds", "in"),
    ("expert_shards", "out", "router_arrays", "out"),
    ("expert_mds", "out", "router_arrays", "out"),
)
REQUIRED: dict[str, type] = {
    "version": str,
    "files": list,
    "counts": dict,
    "images_per_cluster": dict,
    "settings": dict,
    "shards": list,
    "shards_missing": list,
}
SHARD = re.compile(r"(?!\.\.?$)[^/\0]+")
SETTINGS: dict[str, tuple[str, Callable[[Any], bool]]] = {  # those that verification itself goes by
    "latents.resolutions": ("whole numbers", lambda held: isinstance(held, list) and bool(held) and _whole(held)),
    "experts.validation_fraction": ("a share", lambda held: type(held) in (int, float) and 0 <= held <= 1),
    "text.tokens": ("a whole number", lambda held: type(held) is int),
}
FORMATS = "experts.formats names other formats than webdataset and mds"


class NoManifest(UserError, ValueError):
    """What was named is no manifest of this pipeline; the message names it."""


def parse_manifest(text: bytes, name: str) -> dict[str, Any]:
    """The manifest's values.

    Raises:
        NoManifest: no JSON, or no manifest of this pipeline.
    """
    try:
        manifest = json.loads(text)
        json.dumps(manifest, ensure_ascii=False).encode()  # fails for halves of surrogate pairs, as the version would
    except (ValueError, RecursionError) as error:
        raise NoManifest(f"{name} is no JSON ({error}): give the path of a {MANIFEST}") from error
    held = manifest if isinstance(manifest, dict) else {}
    wrong = [key for key, kind in REQUIRED.items() if not isinstance(held.get(key), kind)]
    if wrong:
        raise NoManifest(f"{name} is no manifest, it lacks {', '.join(wrong)}: give the path of a {MANIFEST}")
    entry: dict[str, type] = {"path": str, "size_bytes": int, "sha256": str}
    for file in held["files"]:
        if not isinstance(file, dict) or any(not isinstance(file.get(key), kind) for key, kind in entry.items()):
            raise NoManifest(f"{name} lists a file without {', '.join(entry)}: {file}")
    if flaw := next(_flaws(held), None):
        raise NoManifest(f"{name} is no manifest as this pipeline writes it, {flaw}: give the path of a {MANIFEST}")
    return held


def _flaws(held: dict[str, Any]) -> Iterator[str]:
    """Values whose keys are there and that are of another type than the checks count on."""
    for key in ("shards", "shards_missing"):
        for shard in held[key]:
            if not isinstance(shard, str) or not SHARD.fullmatch(shard):
                yield f"{key} holds what is no name of a shard, {_short(shard)}"
    for asset, row in held["counts"].items():
        rejects = row.get("rejects") if isinstance(row, dict) else None
        if not isinstance(rejects, dict) or not _whole([row.get("in"), row.get("out"), *rejects.values()]):
            yield f"counts.{asset} is not in, out and rejects by reason, {_short(row)}"
    if not _whole(held["images_per_cluster"].values()):
        yield f"images_per_cluster has other values than whole numbers, {_short(held['images_per_cluster'])}"
    for file in held["files"]:
        if file.get("samples") is not None and not _whole([file["samples"]]):
            yield f"samples of {file['path']} is no whole number, {_short(file['samples'])}"
    for path, (expected, holds) in SETTINGS.items():
        section, key = path.split(".")
        values = held["settings"].get(section)
        found = values.get(key) if isinstance(values, dict) else None
        if not holds(found):
            yield f"settings.{path} is not {expected}, {_short(found)}"
            return
    try:
        sizes = published_latents(held["settings"]).squares
    except (ValueError, TypeError, KeyError, AttributeError):
        yield f"settings.latents are not those of a profile, {_short(held['settings']['latents'])}"
        return
    router = held["settings"]["experts"].get("router_resolution")
    if router is not None and router not in sizes:
        yield f"settings.experts.router_resolution is not one of the square sizes {sizes}, {_short(router)}"

    if not set(formats_of(held)) <= set(SAMPLES) or not formats_of(held):
        yield f"settings.{FORMATS}, {_short(formats_of(held))}"


def formats_of(manifest: dict[str, Any]) -> list[str]:
    """How samples are written; manifests of 0.1.0 say nothing of it."""
    found = manifest["settings"]["experts"].get("formats", ["webdataset"])
    return [str(name) for name in found] if isinstance(found, list) else [str(found)]


def codecs_in(manifest: dict[str, Any]) -> dict[str, ArrayCodec]:
    """Codecs by kind of arrays; none where nothing is coded, or what is said of it cannot be read."""
    described = manifest.get("format")
    try:
        return read_codecs(described["codec"]) if isinstance(described, dict) and "codec" in described else {}
    except ValueError:
        return {}


def _whole(values: Iterable[Any]) -> bool:
    return all(type(value) is int for value in values)


def _short(value: object) -> str:
    return repr(value)[:80]


def version_of(manifest: dict[str, Any]) -> str:
    """The version that a manifest with these values has."""
    values = {key: value for key, value in manifest.items() if key != "version"}
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def check_manifest(manifest: dict[str, Any], findings: Findings) -> None:
    """What the manifest alone can be held to: its version, its counts, and the files of its shards."""
    version = version_of(manifest)
    if manifest["version"] != version:
        findings.problem(MANIFEST, f"version {version}, derived from its content", manifest["version"])
    _check_counts(manifest, findings)
    for name in formats_of(manifest):
        declared: Counter[str] = Counter()
        for file in manifest["files"]:
            if SAMPLES[name][1].fullmatch(file["path"]):
                declared[file["path"].split("/")[1].removeprefix("cluster_")] += file.get("samples") or 0
        check_clusters(manifest["images_per_cluster"], declared, "its files hold", findings)
    listed = [file["path"] for file in manifest["files"]]
    for path, times in Counter(listed).items():
        if times > 1:
            findings.problem(MANIFEST, f"{path} listed once", f"listed {times} times")
    shards = set(manifest["shards"])
    needed = [f"router_arrays/{shard}/{name}.npy" for shard in manifest["shards"] for name in arrays_of(manifest)]
    for path in [*needed, EMPTY_PROMPT]:
        if path not in listed:
            findings.problem(MANIFEST, f"{path} listed", "not listed")
    for shard in sorted({found for path in listed if (found := shard_of(path))} - shards):
        findings.problem(MANIFEST, f"files of the shards {', '.join(manifest['shards'])}", f"files of shard {shard}")
    for shard in sorted(shards & set(manifest["shards_missing"])):
        findings.problem(MANIFEST, f"shard {shard} either in shards or in shards_missing", "in both")


def arrays_of(manifest: dict[str, Any]) -> list[str]:
    """Names of the router arrays that there are to be: of the optional ones those that `format` describes."""
    described: Any = manifest.get("format")
    for key in ("router", "arrays"):
        described = described.get(key) if isinstance(described, dict) else None
    left_out = set(OPTIONAL) - described.keys() if isinstance(described, dict) else set()
    return [name for name in ARRAYS if name not in left_out]


def _check_counts(manifest: dict[str, Any], findings: Findings) -> None:
    counts = manifest["counts"]
    for asset in (*ACCOUNTED, *(SAMPLES[name][0] for name in formats_of(manifest))):
        if asset not in counts:
            findings.problem(MANIFEST, f"counts of {asset}", "none")
            continue
        rows, rejected = counts[asset], sum(counts[asset]["rejects"].values())
        # Every row of this table stays in it: those rejected are marked, not removed.
        out = rows["out"] - rejected if asset == "duplicate_groups" else rows["out"]
        if rows["in"] != out + rejected:
            findings.problem(MANIFEST, f"counts.{asset}: in = out + rejects", f"{rows['in']} in, {out} + {rejected}")
    for before, which, after, side in SAME:
        # Shards that lack a later stage count in the earlier ones only.
        if before in counts and after in counts and not manifest["shards_missing"]:
            left, right = counts[before][which], counts[after][side]
            if left != right:
                expected = f"counts.{after}.{side} = counts.{before}.{which} = {left}"
                findings.problem(MANIFEST, expected, str(right))
    total = sum(manifest["images_per_cluster"].values())
    published = counts.get("router_arrays", {}).get("out")
    if not manifest["shards_missing"] and total != published:
        findings.problem(
            MANIFEST, f"images_per_cluster to add up to counts.router_arrays.out = {published}", str(total)
        )


def check_clusters(stated: dict[str, int], found: Counter[str], what: str, findings: Findings) -> None:
    """Samples per expert as the manifest states them, against those found."""
    for cluster in sorted(stated.keys() | found.keys()):
        if stated.get(cluster, 0) != found[cluster]:
            expected = f"images_per_cluster.{cluster} = {found[cluster]}, as {what}"
            findings.problem(MANIFEST, expected, str(stated.get(cluster)))


def check_splits(stated: Any, found: Counter[tuple[str, int]], findings: Findings) -> None:
    """Samples of each side of every expert's split as the manifest states them, against those in the tars."""
    held = stated if isinstance(stated, dict) else {}
    for cluster in sorted(held.keys() | {cluster for cluster, _ in found}):
        counted = {"train": found[cluster, 0], "validation": found[cluster, 1]}
        if held.get(cluster) != counted:
            findings.problem(
                MANIFEST, f"split_per_cluster.{cluster} = {counted}, as the tars hold", _short(held.get(cluster))
            )


def shard_of(path: str) -> str | None:
    """Image shard of a tar, an MDS file or a router array; None for other files."""
    match = TAR.fullmatch(path) or MDS.fullmatch(path) or ARRAY.fullmatch(path)
    return match["shard"] if match else None
