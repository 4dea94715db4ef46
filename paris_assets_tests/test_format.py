"""The manifest's format, the README beside the shards and the examples of docs/format.md, on published output."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paris_assets.formats.mds_reader import MdsFileReader
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.test_docs import PAGES, blocks

pytestmark = pytest.mark.long

EXAMPLES = {text.split(":")[0].removeprefix("# "): text for text in blocks(PAGES["docs/format.md"], "python")}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    source = small_world.embedded(folder / "list.parquet", 40)
    codec = {"implementation": "autoencoder-kl", "path": "small-vae"}
    written = {"experts__formats": ["webdataset", "mds"], "experts__codec": {"text": {}}}
    profile = small_world.profile(source, latents__codec=codec, experts__split_tars=True, **written)
    direct.bring_up_to_date(profile, folder / "root")
    return folder / "root"


@pytest.fixture(scope="module")
def manifest(root: Path) -> dict[str, Any]:
    return json.loads((root / "pipeline_manifest.json").read_text())


def said(name: str, root: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What an example prints."""
    script = root.parent / name
    script.write_text(EXAMPLES[name])
    patch.setattr(sys, "argv", [name, str(root)])
    runpy.run_path(str(script))
    return capsys.readouterr().out


def test_examples_are_short() -> None:
    assert set(EXAMPLES) == {"load_expert.py", "decode_latent.py", "load_router.py", "pad_texts.py", "load_mds.py"}
    for text in EXAMPLES.values():
        assert sum(bool(line.strip()) for line in text.splitlines()) <= 12


def test_examples_do_what_they_say(
    root: Path, manifest: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = manifest["split_per_cluster"]
    lines = said("load_expert.py", root, monkeypatch, capsys).splitlines()
    assert lines[-1] == f"{splits['0']['train']} samples to train on"
    assert re.match(r"[0-9a-f]{32} \(4, 8, 8\) \(24, 8\) ", lines[0])
    files = said("load_mds.py", root, monkeypatch, capsys).splitlines()
    assert sum(int(line.split()[1]) for line in files) == sum(splits["0"].values())
    assert {line.split()[2] for line in files} == {"float32"}
    assert said("decode_latent.py", root, monkeypatch, capsys) == "(1, 64, 64, 3) uint8\n"
    train, held_out = (sum(expert[side] for expert in splits.values()) for side in ("train", "validation"))
    said_last = said("load_router.py", root, monkeypatch, capsys).splitlines()[-1]
    assert said_last == f"{train} rows to train on, {held_out} held out"


def test_the_format_is_that_of_the_files(root: Path, manifest: dict[str, Any]) -> None:
    for name, described in manifest["format"]["router"]["arrays"].items():
        array = np.load(root / "router_training" / f"{name}.npy")
        assert described["dtype"] == str(array.dtype).lstrip("|")
        assert described["shape"] == ["rows", *array.shape[1:]]
    prompt = np.load(root / "expert_shards/empty_prompt.npy")
    assert manifest["format"]["empty_prompt"]["shape"] == list(prompt.shape)
    latents = manifest["format"]["latents"]
    assert (latents["scaling_factor"], latents["shift_factor"], latents["pixels_per_cell"]) == (1.0, 0.0, 8)


def test_columns_of_mds_files_are_described(root: Path, manifest: dict[str, Any]) -> None:
    (columns,) = manifest["format"]["mds"]["columns"].values()
    (path, *_) = sorted(root.glob("expert_mds/cluster_0/64/train/*.mds"))
    with MdsFileReader(path) as file:
        assert {column.name: column.encoding for column in file.columns.columns} == {
            name: held["encoding"] for name, held in columns.items()
        }
    codecs = {path: json.loads((root / path / "codec.json").read_text()) for path in
              ("expert_shards", "expert_mds", "router_arrays", "router_training")}  # fmt: skip
    for held in codecs.values():
        assert held["kinds"] == manifest["format"]["codec"]["kinds"]
    assert {f"{path}/codec.json" for path in codecs} <= {file["path"] for file in manifest["files"]}


def test_every_expert_holds_out_and_lists_its_tars(root: Path, manifest: dict[str, Any]) -> None:
    listed = {file["path"] for file in manifest["files"]}
    assert "expert_shards/README.md" in listed
    readme = (root / "expert_shards/README.md").read_text()
    for cluster, sides in manifest["split_per_cluster"].items():
        assert sides["validation"] >= 1
        assert f"| {cluster} | {sides['train']} | {sides['validation']} |" in readme
        assert {f"expert_shards/cluster_{cluster}/{side}.txt" for side in sides} <= listed
    assert str(root) not in readme
