"""Vectors before curation and scores on them, from a list to shards, by tiny CLIP, SigLIP 2 and Chinese CLIP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch

from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.definitions import asset_graph, build_definitions, open_catalog
from paris_assets.images.decode import decode_rgb
from paris_assets.models import towers
from paris_assets.models.carried import sha256
from paris_assets.models.heads import unit
from paris_assets.models.registry import Models, build
from paris_assets.runs.doctor import missing_for
from paris_assets.signals import checks
from paris_assets_tests.fixtures import direct, made_up, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.models import head_files, tiny

pytestmark = pytest.mark.long

ROWS, SHARD = 40, 20
ENCODERS = {"clip-l14": "clip-image", "siglip2-so400m": "siglip-image", "cn-clip": "chinese-clip-image"}
RANDOM_WEIGHTS = {"clusters.min_caption_diversity": 0.0, "checks.max_embedding_norm": 1e5, "checks.max_share": 1.0}


class World(NamedTuple):
    source: Path
    folder: Path
    profile: Profile

    def under(self, **changes: Any) -> Profile:
        return small_world.profile(self.source, **{**settings(self.folder), **changes})


def settings(folder: Path) -> dict[str, Any]:
    """Overrides of the small profile: three encoders, a head on each kind, similarity, clusters on stored vectors."""
    encoders = {
        name: {"implementation": kind, "path": str(folder / name), "precision": "fp32", "batch_size": 8}
        for name, kind in ENCODERS.items()
    }
    weights = build(small_world.profile("x", picture_embeddings=encoders).picture_embeddings["clip-l14"]).identity()
    stated = {"encoder": {"sha256": weights["sha256"], "hidden_act": "quick_gelu"}, "normalisation": "l2"}
    heads: dict[str, Any] = {
        "redness": {"implementation": f"{small_world.CHEAP}:Redness"},
        "aesthetic": {
            "implementation": "linear-head", "on": "clip-l14", "path": str(folder / "laion.pth"), "options": stated
        },
        "aigc": {"implementation": "mlp-head", "on": "siglip2-so400m", "path": str(folder / "aigc.safetensors")},
        "similarity": {"on": "clip-l14", "text": "source"},
    }  # fmt: skip
    rules = [
        {"name": "redness", "column": "redness", "max": 0.9},
        {"name": "similarity", "column": "similarity", "min": -0.99, "null": "keep"},
        {"name": "aesthetic", "column": "aesthetic", "min": -1000.0},
    ]
    return {
        "source.rows_per_shard": SHARD, "picture_embeddings": encoders, "scores": heads, "curation.score_rules": rules,
        "embedder": "clip-l14", **RANDOM_WEIGHTS,
    }  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("models")
    for name, kind in ENCODERS.items():
        tiny.TOWERS[kind](folder / name)
    head_files.publish(head_files.laion_linear(24), folder / "laion.pth")
    (weights,) = (folder / "siglip2-so400m").glob("*.safetensors")
    siglip = {"sha256": sha256(weights), "implementation": "siglip-image"}
    card = {"encoder": siglip, "normalisation": "none", "activation": "relu", "output": "sigmoid", "dimension": 32}
    head_files.with_card(head_files.aigc_mlp(32), folder / "aigc.safetensors", **card)
    source = small_world.embedded(tmp_path_factory.mktemp("list") / "list.parquet", ROWS)
    return World(source, folder, small_world.profile(source, **settings(folder)))


@pytest.fixture(scope="module")
def root(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished root."""
    root = tmp_path_factory.mktemp("runs") / "root"
    with mock.patch.object(reported, "write_report", brief_report):
        direct.bring_up_to_date(world.profile, root)
        yield root


def bytes_of(root: Path) -> dict[str, bytes]:
    """image_id -> file."""
    ledger = direct.table(root, "raw_images").filter(pl.col("status") == "ok")
    tars = {shard: (root / f"raw_images/{shard}.tar").read_bytes() for shard in ("00000", "00001")}
    found = {}
    for image_id, row, offset, size in ledger.select("image_id", "source_row", "offset", "size_bytes").rows():
        found[image_id] = tars[f"{row // SHARD:05d}"][offset : offset + size]
    return found


