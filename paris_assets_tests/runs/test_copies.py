"""Copies that pHash does not see, from a list to the manifest, by the network that ships."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import dagster as dg
import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageOps

from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.curation import checks as curation_checks
from paris_assets.definitions import asset_graph, build_definitions, open_catalog
from paris_assets.experts import checks as expert_checks
from paris_assets.runs.run import Request
from paris_assets.signals import checks
from paris_assets_tests.curation.variants import cropped, saved
from paris_assets_tests.fixtures import direct, made_up, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.fixtures.photographs import photographs

pytestmark = [pytest.mark.long, pytest.mark.extended]

BLANK = {"white": (255, 255, 255), "black": (0, 0, 0), "blue": (20, 20, 200)}
UNTIL_GROUPED = (
    "source_rows", "raw_images", "image_signals", "content_scores", "copy_embeddings", "filtered_images",
    "duplicate_groups",
)  # fmt: skip
COPIES = {
    "copy_embedder": {"implementation": "efficientnet-lite0", "precision": "fp32"},
    "duplicates.copies.cosine": 0.85,
    "curation.score_rules": [],
    "checks.max_share": 1.0,
}


def file(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def pictures() -> dict[str, bytes]:
    """Eight photographs; in the second shard four of them mirrored or cropped, a broken file and blank pictures."""
    photos = [photo.resize((photo.width // 2, photo.height // 2)) for photo in photographs()[10:170:20]]
    found = {f"photo {at}": file(photo) for at, photo in enumerate(photos)}
    found |= {f"mirrored {at}": file(saved(ImageOps.mirror(photos[at]))) for at in (0, 1)}
    found |= {f"cropped {at}": file(saved(cropped(photos[at], 0.25))) for at in (2, 3)}
    found["broken"] = file(photos[4])[:700]
    return found | {name: file(Image.new("RGB", (96, 96), colour)) for name, colour in BLANK.items()}


def listed(folder: Path, images: dict[str, bytes], name: str = "a.parquet") -> Path:
    folder.mkdir(exist_ok=True)
    rows = {"uid": list(images), "image": pl.Series(list(images.values()), dtype=pl.Binary), "text": list(images)}
    pl.DataFrame(rows).write_parquet(folder / name)
    return folder


def settings(source: Path, **overrides: object) -> Profile:
    return small_world.profile(source, source__rows_per_shard=8, **{**COPIES, **overrides})


class World(NamedTuple):
    root: Path
    profile: Profile
    first: pl.DataFrame

    def groups(self) -> dict[str, tuple[str, str | None, float | None]]:
        """uid -> uid of the keeper, method and cosine."""
        names = dict(pl.read_parquet(self.root / "raw_images/*.parquet").select("image_id", "uid").rows())
        rows = direct.table(self.root, "duplicate_groups")
        keepers = dict(rows.filter("keeper").select("group_id", "image_id").rows())
        return {
            names[row["image_id"]]: (names[keepers[row["group_id"]]], row["method"], row["cosine"])
            for row in rows.iter_rows(named=True)
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A finished root: the photographs were grouped before the others came."""
    folder = tmp_path_factory.mktemp("copies")
    images = pictures()
    photos = {name: data for name, data in images.items() if name.startswith("photo")}
    source = listed(folder / "source", photos)
    profile, root = settings(source), folder / "root"
    with mock.patch.object(reported, "write_report", brief_report):
        direct.bring_up_to_date(profile, root, Request(select=UNTIL_GROUPED))
        first = direct.table(root, "duplicate_groups")
        listed(source, {name: data for name, data in images.items() if name not in photos}, "b.parquet")
        direct.bring_up_to_date(profile, root)
    return World(root, profile, first)


def test_an_asset_without_copy_embedder_is_not_in_the_graph(tmp_path: Path) -> None:
    source = listed(tmp_path, {})
    graph, without = asset_graph(settings(source)), asset_graph(settings(source, copy_embedder=None))
    assert graph.keys() - without.keys() == {"copy_embeddings"}
    assert "copy_embeddings" in graph["duplicate_groups"].inputs
    assert without["duplicate_groups"].inputs == direct.GRAPH["duplicate_groups"].inputs


def test_vectors_have_length_one_and_what_cannot_be_embedded_has_none(world: World) -> None:
    dg.Definitions.validate_loadable(build_definitions(open_catalog(str(world.root))))
    rows = direct.table(world.root, "copy_embeddings")
    assert dict(rows.schema) == {"image_id": pl.String, "embedding": pl.Array(pl.Float16, 1280), "reason": pl.String}
    vectors = rows["embedding"].drop_nulls().to_numpy().astype(np.float64)
    assert len(vectors) == 15
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_copies_that_phash_does_not_see_are_found_and_blank_pictures_stay_apart(world: World) -> None:
    found = world.groups()
    for copy in ("mirrored 0", "mirrored 1", "cropped 2", "cropped 3"):
        keeper, method, cosine = found[copy]
        assert (keeper, method) == (f"photo {copy[-1]}", "copy_embedding")
        assert cosine is not None
        assert cosine >= 0.85
    kept = [f"photo {at}" for at in range(8)] + list(BLANK)
    assert {name: keeper for name, (keeper, _, _) in found.items() if name in kept} == {name: name for name in kept}
    vectors = direct.table(world.root, "copy_embeddings")
    names = dict(pl.read_parquet(world.root / "raw_images/*.parquet").select("uid", "image_id").rows())
    blank = [vectors.filter(image_id=names[name])["embedding"].to_numpy()[0].astype(np.float64) for name in BLANK]
    assert max(blank[0] @ blank[1], blank[0] @ blank[2], blank[1] @ blank[2]) > 0.85, "by vectors they would be copies"


def test_what_was_published_stays_as_it_was(world: World) -> None:
    now = direct.table(world.root, "duplicate_groups")
    assert now.join(world.first.select("image_id"), on="image_id", how="semi").equals(world.first)


def test_the_manifest_names_network_metric_and_bound(world: World) -> None:
    manifest = json.loads((world.root / "pipeline_manifest.json").read_text())
    assert manifest["models"]["copy_embedder"]["implementation"] == "efficientnet-lite0"
    assert manifest["settings"]["duplicates"]["copies"] == {"cosine": 0.85, "probes": 4, "min_contrast": 4.0}
    assert manifest["counts"]["duplicate_groups"]["rejects"] == {"copy_embedding": 4}


def test_every_check_of_copies_passes(world: World) -> None:
    store = made_up.MadeUpRoot(open_catalog(str(world.root)))
    for check in (checks.copy_vectors_joined, checks.copy_vectors_sane):
        assert store.check(check, "00000").passed
    for check in (curation_checks.one_keeper_per_group, expert_checks.copies_on_one_side):
        found = store.check(check, "all")
        assert found.passed, found.said
    # A quarter of so few images is copies by vectors: within the bound.
    assert store.check(curation_checks.copy_vectors_agree, "all").said.startswith("26.7% of 15 images are copies")
