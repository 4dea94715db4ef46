"""The `z_image` profile from end to end, on the classes that it names, with small random weights in local folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.config import Profile
from paris_assets.images.decode import read_header
from paris_assets.models.carried import sha256
from paris_assets.models.degradation import PARTS
from paris_assets.profiles import load_profile
from paris_assets.runs.doctor import missing_for
from paris_assets_tests.fixtures import direct
from paris_assets_tests.models import head_files, tiny
from paris_assets_tests.models.photos import photos

pytestmark = [pytest.mark.long, pytest.mark.extended]

IMAGES, SHARD = 40, 20
RANDOM_WEIGHTS = {
    "scores.nsfw.options": {"label": "nsfw"},
    "curation.score_rules": {"nsfw": {"max": 1.0}, "aigc": {"max": 1.0}, "similarity": {"min": -1.0}},
    # The photos have up to 512 x 384 pixels.
    "curation.tiers": {
        "256": {"rules": {"aesthetic": {"min": -1000}}},
        "512": {"rules": {"aesthetic": {"min": -1000}, "pixels": {"min": 180_000}}},
        "1024": {"rules": {"aesthetic": {"min": -1000}}},
        "sft": {"rules": {"aesthetic": {"min": -1000}}},
    },
    "clusters.k": 4,
}
"""What other weights say needs other bounds."""


def paths(folder: Path) -> dict[str, Any]:
    """The profile's networks, small and random, in local folders."""
    clip = tiny.clip(folder / "clip-l14")
    siglip = tiny.siglip(folder / "siglip2")
    for kind, name in ((tiny.vit_classifier, "nsfw"), (tiny.blip2, "blip2"), (tiny.clip_text, "text")):
        kind(folder / name)
    tiny.autoencoder(folder / "z" / "vae", scaling_factor=0.3611)
    head_files.publish(head_files.laion_mlp(24), folder / "model.safetensors")
    (weights,) = siglip.glob("*.safetensors")
    aigc = {"encoder": {"sha256": sha256(weights)}, "normalisation": "none", "activation": "relu", "output": "sigmoid"}
    head_files.with_card(head_files.aigc_mlp(32), folder / "aigc.safetensors", dimension=32, **aigc)
    (weights,) = clip.glob("*.safetensors")
    return {
        "picture_embeddings.clip-l14.path": str(clip),
        "picture_embeddings.siglip2-so400m.path": str(siglip),
        "scores.nsfw.path": str(folder / "nsfw"),
        "scores.aesthetic.path": str(folder / "model.safetensors"),
        "scores.aesthetic.options": {"encoder": {"sha256": sha256(weights)}, "normalisation": "l2"},
        "scores.aigc.path": str(folder / "aigc.safetensors"),
        "captions.kinds.short.captioner.path": str(folder / "blip2"),
        "text.encoder.path": str(folder / "text"),
        "latents.codec.path": str(folder / "z"),
    }


def pixels(photo: tuple[str, bytes]) -> int:
    header = read_header(photo[1])
    return header.width * header.height


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("z_image")
    rows = [
        {"image": data, "TEXT": f"photo number {number} of the list" if number % 3 else ""}
        for number, (_, data) in enumerate(sorted(photos(), key=pixels, reverse=True)[::2][:IMAGES])
    ]
    pl.DataFrame(rows).write_parquet(folder / "list.parquet")
    source = {"source.path": str(folder / "list.parquet"), "source.rows_per_shard": SHARD}
    return load_profile("z_image", {**source, **paths(folder), **RANDOM_WEIGHTS})


@pytest.fixture(scope="module")
def root(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "root"
    direct.bring_up_to_date(profile, root)
    return root


def test_nothing_is_missing_and_an_absent_head_is_named(profile: Profile) -> None:
    assert missing_for(profile) == []
    absent = profile.model_copy(update={"scores": {**profile.scores, "aigc": load_profile("z_image").scores["aigc"]}})
    assert [said for said in missing_for(absent) if "models/image_aigc_detector.safetensors" in said]


def test_every_score_is_there_and_a_picture_without_text_has_no_similarity(root: Path) -> None:
    scores = direct.table(root, "content_scores")
    degradation = {f"degradation_{part}" for part in PARTS}
    assert set(scores.columns) == {"image_id", "nsfw", "aesthetic", "aigc", "similarity", "scored_text", *degradation}
    assert scores.select(pl.col("nsfw", "aesthetic", "aigc").null_count()).sum_horizontal().item() == 0
    assert scores.select((pl.col("similarity").is_null() == (pl.col("scored_text").fill_null("") == "")).all()).item()


def test_every_kept_image_has_a_tier_and_every_other_a_reason(root: Path) -> None:
    verdicts = direct.table(root, "filtered_images")
    kept = verdicts.filter(pl.col("reason").is_null())
    assert kept["tier"].null_count() == 0
    assert verdicts.filter(pl.col("reason").is_not_null())["tier"].null_count() == verdicts.height - kept.height
    assert kept.height > IMAGES / 3
    assert set(kept["tier"]) == {"256", "512"}
    stopped = kept.filter(tier="512")["stopped_by"].unique().to_list()
    assert stopped == ["short_side"] or stopped == ["pixels"]


def test_clusters_and_router_take_the_vectors_of_siglip(root: Path) -> None:
    vectors = direct.table(root, "picture_embeddings").select("image_id", "siglip2-so400m")
    clustered = direct.table(root, "image_embeddings").join(vectors, on="image_id")
    assert clustered.height
    for name in ("embedding", "siglip2-so400m"):
        clustered = clustered.with_columns(pl.col(name).cast(pl.List(pl.Float32)))
    assert clustered["embedding"].to_list() == clustered["siglip2-so400m"].to_list()


def test_samples_state_their_tier_and_the_manifest_the_networks(root: Path) -> None:
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["profile"] == "z_image"
    captions, latents = direct.table(root, "captions"), direct.table(root, "latents")
    trained = latents.join(captions.filter(pl.col("caption") != ""), on="image_id")
    assert 0 < manifest["counts"]["expert_shards"]["out"] == trained.height
    ran = {name for name in manifest["models"] if name.startswith(("picture_embeddings", "scores"))}
    assert ran == {
        "picture_embeddings.clip-l14", "picture_embeddings.siglip2-so400m",
        *(f"scores.{name}" for name in ("nsfw", "aesthetic", "aigc", "similarity", "degradation")),
    }  # fmt: skip
