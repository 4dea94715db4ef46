"""`paris export --format wids`: the package wids reads every sample of the tars by its number."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.cli import main
from paris_assets.errors import MissingInput, UsageError
from paris_assets.export.wids import wids_command
from paris_assets.storage.location import Location
from paris_assets_tests.export import experts
from paris_assets_tests.fixtures.made_up import MadeUpRoot
from paris_assets_tests.verification.published import edit_manifest

wids = pytest.importorskip("wids", reason="it is in the extra dev: install requirements.lock again")


def read(index: Path) -> dict[str, dict[str, Any]]:
    """image_id -> member -> content, of every number of a data set."""
    data = wids.ShardListDataset(str(index), localname=lambda url: url, transformations=[lambda sample: sample])
    found = [data[number] for number in range(len(data))]
    held = {
        sample["__key__"]: {name[1:]: file.read() for name, file in sample.items() if name[0] == "."}
        for sample in found
    }
    data.close()
    assert len(held) == len(found)
    return held


def matches(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    latent = np.load(io.BytesIO(found["latent.npy"]))
    return (
        np.array_equal(latent, wanted["latent.npy"]) and json.loads(found["metadata.json"]) == wanted["metadata.json"]
    )


@pytest.mark.parametrize("name", ["mixed", "apart"])
def test_every_sample_has_a_number(roots: Any, name: str, tmp_path: Path) -> None:
    store = roots(name)
    assert wids_command(store.catalog, Location(tmp_path / "out"), None) == 0
    wanted = experts.samples(Path(store.root.url))
    found = read(tmp_path / "out/all.json")
    assert found.keys() == wanted.keys()
    assert all(matches(found[key], wanted[key]) for key in wanted)
    sides = {"train": 0, "validation": 1} if name == "apart" else {}
    for expert in (0, 1):
        of_expert = {key for key in wanted if wanted[key]["metadata.json"]["cluster"] == expert}
        assert read(tmp_path / f"out/cluster_{expert}.json").keys() == of_expert
        for side, number in sides.items():
            of_side = {key for key in of_expert if wanted[key]["metadata.json"]["split"] == number}
            assert read(tmp_path / f"out/cluster_{expert}.{side}.json").keys() == of_side
    assert len(list((tmp_path / "out").glob("*.json"))) == 4 + 2 * len(sides)


def test_an_index_that_is_moved_beside_the_tars(roots: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, out = roots("mixed"), tmp_path / "out"
    command = ["export", "--format", "wids", "--root", store.root.url, "--base", ".", "--out", str(out)]
    assert main(command) == 0
    shutil.copytree(Path(store.root.url) / "expert_shards", tmp_path / "moved/expert_shards")
    shutil.copy(out / "cluster_1.json", tmp_path / "moved")
    assert len(read(tmp_path / "moved/cluster_1.json")) == 12
    assert capsys.readouterr().out.startswith("24 samples in 4 tars, 3 indices: ")
    with pytest.raises(UsageError, match=r"holds an export of base \., not of base /"):
        wids_command(store.catalog, Location(out), None)


def test_what_is_no_more_goes_and_what_is_the_same_stays(roots: Any, tmp_path: Path) -> None:
    store, out = roots("mixed"), tmp_path / "out"
    wids_command(store.catalog, Location(out), None)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    (out / "cluster_7.json").write_text("{}")
    wids_command(store.catalog, Location(out), None)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_roots_without_what_is_needed(roots: Any, tmp_path: Path) -> None:
    def refused(store: MadeUpRoot, error: type[Exception], said: str) -> None:
        with pytest.raises(error, match=said):
            wids_command(store.catalog, Location(tmp_path / "out"), None)
        assert not (tmp_path / "out").exists()

    store = roots("mixed")
    mds = store.under(**{"experts.formats": ["mds"]})
    refused(mds, UsageError, r"--format wids is made of the experts' tars, which the profile of .* does not write")
    root = tmp_path / "root"
    changed = experts.published(root)
    edit_manifest(root, lambda manifest: manifest["files"].pop(next(
        at for at, file in enumerate(manifest["files"]) if file["path"].endswith(".tar")
    )))  # fmt: skip
    refused(changed, MissingInput, "speaks of other files than there are .expert_shards/cluster_0/00000-00000.tar.")
    (root / "pipeline_manifest.json").write_text("{}")
    refused(changed, UsageError, "pipeline_manifest.json is no manifest: make it again")
    (root / "pipeline_manifest.json").unlink()
    refused(changed, MissingInput, "nothing is published under .*: `paris run --root .*` finishes it")
    (root / "takedowns.json").write_text('{"takedowns": [{"asked": ["x"], "when": "", "image_ids": ["x"]}]}')
    shutil.copy(Path(store.root.url) / "pipeline_manifest.json", root)
    refused(changed, MissingInput, "were taken down since it was published: `paris run` finishes that")
