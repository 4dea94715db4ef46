"""A whole run with a proof: it comes last, of what the manifest lists, and `paris verify` knows its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paris_assets.cli import main
from paris_assets.dag.records import ALL
from paris_assets_tests.fixtures import direct, made_up, small_world

pytestmark = pytest.mark.extended


def test_a_proof_is_made_of_what_the_manifest_lists(tmp_path: Path) -> None:
    root = tmp_path / "root"
    quick = {"patches": 4, "width": 16, "depth": 1, "batch": 8, "steps": 4, "expert_steps": 2, "router_steps": 4}
    profile = small_world.profile(
        small_world.embedded(tmp_path / "source" / "rows.parquet", 80), probe={**quick, "pictures": 2}, clusters__k=2
    )
    direct.bring_up_to_date(profile, root)
    manifest = json.loads((root / "pipeline_manifest.json").read_text())
    assert manifest["training_probe"]["table"] == "training_probe/all.parquet"
    assert "training_probe" not in manifest["counts"]
    figures = json.loads((root / manifest["training_probe"]["figures"]).read_text())
    assert figures["manifest"] == manifest["version"]
    assert figures["samples"] == sum(manifest["images_per_cluster"].values())
    record = made_up.MadeUpRoot(direct.catalog_of(profile, root)).record("training_probe", ALL)
    assert record is not None
    assert record.facts["probe"]["held_out"] * 6 == record.rows
    assert main(["verify", str(root)]) == 0

    before = (root / "pipeline_manifest.json").read_bytes()
    direct.bring_up_to_date(profile, root)
    assert (root / "pipeline_manifest.json").read_bytes() == before
