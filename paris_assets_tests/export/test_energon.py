"""`paris export --format energon`: data sets as `energon prepare` leaves them, by Python's own reader of tars."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from paris_assets.errors import MissingInput
from paris_assets.export.energon import energon_command
from paris_assets.export.huggingface import hf_command
from paris_assets.storage.checksum import DamagedFile
from paris_assets.storage.location import Location
from paris_assets_tests.export import experts

META = ".nv-meta"


def export(store: Any, out: Path) -> Path:
    assert energon_command(store.catalog, Location(out)) == 0
    return out


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    files = [path for path in out.rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}


def checked(out: Path) -> tuple[int, str]:
    """Status and words of coreutils' own check."""
    ran = subprocess.run(
        ["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("name", ["mixed", "apart"])
def test_every_sample_is_on_its_side_and_where_the_index_says(roots: Any, name: str, tmp_path: Path) -> None:
    store, out = roots(name), export(roots(name), tmp_path / "out")
    wanted, seen = experts.samples(Path(store.root.url)), []
    for expert in (0, 1):
        folder = out / f"cluster_{expert}"
        told = json.loads((folder / META / ".info.json").read_text())["shard_counts"]
        sides = yaml.safe_load((folder / META / "split.yaml").read_text())["split_parts"]
        assert sorted(told) == sorted([*sides["train"], *sides["val"]])
        database = sqlite3.connect(folder / META / "index.sqlite")
        for number, (tar, count) in enumerate(told.items()):
            side = ("train", "val").index(next(side for side in sides if tar in sides[side]))
            keys, starts, parts = members(folder / tar)
            assert len(keys) == count
            for key in keys:
                assert (wanted[key]["metadata.json"]["split"], wanted[key]["metadata.json"]["cluster"]) == (
                    side,
                    expert,
                )
            assert np.fromfile(folder / f"{tar}.idx", "<u8").tolist() == starts
            rows = database.execute("SELECT * FROM samples WHERE tar_file_id = ? ORDER BY sample_index", (number,))
            sizes = np.diff(starts).tolist()
            assert rows.fetchall() == [(number, key, at, starts[at], sizes[at]) for at, key in enumerate(keys)]
            rows = database.execute(
                "SELECT sample_index, part_name, content_byte_offset, content_byte_size FROM sample_parts "
                "WHERE tar_file_id = ? ORDER BY content_byte_offset", (number,)
            )  # fmt: skip
            assert rows.fetchall() == parts
            seen += keys
    assert sorted(seen) == sorted(wanted)
    assert checked(out) == (0, "")


def members(tar: Path) -> tuple[list[str], list[int], list[tuple[int, str, int, int]]]:
    """Keys of a tar's samples, where each begins and the last ends, and every part's place."""
    keys, starts, parts, end = list[str](), list[int](), list[tuple[int, str, int, int]](), 0
    with tarfile.open(tar) as opened:
        for member in opened:
            key, _, part = member.name.partition(".")
            if key not in keys:
                keys.append(key)
                starts.append(member.offset)
            parts.append((len(keys) - 1, part, member.offset_data, member.size))
            end = member.offset_data + -(-member.size // 512) * 512
    return keys, [*starts, end], parts


def test_tars_of_one_side_are_the_roots_own_and_others_hold_the_same(roots: Any, tmp_path: Path) -> None:
    apart, mixed = roots("apart"), roots("mixed")
    export(apart, tmp_path / "apart")
    export(mixed, tmp_path / "mixed")
    linked = {path.stat().st_ino for path in (tmp_path / "apart").rglob("*.tar")}
    assert linked == {path.stat().st_ino for path in Path(apart.root.url).glob("expert_shards/*/*.tar")}
    both = Path(mixed.root.url) / "expert_shards/cluster_0/00000-00000.tar"
    halves = [tmp_path / f"mixed/cluster_0/{side}/{both.name}" for side in ("train", "val")]
    contents = [content(tar) for tar in halves]
    assert contents[0] | contents[1] == content(both)
    assert all(contents)


def content(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}  # pyright: ignore[reportOptionalMemberAccess]


def test_an_export_is_gone_on_with_and_mended(roots: Any, tmp_path: Path) -> None:
    store, out = roots("mixed"), export(roots("mixed"), tmp_path / "out")
    before = stamps(out)
    export(store, out)
    assert stamps(out) == before
    tar = out / "cluster_0/train/00000-00000.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    (out / "cluster_1" / META / "index.sqlite").unlink()
    (out / "cluster_5/train").mkdir(parents=True)
    (out / "cluster_5/train/00000-00000.tar").write_bytes(b"of an expert that is no more")
    status, said = checked(out)
    assert status == 1
    assert "cluster_0/train/00000-00000.tar: FAILED" in said
    export(store, out)
    assert checked(out) == (0, "")
    assert tar.read_bytes() == whole
    assert stamps(out).keys() == before.keys()


@pytest.mark.parametrize("name", ["mixed", "apart"])
def test_a_tar_that_is_not_whole_is_named(name: str, tmp_path: Path) -> None:
    store = experts.published(tmp_path / "root", **experts.ROOTS[name])
    tar = tmp_path / "root/expert_shards/cluster_1/00001-00000.tar"
    whole = tar.read_bytes()
    for broken in (whole[:-1024], b"x" * 512 + whole[512:], b""):
        tar.write_bytes(broken)
        with pytest.raises(DamagedFile, match=str(tar)):
            energon_command(store.catalog, Location(tmp_path / "energon"))
        with pytest.raises(DamagedFile, match=str(tar)):
            hf_command(store.catalog, Location(tmp_path / "hf"), "other")
    tar.unlink()
    with pytest.raises(MissingInput, match=r"00001-00000.tar is not there: `paris run` makes it again"):
        energon_command(store.catalog, Location(tmp_path / "energon"))


def test_all_experts_together_name_those_that_have_a_side(roots: Any, tmp_path: Path) -> None:
    out = export(roots("mixed"), tmp_path / "out")
    told = yaml.safe_load((out / "all.yaml").read_text())
    both = [{"repetitions": 1, "path": f"./cluster_{expert}"} for expert in (0, 1)]
    assert told["splits"] == {"train": {"blend_epochized": both}, "val": {"blend_epochized": both}}
    assert yaml.safe_load((out / "cluster_1" / META / "dataset.yaml").read_text())["__class__"] == "CrudeWebdataset"