@pytest.mark.slow
def test_dagster_takes_the_graph_and_every_check_of_vectors_and_scores_passes(root: Path) -> None:
    catalog = open_catalog(str(root))
    dg.Definitions.validate_loadable(build_definitions(catalog))
    store = made_up.MadeUpRoot(catalog)
    for check in (checks.vectors_joined, checks.vectors_sane, checks.scores_sane, checks.heads_fit):
        for shard in catalog.shards():
            found = store.check(check, shard)
            assert found.passed, found.said
    assert found.figures == {"heads": 2}


def test_vectors_are_the_encoders_own_of_images_that_pass_the_rules_on_signals(world: World, root: Path) -> None:
    rows = direct.table(root, "picture_embeddings")
    kinds = {"clip-l14": 24, "cn-clip": 24, "siglip2-so400m": 32}
    vectors = {name: pl.Array(pl.Float16, dim) for name, dim in kinds.items()}
    assert dict(rows.schema) == {"image_id": pl.String, **vectors, "reason": pl.String}
    verdicts = direct.table(root, "filtered_images")
    stopped = pl.col("reason").is_in(["short_side", "aspect", "undecodable"]).fill_null(False)
    assert set(rows["image_id"]) == set(verdicts.filter(~stopped)["image_id"])
    assert 0 < rows.height < verdicts.height
    assert rows["reason"].null_count() == rows.height
    files = bytes_of(root)
    some = rows["image_id"][:8].to_list()
    for name, encoder in world.profile.picture_embeddings.items():
        network = build(encoder)
        expected = network.run(np.stack([network.preprocess(decode_rgb(files[image_id])) for image_id in some]))
        np.testing.assert_allclose(rows[name][:8].to_numpy(), expected, rtol=2e-3, atol=2e-3)


def test_scores_are_those_of_the_heads_on_the_stored_vectors(world: World, root: Path) -> None:
    scores, vectors = direct.table(root, "content_scores"), direct.table(root, "picture_embeddings")
    assert scores.columns == ["image_id", "scored_text", "aesthetic", "aigc", "redness", "similarity"]
    assert scores["image_id"].equals(vectors["image_id"])
    clip, siglip = (vectors[name].to_numpy().astype(np.float32) for name in ("clip-l14", "siglip2-so400m"))
    with torch.no_grad():
        aesthetic = head_files.laion_linear(24)(torch.from_numpy(unit(clip)))[:, 0]
        aigc = head_files.aigc_mlp(32)(torch.from_numpy(siglip)).sigmoid()[:, 0]
    np.testing.assert_allclose(scores["aesthetic"].to_numpy(), aesthetic.numpy(), atol=1e-5)
    np.testing.assert_allclose(scores["aigc"].to_numpy(), aigc.numpy(), atol=1e-5)
    assert scores["redness"].null_count() == 0


def test_similarity_is_with_the_sources_text_and_unknown_without(world: World, root: Path) -> None:
    scores, vectors = direct.table(root, "content_scores"), direct.table(root, "picture_embeddings")
    ledger = direct.table(root, "raw_images").sort("source_row").unique("image_id", keep="first")
    texts = dict(ledger.select("image_id", "text").rows())
    assert scores["scored_text"].to_list() == [texts[image_id] for image_id in scores["image_id"]]
    said = scores["scored_text"].fill_null("") != ""
    assert 0 < said.sum() < scores.height
    assert scores["similarity"].is_null().to_list() == (~said).to_list()
    tower = Models().load_text_tower(world.profile.picture_embeddings["clip-l14"])
    spoken = scores.filter(said)["scored_text"].to_list()
    images = unit(vectors.filter(said)["clip-l14"].to_numpy().astype(np.float32))
    expected = (images * unit(tower.run(spoken))).sum(1)
    np.testing.assert_allclose(scores.filter(said)["similarity"].to_numpy(), expected, atol=1e-4)


