"""Latents of further sizes, and what metadata.json says of them, are verified like all else."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.cli import main
from paris_assets.storage.ragged import arrays_of, ragged
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.verification.published import edit_manifest, publish_two_shards, seal
from paris_assets_tests.verification.test_published import (
    TAR,
    assert_named,
    change_member,
    changed_metadata,
    members,
    npy,
    problems,
    rewrite_tar,
)


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sized") / "root"
    publish_two_shards(folder, **made_up.SIZES)
    return folder


@pytest.fixture
def folder(sized: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sized, tmp_path / "root"))


def test_a_sound_folder_and_its_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(folder) == []
    assert main(["verify", str(folder / "pipeline_manifest.json")]) == 0, capsys.readouterr().out


def test_a_latent_of_another_shape_than_its_target(folder: Path) -> None:
    key = change_member(folder, "latent_512.npy", lambda data: npy(np.zeros((4, 76, 52), np.float16)))
    assert_named(folder, TAR, "latent_512.npy as metadata.json says", "shape (4, 76, 52) for 416 x 608 pixels", key)


def test_a_latent_that_is_not_finite(folder: Path) -> None:
    change_member(folder, "latent_512.npy", lambda data: npy(np.full((4, 52, 76), np.inf, np.float16)))
    assert_named(folder, TAR, "latent_512.npy readable, float16, finite", "not finite")


def test_a_latent_that_is_gone(folder: Path) -> None:
    contents = members(folder / TAR)
    gone = next(name for name, _ in contents if name.endswith("latent_512.npy"))
    rewrite_tar(folder / TAR, [(name, data) for name, data in contents if name != gone])
    seal(folder)
    assert_named(folder, TAR, "latent_512.npy as metadata.json says", "no such latent", gone.split(".")[0])


def test_a_latent_of_a_size_that_the_profile_has_not(folder: Path) -> None:
    contents = members(folder / TAR)
    renamed = [(name.replace("latent_512", "latent_768"), data) for name, data in contents]
    rewrite_tar(folder / TAR, renamed)
    seal(folder)
    assert_named(folder, TAR, "the members caption.txt", "latent_768.npy")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"target_width_512": None, "target_height_512": None}, "a latent that it does not know"),
        ({"crop_left_512": "8"}, "missing or of another type: crop_left_512"),
    ],
)
def test_metadata_of_a_size_that_is_wrong(folder: Path, values: dict, said: str) -> None:
    change_member(folder, "metadata.json", changed_metadata(**values))
    assert_named(folder, TAR, said)


@pytest.mark.parametrize("defect", ["other latent", "other place", "no latent"])
def test_what_the_tables_say_of_a_size(folder: Path, capsys: pytest.CaptureFixture[str], defect: str) -> None:
    rows = pl.read_parquet(folder / "latents/00000.parquet")
    large = arrays_of(rows, "latent_512")
    changed = {
        "other latent": ragged("latent_512", [None if latent is None else latent + np.float16(1) for latent in large]),
        "other place": {"crop_top_512": rows["crop_top_512"] + 1},
        "no latent": ragged("latent_512", [None] * rows.height),
    }[defect]
    store = made_up.flat_root(folder.parent / "flat", **made_up.SIZES)
    store.put("latents", rows.with_columns(**changed))
    (folder.parent / "flat/latents/00000.parquet").replace(folder / "latents/00000.parquet")
    assert main(["verify", str(folder / "pipeline_manifest.json")]) == 1
    said = {"other place": "crop_top_512 as in latents/00000.parquet"}.get(
        defect, "latent_512 of latents/00000.parquet"
    )
    assert said in capsys.readouterr().out


def test_a_manifest_whose_sizes_are_none(folder: Path) -> None:
    edit_manifest(folder, lambda held: held["settings"]["latents"].update(buckets={"resolutions": [768]}))
    with pytest.raises(ValueError, match="latents are not those of a profile"):
        problems(folder)
    edit_manifest(folder, lambda held: held["settings"]["latents"].update(buckets={"resolutions": [512]}))
    edit_manifest(folder, lambda held: held["settings"]["experts"].update(router_resolution=512))
    with pytest.raises(ValueError, match=r"router_resolution is not one of the square sizes \[256\], 512"):
        problems(folder)
