"""Sampling weights that are not what the settings, the tables or the manifest say are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from paris_assets.dag.s3 import open_location
from paris_assets.definitions import open_catalog
from paris_assets.verification.findings import Findings
from paris_assets.verification.manifest_checks import MANIFEST
from paris_assets.verification.published import verify_published
from paris_assets.verification.sample_shapes import WEIGHTS
from paris_assets.verification.sampling_weights import weight_bounds
from paris_assets.verification.table_joins import TableJoins
from paris_assets_tests.verification.published import edit_manifest, publish_two_shards, seal
from paris_assets_tests.verification.test_published import (
    TAR,
    assert_named,
    change_member,
    changed_metadata,
    problems,
)


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weighted") / "root"
    publish_two_shards(folder, **{"concepts.phrases": True})
    return folder


@pytest.fixture
def folder(weighted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(weighted, tmp_path / "root"))


def test_a_sound_folder_has_no_problem(folder: Path) -> None:
    assert problems(folder) == []


@pytest.mark.parametrize("weight", [0.2, 4.5, float("nan"), float("inf")])
def test_a_weight_outside_the_bounds(folder: Path, weight: float) -> None:
    key = change_member(folder, "metadata.json", changed_metadata(weight=weight))
    assert_named(folder, f"{TAR}: expected a weight of 0.25 to 4 in metadata.json, found a weight outside", key)


@pytest.mark.parametrize(
    "values", [{"weight": "1"}, {"weight": None}, {"concepts": "dog"}, {"concepts": [1]}, {"concepts": None}]
)
def test_a_weight_or_concepts_of_another_type(folder: Path, values: dict[str, Any]) -> None:
    change_member(folder, "metadata.json", changed_metadata(**values))
    assert_named(folder, TAR, f"missing or of another type: {next(iter(values))}")


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_sample_without(folder: Path, name: str) -> None:
    def without(data: bytes) -> bytes:
        return json.dumps({key: value for key, value in json.loads(data).items() if key != name}).encode()

    change_member(folder, "metadata.json", without)
    assert_named(folder, TAR, f"missing or of another type: {name}")


def test_figures_of_the_manifest_that_the_tars_do_not_have(folder: Path) -> None:
    for name, value in (("effective_samples", 3.0), ("max_weight", None), ("at_bounds", 1.0), ("min_weight", "x")):
        before = json.loads((folder / MANIFEST).read_text())["weights_per_cluster"]["1"][name]
        edit_manifest(
            folder, lambda held, name=name, value=value: held["weights_per_cluster"]["1"].update({name: value})
        )
        assert_named(folder, f"{MANIFEST}: expected weights_per_cluster.1 = ", "as the tars hold", count=1)
        edit_manifest(
            folder, lambda held, name=name, before=before: held["weights_per_cluster"]["1"].update({name: before})
        )
    assert problems(folder) == []
    edit_manifest(folder, lambda held: held.pop("weights_per_cluster"))
    assert_named(folder, f"{MANIFEST}: expected weights_per_cluster.0", "found None", count=2)


def test_weights_and_concepts_of_other_tables(folder: Path) -> None:
    """Sealed anew, so that only the join with the tables can tell."""

    def joined() -> list[str]:
        findings, manifest, root = Findings(), json.loads((folder / MANIFEST).read_text()), open_location(folder)
        joins = TableJoins(root, manifest, open_catalog(root).graph, findings)
        verify_published(root, manifest, findings, joins.join)
        return [str(problem) for problem in findings.problems]

    assert joined() == []
    change_member(folder, "metadata.json", changed_metadata(concepts=["beach"]))
    said = joined()
    assert len(said) == 1
    assert "expected concepts as in sampling_weights/00000.parquet, found another concepts" in said[0]
    change_member(folder, "metadata.json", changed_metadata(weight=1.25))
    assert any("expected weight as in sampling_weights/00000.parquet" in line for line in joined())


def test_what_bounds_settings_state() -> None:
    assert weight_bounds({}) is None
    assert weight_bounds({"concepts": {"labeller": None, "phrases": False, "listed": None}}) is None
    assert weight_bounds({"concepts": {"phrases": True, "min_weight": 0.5, "max_weight": 2}}) == (0.5, 2)
    assert weight_bounds({"concepts": ["phrases"]}) is None


def test_bounds_that_are_no_numbers_are_met_by_no_weight(folder: Path) -> None:
    edit_manifest(folder, lambda held: held["settings"]["concepts"].update(min_weight="low"))
    seal(folder)
    assert_named(folder, f"{TAR}: expected a weight of nan to 4")
