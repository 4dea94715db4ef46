"""Every size of an image's latents reaches its sample, and one square size the router."""

import json
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.config import Profile, ProfileError
from paris_assets.experts import checks
from paris_assets.experts.arrays import samples_of
from paris_assets.experts.format import described
from paris_assets.experts.readme import readme
from paris_assets.experts.router import ARRAYS
from paris_assets.experts.summary import EMPTY_PROMPT
from paris_assets.profiles import load_profile
from paris_assets.storage.ragged import arrays_of
from paris_assets_tests.experts.test_shards import KEYS, samples
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, SIZES, MadeUpRoot

PLACES = {"resized_height", "resized_width", "target_height", "target_width"}
OF_512 = {f"{name}_512" for name in (*PLACES, "upscaled", "crop_top", "crop_left")}


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path, **SIZES)
    made_up.publishable(store)
    made_up.add_buckets(store)
    made_up.publish(store)
    return store


def test_a_sample_holds_every_size_that_its_image_has(store: MadeUpRoot, tmp_path: Path) -> None:
    rows = store.read("latents", SHARD)
    found = samples(tmp_path)
    for name, latent in zip(rows["image_id"], arrays_of(rows, "latent_512"), strict=True):
        sample, metadata = found[name], found[name]["metadata.json"]
        assert sample["latent.npy"].shape == (4, 32, 32)
        assert ("latent_512.npy" in sample) == (latent is not None)
        assert set(metadata) == KEYS | PLACES | OF_512 | {"bucket", "ratio_error"}
        assert metadata["bucket"] == "832x1216"
        if latent is None:
            assert {metadata[field] for field in OF_512} == {None}
            continue
        assert np.array_equal(sample["latent_512.npy"], latent)
        assert latent.shape == (4, 52, 76)
        assert (metadata["target_height_512"], metadata["target_width_512"]) == (416, 608)
        assert (metadata["resized_height_512"], metadata["resized_width_512"]) == (416, 624)
        assert (metadata["crop_top_512"], metadata["crop_left_512"], metadata["upscaled_512"]) == (0, 8, False)
    assert sum("latent_512.npy" in sample for sample in found.values()) == 12


def test_samples_have_arrays_of_their_own_shapes(store: MadeUpRoot) -> None:
    rows = store.read("latents", SHARD)
    narrow = rows.with_columns(
        latent_512_height=pl.lit(1, pl.Int32), latent_512_width=pl.lit(52 * 76, pl.Int32)
    )  # fmt: skip
    ids = rows["image_id"].to_list()
    table = pl.DataFrame({"image_id": ids, "kinds": [[]] * len(ids), "captions": [[]] * len(ids)})
    texts = store.scan("text_embeddings", [SHARD])
    shapes = [sample.latents for sample in samples_of(table, narrow.lazy(), texts, [512, 256])]
    assert [sorted(latents) for latents in shapes] == [[256, 512], [256]] * 12
    assert shapes[0][512].shape == (4, 1, 52 * 76)


@pytest.mark.parametrize("defect", ["lacking", "too many"])
def test_a_tar_without_a_size_that_the_image_has(store: MadeUpRoot, defect: str) -> None:
    assert store.check(checks.shards_complete, SHARD).passed
    large = pl.int_range(pl.len()) % 2 == 0
    columns = ("latent_512", "latent_512_height", "latent_512_width")
    if defect == "lacking":
        store.replace("latents", **{name: pl.col(name).fill_null(pl.col(name).first()) for name in columns})
    else:
        store.replace("latents", **{name: pl.when(~large).then(name) for name in columns})
    found = store.check(checks.shards_complete, SHARD)
    assert found.figures["incomplete"] == 12
    assert not found.passed


