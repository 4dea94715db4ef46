"""A takedown where samples are MDS files in codes, too; and one that is killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.dag.takedowns import TAKEDOWNS
from paris_assets.formats.mds_reader import MdsFileReader
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.runs import kill_points
from paris_assets_tests.runs.test_takedown import ask, held, published_ids

pytestmark = [pytest.mark.long, pytest.mark.extended]


def ids_of(path: Path) -> list[str]:
    with MdsFileReader(path) as file:
        return [sample["image_id"] for sample in file]


def test_mds_files_and_indices_without_the_image_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, root = small_world.embedded(tmp_path / "list.parquet", 40), tmp_path / "root"
    formats = {"formats": ["webdataset", "mds"], "codec": {"latents": {}, "text": {}}, "mds": {"size_limit": 16384}}
    profile = small_world.profile(source, **{f"experts__{name}": value for name, value in formats.items()})
    direct.bring_up_to_date(profile, root)
    holding = {path: ids_of(path) for path in sorted(root.glob("expert_mds/cluster_*/*/*.mds"))}
    folders = {path.parent for path in holding}
    assert len(folders) > 1
    first = next(path for path, ids in holding.items() if path.name.startswith("00001-") and len(ids) > 1)
    gone, before = holding[first][0], small_world.contents(root)
    later = {path for path in first.parent.glob("00001-*.mds") if path >= first}
    assert ask(root, gone)
    made = direct.bring_up_to_date(profile, root)
    assert ("expert_mds", "00001") in made
    assert not {("expert_mds", "00000"), ("value_ranges", "all"), ("cluster_model", "all")} & made
    after = small_world.contents(root)
    allowed = {str(path.relative_to(root)) for path in (*later, first.parent / "index.json")}
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if path.startswith("expert_mds/cluster_")} <= allowed
    assert str((first.parent / "index.json").relative_to(root)) in changed
    left = [image_id for path in root.glob("expert_mds/cluster_*/*/*.mds") for image_id in ids_of(path)]
    assert sorted(left) == sorted({name for ids in holding.values() for name in ids} - {gone})
    assert held(root, [gone]) == {TAKEDOWNS}
    assert main(["verify", str(root)]) == 0
    assert main(["lint", str(root)]) == 0
    assert direct.bring_up_to_date(profile, root) == set()
    capsys.readouterr()


def test_what_was_killed_is_finished_by_the_same_command(small_finished: Path, tmp_path: Path) -> None:
    root, calm = (Path(shutil.copytree(small_finished, tmp_path / name)) for name in ("root", "calm"))
    gone = published_ids(root, "00001")[2]
    taking = ["takedown", gone, "--root"]
    assert kill_points.run_command([*taking, str(calm)], tmp_path, trace=tmp_path / "trace") == 0
    trace = (tmp_path / "trace").read_text().splitlines()
    points = ["after delete raw_images/00001.parquet", "before put router_training/labels.npy"]
    assert set(points) <= set(trace)
    for point in points:
        assert kill_points.run_command([*taking, str(root)], tmp_path, point) == -9, (tmp_path / "log").read_text()
    assert kill_points.run_command([*taking, str(root)], tmp_path) == 0, (tmp_path / "log").read_text()
    ours, theirs = ({**small_world.contents(each), TAKEDOWNS: ""} for each in (root, calm))  # which says when
    assert ours == theirs
    assert held(root, [gone]) == {TAKEDOWNS}
    assert main(["verify", str(root)]) == 0
    ledger = pl.read_parquet(root / "raw_images/00001.parquet")
    assert ledger["reason"].to_list().count("takedown") == 1
