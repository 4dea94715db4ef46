"""A partition's fingerprint changes with what it depends on, and with nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paris_assets.config import Profile
from paris_assets.dag.fingerprint import OwnFingerprint, fingerprint, own_fingerprint, settings_fingerprint
from paris_assets.dag.records import Record
from paris_assets.definitions import asset_graph
from paris_assets.profiles import load_profile

GRAPH = asset_graph(load_profile("demo"))
SHARDS = ["00000", "00001"]


def record(content: str, slices: dict[str, str] | None = None) -> Record:
    return Record(
        asset="a", shard="s", fingerprint="", rows_fingerprint="", content=content, rows=1, slices=slices or {}
    )


def own(profile: Profile) -> OwnFingerprint:
    return lambda name: own_fingerprint(GRAPH[name], profile)


def by_settings(profile: Profile) -> OwnFingerprint:
    return lambda name: settings_fingerprint(GRAPH[name], profile)


def changed_assets(**overrides: Any) -> set[str]:
    before, after = (
        load_profile("demo"),
        load_profile("demo", {key.replace("__", "."): overrides[key] for key in overrides}),
    )
    return {name for name in GRAPH if own_fingerprint(GRAPH[name], before) != own_fingerprint(GRAPH[name], after)}


def test_a_setting_concerns_the_assets_that_declare_it() -> None:
    assert changed_assets(clusters__k=4) == {"cluster_model", "cluster_report", "pipeline_manifest"}
    assert changed_assets(duplicates__radius=4) == {"duplicate_groups", "curation_report", "pipeline_manifest"}
    assert changed_assets(text__tokens=32) == {"text_embeddings", "expert_summary", "pipeline_manifest"}
    assert changed_assets(captions__min_words=9) == {"captions", "pipeline_manifest"}
    assert changed_assets(latents__posterior="sample") == {"latents", "latent_report", "pipeline_manifest"}


def test_tuning_changes_nothing() -> None:
    tuned = changed_assets(ingest__timeout_s=9.0, ingest__concurrency=3, signals__threads=1, ingest__serve="elsewhere")
    assert tuned == set()


def test_checks_redo_nothing() -> None:
    assert changed_assets(checks__min_silhouette=0.5) == set()


def test_inputs_enter_by_content_and_global_inputs_by_slice() -> None:
    profile, node = load_profile("demo"), GRAPH["curated_images"]
    groups = record("whole", {"00000": "x", "00001": "y"})
    inputs = {"source_rows": record("s"), "raw_images": record("r"), "duplicate_groups": groups}

    def of(shard: str, **other: Record) -> str | None:
        known = {**inputs, **other}
        return fingerprint(
            node, GRAPH, own(profile), by_settings(profile), shard, SHARDS, lambda name, key: known.get(name)
        )

    first = of("00000")
    assert first == of("00000", duplicate_groups=record("other", {"00000": "x", "00001": "changed"}))
    assert first != of("00000", duplicate_groups=record("other", {"00000": "changed", "00001": "y"}))
    assert first != of("00000", raw_images=record("changed"))


def test_a_missing_shard_leaves_a_global_asset_without_fingerprint_unless_allowed() -> None:
    node = GRAPH["duplicate_groups"]

    def of(profile_name: dict[str, Any]) -> str | None:
        profile = load_profile("demo", profile_name)
        present = lambda name, key: record("c") if key == "00000" else None  # noqa: E731
        return fingerprint(
            node,
            GRAPH,
            own(profile),
            by_settings(profile),
            "all",
            SHARDS,
            present,
            some_missing=profile.allow_missing_shards,
        )

    assert of({}) is None
    assert of({"allow_missing_shards": True}) is not None


def test_the_cluster_model_depends_on_its_code_and_the_settings_of_its_ancestors_alone() -> None:
    def of(overrides: dict[str, Any], content: str = "c", edited: str = "") -> str | None:
        profile = load_profile("demo", overrides)
        graph = {**GRAPH, **({edited: replace(GRAPH[edited], code_version="edited")} if edited else {})}
        code = lambda name: own_fingerprint(graph[name], profile)  # noqa: E731
        known, settings = lambda name, key: record(content), by_settings(profile)
        return fingerprint(graph["cluster_model"], graph, code, settings, "all", SHARDS, known)

    assert of({}) == of({}, "a new shard came") == of({}, edited="raw_images")
    assert of({}) != of({}, edited="cluster_model")
    assert of({}) != of({"clusters.k": 4})
    assert of({}) != of({"embedder.batch_size": 3})
    assert of({}) == of({"latents.posterior": "sample"})


@pytest.mark.parametrize("changed", ["diffusion_pytorch_model.safetensors", "config.json"])
def test_the_model_in_a_local_folder_is_part_of_the_fingerprint(changed: str, tmp_path: Path) -> None:
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        (tmp_path / name).write_bytes(b"old")
    profile = load_profile("demo", {"latents.codec.path": str(tmp_path)})
    before = own_fingerprint(GRAPH["latents"], profile)
    assert own_fingerprint(GRAPH["latents"], profile) == before
    (tmp_path / changed).write_bytes(b"new")
    assert own_fingerprint(GRAPH["latents"], profile) != before