def test_the_router_has_the_size_that_the_profile_names(tmp_path: Path) -> None:
    settings = {"latents.resolutions": [128, 256], "latents.upscale": True, "experts.router_resolution": 256}
    store = made_up.flat_root(tmp_path, **settings)
    made_up.publishable(store)
    small = np.random.default_rng(2).standard_normal((24, 4, 16, 16)).astype(np.float16)
    further = {f"{name}_256": pl.col(name) for name in ("upscaled", "crop_top", "crop_left")}
    store.replace("latents", latent_128=pl.lit(pl.Series(small)), **further)
    made_up.publish(store)
    latents = np.load(tmp_path / f"router_arrays/{SHARD}/latents.npy")
    assert np.array_equal(latents, store.read("latents", SHARD)["latent_256"].to_numpy())
    assert samples(tmp_path)[made_up.ids(24)[0]]["latent.npy"].shape == (4, 16, 16)
    assert store.check(checks.rows_aligned, SHARD).passed


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"experts.router_resolution": 512}, "512 is not among latents.resolutions"),
        (
            {**SIZES, "experts.router_resolution": 512},
            r"512 px is in buckets, and the router's latents are of one shape: set experts.router_resolution to one of "
            r"\[256\]",
        ),
        (
            {"latents.buckets": {"resolutions": [256]}},
            "256 px is in buckets.*: add a square, or leave 256 out of latents.buckets.resolutions",
        ),
        (
            {"latents.resolutions": [256, 512], "latents.upscale": False, "experts.router_resolution": 512},
            "small images have no latent of 512 px: take the smallest of latents.resolutions, 256",
        ),
    ],
)
def test_a_router_without_latents_of_one_shape_is_refused(settings: dict, said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        load_profile("demo", settings)


def form(profile: Profile, tmp_path: Path) -> dict:
    shapes = {"latents": (3, 4, 32, 32), "embeddings": (3, 6), "clip": (3, 3)}
    files = {}
    for name in ARRAYS:
        files[f"router_training/{name}.npy"] = tmp_path / f"{name}.npy"
        np.save(files[f"router_training/{name}.npy"], np.zeros(shapes.get(name, (3,)), np.float16))
    np.save(tmp_path / "prompt.npy", np.zeros((5, 3), np.float16))
    assert EMPTY_PROMPT
    factors = {"scaling_factor": 1.0, "shift_factor": 0.0}
    return described(profile, factors, {}, {}, files, tmp_path / "prompt.npy", None, {})


def test_the_format_tells_of_sizes_buckets_and_mirroring(tmp_path: Path) -> None:
    held = form(load_profile("demo", SIZES), tmp_path)
    members = held["samples"]["members"]
    assert members["latent.npy"]["shape"] == [4, 32, 32]
    assert members["latent_512.npy"]["shape"] == [4, "height", "width"]
    assert members["latent_512.npy"]["meaning"].endswith("512 px; absent where the image has none")
    fields = members["metadata.json"]["fields"]
    assert fields["crop_left_512"].endswith("of the latent of 512 px, null without")
    assert fields["target_width"].endswith("of the latent of 256 px")
    assert held["latents"]["sizes"]["512"]["fields"]["crop_top"] == "crop_top_512"
    assert held["latents"]["mirrored"].endswith("resized_width - target_width - crop_left")
    assert held["latents"]["buckets"]["table"] == "sdxl"
    page = readme(held, {"0": {"train": 2, "validation": 1}}).decode()
    assert "| `latent_512.npy` | 512 px | buckets |" in page
    json.dumps(held)


def test_one_square_size_is_told_of_as_before(tmp_path: Path) -> None:
    held = form(load_profile("demo"), tmp_path)
    assert held["samples"]["members"]["latent.npy"]["meaning"] == "scaled latent of the centre square"
    assert not {"sizes", "buckets", "mirrored"} & set(held["latents"])
    assert "target_width" not in held["samples"]["members"]["metadata.json"]["fields"]
    assert "They come from 256 px squares (RGB / 127.5 - 1; short side" in readme(held, {}).decode()


def test_members_stay_side_by_side(store: MadeUpRoot, tmp_path: Path) -> None:
    with tarfile.open(next(tmp_path.glob("expert_shards/cluster_0/*.tar"))) as tar:
        keys = [member.name.split(".")[0] for member in tar]
    assert keys == sorted(keys)
