"""Sound files prove themselves; files in which labels, latents or images do not belong together do not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from paris_assets.errors import UsageError
from paris_assets.models.registry import Models
from paris_assets.proof import verdicts
from paris_assets.proof.proved import CHART, FIGURES, PAGE, proved, samples_of
from paris_assets.proof.times import TIMES
from paris_assets.proof.written import Written, read_written
from paris_assets.settings.training_probe import TrainingProbe
from paris_assets_tests.proof import made_up
from paris_assets_tests.proof.made_up import DEFECTS, QUICK, Found, World

FEW = QUICK.model_copy(update={"steps": 3, "expert_steps": 2, "router_steps": 3, "pictures": 0})
SEEN = {
    "shuffled_labels": {"specialises", "routes"},
    "other_latents": {"specialises", "routes"},
    "labels_by_order": {"specialises", "routes"},
    "noise_for_latents": {"learns", "specialises", "routes"},
}


def failed(found: Found) -> set[str]:
    figures = found.figures
    judged = {
        "learns": verdicts.learns(figures, 0.7),
        "specialises": verdicts.specialises(figures, 0.01),
        "routes": verdicts.routes(figures),
        "leaks_nothing": verdicts.leaks_nothing(figures),
        "finite": verdicts.finite(figures),
    }
    return {name for name, verdict in judged.items() if not verdict.passed}


@pytest.fixture(scope="module")
def sound() -> World:
    return made_up.world()


@pytest.fixture(scope="module")
def root(sound: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.write(tmp_path_factory.mktemp("written"), sound)


@pytest.fixture(scope="module")
def found(root: Path, sound: World, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return made_up.prove(root, sound, tmp_path_factory.mktemp("scratch"))


def test_sound_files_prove_themselves(found: Found) -> None:
    figures = found.figures
    assert failed(found) == set()
    assert verdicts.not_worse(figures).passed
    assert figures["diagonal"]["z"] < -4
    assert figures["small"] == ""
    assert figures["router"]["balanced"][0]["mean"] > figures["router"]["permuted"]["mean"] + 0.2
    assert figures["router"]["accuracy"][-1]["mean"] < figures["router"]["accuracy"][0]["mean"] - 0.2
    own, common, before = (np.array(figures["loss"][name]) for name in ("own", "common", "untrained"))
    assert (own < common).all()
    np.testing.assert_allclose(before, 2, atol=0.2)  # noise and latents of unit variance, of which nothing is predicted


@pytest.mark.parametrize(
    "defect", [name if name == "shuffled_labels" else pytest.param(name, marks=pytest.mark.slow) for name in DEFECTS]
)
def test_files_that_do_not_belong_together_are_found_out(defect: str, sound: World, tmp_path: Path) -> None:
    wrong = DEFECTS[defect](sound)
    made_up.write(tmp_path / "root", wrong)
    found = made_up.prove(tmp_path / "root", wrong, tmp_path / "scratch")
    assert SEEN[defect] <= failed(found)
    assert "finite" not in failed(found)


def test_a_row_for_each_held_out_image_and_time(found: Found, sound: World) -> None:
    assert found.table["t"].unique().sort().to_list() == list(TIMES)
    images = found.table.unique("image_id")
    assert found.table.height == len(TIMES) * images.height
    assert 0.25 < images.height / len(sound.names) < 0.35
    known = dict(zip(sound.names, zip(sound.labels.tolist(), sound.groups, strict=True), strict=True))
    told = images["image_id", "cluster", "group_id"].rows()
    assert all(known[name] == (label, group) for name, label, group in told)
    together = pl.DataFrame({"group_id": sound.groups}).group_by("group_id").len()
    measured = images.group_by("group_id").len()
    assert measured.join(together, on=["group_id", "len"], how="anti").is_empty(), "a group is on both sides"
    losses = np.array(found.table["experts"].to_list())
    assert losses.shape[1] == made_up.EXPERTS
    np.testing.assert_allclose(found.table["uniform"] <= losses.mean(1), True)  # the loss of the mean is the lower one


def test_the_report_stands_alone(found: Found) -> None:
    page = found.files[PAGE].decode()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert page.count('<img src="data:image/webp') == 3 * QUICK.pictures
    assert "specialisation is shown" in page
    assert "top-1 routing" in page.lower()
    assert found.files[CHART].startswith(b"\x89PNG")
    assert json.loads(found.files[FIGURES]) == json.loads(json.dumps(found.figures))


@pytest.mark.slow
def test_the_same_bits_again_from_files_of_another_format(root: Path, sound: World, tmp_path: Path) -> None:
    made_up.write(tmp_path / "mds", sound, "mds")
    tars, mds = (
        made_up.prove(where, sound, tmp_path / name, FEW).table
        for name, where in (("a", root), ("b", tmp_path / "mds"))
    )
    assert tars.equals(mds)


def _with_router(root: Path, change: Callable[[np.ndarray, str], np.ndarray]) -> None:
    for path in (root / "router_training").glob("*.npy"):
        np.save(path, change(np.load(path), path.stem))


def test_rows_of_the_router_are_found_by_name(tmp_path: Path) -> None:
    small = made_up.world(40)
    root = made_up.write(tmp_path / "root", small)
    samples = dict(enumerate(np.bincount(small.labels).tolist()))

    def read(most: int) -> Written:
        return read_written(str(root), samples, None, most, False, tmp_path / "cache")

    before = read(20)
    _with_router(root, lambda array, _: array[::-1].copy())
    after = read(20)
    assert torch.equal(before.router_latents, after.router_latents)
    assert before.router_experts.tolist() == after.router_experts.tolist() == after.experts.tolist()
    _with_router(root, lambda array, name: np.where(array == 2, 9, array) if name == "labels" else array)
    with pytest.raises(UsageError, match=r"name experts without samples for \d+ images, [0-9a-f]{32} first"):
        read(40)
    _with_router(root, lambda array, _: array[1:])
    with pytest.raises(UsageError, match=r"1 samples of experts are not in the router's arrays, [0-9a-f]{32} first"):
        read(40)


@pytest.mark.slow
def test_folds_measure_every_image_once(root: Path, sound: World, tmp_path: Path) -> None:
    table = made_up.prove(root, sound, tmp_path, FEW.model_copy(update={"folds": 2})).table
    images = table.unique(["image_id", "fold"])
    assert images["image_id"].sort().to_list() == sound.names
    assert images["fold"].n_unique() == 2


@pytest.mark.slow
def test_captions_reach_the_networks(root: Path, sound: World, tmp_path: Path) -> None:
    told, untold = (
        made_up.prove(root, sound, tmp_path / str(text), FEW.model_copy(update={"text": text})).table
        for text in (True, False)
    )
    assert told["untrained"].equals(untold["untrained"])
    assert not told["common"].equals(untold["common"])


def test_no_more_images_than_asked_for(root: Path, sound: World, tmp_path: Path) -> None:
    found = made_up.prove(root, sound, tmp_path, FEW.model_copy(update={"images": 120}))
    assert found.figures["samples"] == 120


def test_too_few_groups_train_nothing(tmp_path: Path) -> None:
    small = made_up.world(40)
    made_up.write(tmp_path / "root", small)
    found = made_up.prove(tmp_path / "root", small, tmp_path / "scratch")
    refused = "0 experts have 16 duplicate groups or more, and 2 are needed"
    assert found.figures == {"refused": refused, "manifest": None}  # there is none beside these files
    assert found.table.is_empty()
    assert f"Nothing was trained: {refused}." in found.files[PAGE].decode()
    assert json.loads(found.files[FIGURES]) == found.figures
    assert found.files.keys() == {PAGE, FIGURES}


def test_samples_are_counted_in_one_format(sound: World, tmp_path: Path) -> None:
    both = pl.concat([made_up.manifest(sound), made_up.manifest(sound, "expert_mds")])
    assert samples_of(both) == {0: 80, 1: 80, 2: 80}
    nothing = pl.LazyFrame({"path": ["a"], "samples": [None]})
    empty = proved("nowhere", nothing, made_up.profile(), TrainingProbe(), Models())
    empty.scratch = tmp_path
    assert [len(chunk) for chunk in empty.rows] == [0]  # type: ignore[union-attr]
    assert empty.facts["probe"] == {"refused": "no expert has samples", "manifest": None}