def test_clusters_and_router_read_the_stored_vectors(root: Path) -> None:
    embedded = direct.table(root, "image_embeddings")
    stored = direct.table(root, "picture_embeddings").select("image_id", embedding="clip-l14")
    assert embedded.equals(stored.join(embedded.select("image_id"), on="image_id", how="semi"))
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["models"]["embedder"] == manifest["models"]["picture_embeddings.clip-l14"]
    assert manifest["models"]["embedder"]["hidden_act"] == "quick_gelu"
    assert manifest["models"]["scores.aigc"]["source"] == "aigc.safetensors"
    assert manifest["models"]["scores.similarity"]["sha256"] == manifest["models"]["embedder"]["sha256"]


@pytest.mark.slow
def test_other_rules_run_encoders_on_new_images_alone_and_give_the_bytes_of_a_fresh_run(
    world: World, root: Path, tmp_path: Path
) -> None:
    kept, fresh = Path(shutil.copytree(root, tmp_path / "kept")), tmp_path / "fresh"
    looser = world.under(curation__signal_rules=[{"name": "aspect", "column": "aspect", "max": 3.0}])
    seen: list[int] = []
    run = towers.ImageTower.run

    def counting(tower: towers.ImageTower, batch: np.ndarray) -> np.ndarray:
        seen.append(int(batch.reshape(len(batch), -1).any(1).sum()))  # padding is zeros
        return run(tower, batch)

    before = direct.table(kept, "picture_embeddings").height
    with mock.patch.object(towers.ImageTower, "run", counting):
        direct.bring_up_to_date(looser, kept)
    more = direct.table(kept, "picture_embeddings").height - before
    assert more == 2, "the pictures of 24 pixels"
    assert sum(seen) == more * len(ENCODERS), "not for the clusters, and not for images that had vectors"
    direct.bring_up_to_date(looser, fresh)
    for asset in ("picture_embeddings", "content_scores", "image_embeddings"):
        assert direct.table(kept, asset).equals(direct.table(fresh, asset)), asset


def test_an_asset_without_encoder_is_not_in_the_graph(world: World) -> None:
    graph, without = asset_graph(world.profile), asset_graph(small_world.profile(world.source))
    assert graph.keys() - without.keys() == {"picture_embeddings"}
    assert "picture_embeddings" in graph["content_scores"].inputs
    assert "picture_embeddings" in graph["image_embeddings"].inputs
    own = asset_graph(world.under(embedder={"implementation": f"{small_world.CHEAP}:Colours"}))
    assert "picture_embeddings" not in own["image_embeddings"].inputs


def without(folder: Path, **change: Any) -> dict[str, Any]:
    scores = settings(folder)["scores"]
    ((column, value),) = change.items()
    return {"scores": {**scores, column: {**scores[column], **value}}}


REFUSED = {
    "no file": ("aigc", {"path": "./aigc.pth"}, "scores.aigc: mlp-head: there is no file './aigc.pth'"),
    "another encoder": ("aigc", {"on": "cn-clip"}, "the head {}/aigc.safetensors does not fit `on: cn-clip`: it is on"),
    "unstated": ("aesthetic", {"options": {}}, "laion.pth says nothing of its encoder"),
    "no head": ("redness", {"implementation": "open-nsfw", "on": "cn-clip"}, "open-nsfw looks at pixels"),
    "on nothing": ("aesthetic", {"on": None}, "linear-head reads vectors: name in `on`"),
    "contradicted": ("aigc", {"options": {"normalisation": "l2"}}, "options say normalisation l2"),
}


@pytest.mark.parametrize(("column", "change", "said"), REFUSED.values(), ids=REFUSED)
def test_a_score_that_cannot_be_computed_stops_before_work(
    world: World, column: str, change: dict[str, Any], said: str
) -> None:
    (problem,) = missing_for(world.under(**without(world.folder, **{column: change})))
    assert problem.startswith(f"scores.{column}: ")
    assert said.format(world.folder) in problem


def test_the_profile_as_it_stands_can_be_run(world: World) -> None:
    assert missing_for(world.profile) == []
