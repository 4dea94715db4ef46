"""Each check of the latents stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.latents import checks
from paris_assets.storage.ragged import arrays_of, ragged
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    put_psnr(store, 22.5)
    assert store.check(checks.latents_sane, SHARD).passed
    assert store.check(checks.reconstruction, "all").passed
    assert store.check(checks.buckets_covered, "all").said == "all sizes are square"
    return store


@pytest.fixture
def sized(tmp_path: Path) -> MadeUpRoot:
    """Latents of 256 px squares and, of every other image, of 512 px in buckets."""
    store = made_up.flat_root(tmp_path, **made_up.SIZES)
    made_up.publishable(store)
    made_up.add_buckets(store)
    for check in (checks.latents_sane, checks.sizes_complete):
        found = store.check(check, SHARD)
        assert found.passed, found.said
    return store


def put_psnr(store: MadeUpRoot, value: float) -> None:
    table = pl.DataFrame({"image_id": made_up.ids(1), "psnr_db": [value]})
    store.put("latent_report", table, facts={"psnr_db": value})


@pytest.mark.parametrize("defect", ["nan", "unscaled", "twice_scaled", "shifted"])
def test_latents_that_are_no_latents(store: MadeUpRoot, defect: str) -> None:
    values = np.random.default_rng(0).standard_normal((24, 4, 32, 32)).astype(np.float16)
    if defect == "nan":
        values[3, 1, 2, 2] = np.nan
    else:
        values = {"unscaled": values / 0.18215, "twice_scaled": values * 0.18215, "shifted": values + 1}[defect]
    table = store.read("latents", SHARD).with_columns(pl.Series("latent_256", values.astype(np.float16)))
    store.put("latents", table)
    assert not store.check(checks.latents_sane, SHARD).passed


def test_a_latent_lost_without_reason(store: MadeUpRoot) -> None:
    rows = store.read("latents", SHARD)[1:]
    store.put("latents", rows, rejects={"smaller_than_latent": 1})
    assert store.check(checks.latents_sane, SHARD).passed
    store.put("latents", rows)
    assert not store.check(checks.latents_sane, SHARD).passed


def test_a_codec_that_blurs_everything(store: MadeUpRoot) -> None:
    put_psnr(store, 15.0)
    assert not store.check(checks.reconstruction, "all").passed


@pytest.mark.parametrize(("defect", "figure"), [("unknown", "unknown"), ("twice", "repeated")])
def test_latents_of_other_images(store: MadeUpRoot, defect: str, figure: str) -> None:
    names = {
        "unknown": [f"{number:032x}" for number in range(24)],
        "twice": [*made_up.ids(24)[:-1], made_up.ids(24)[0]],
    }
    rows = store.read("latents", SHARD).with_columns(pl.Series("image_id", names[defect]))
    store.put("latents", rows)
    found = store.check(checks.latents_sane, SHARD)
    assert not found.passed
    assert found.figures[figure] == {"unknown": 24, "twice": 1}[defect]


def test_a_null_is_legal_at_further_resolutions_only(store: MadeUpRoot) -> None:
    known = pl.int_range(pl.len()) % 2 == 0
    store.replace("latents", latent_512=pl.when(known).then("latent_256"))
    assert store.check(checks.latents_sane, SHARD).passed
    store.replace("latents", latent_256=pl.when(known).then("latent_256"))
    found = store.check(checks.latents_sane, SHARD)
    assert not found.passed
    assert found.figures["not_finite"] == 12


def test_a_larger_size_that_is_no_latent(sized: MadeUpRoot) -> None:
    rows = sized.read("latents", SHARD)
    large = [None if latent is None else latent * 0.13025 for latent in arrays_of(rows, "latent_512")]
    sized.put("latents", rows.with_columns(**ragged("latent_512", large)))
    found = sized.check(checks.latents_sane, SHARD)
    assert not found.passed
    assert "latents of 512 px have deviation 0.13" in found.said
    assert float(found.figures["deviation_512"]) < 0.2 < 0.9 < float(found.figures["deviation"])


def test_a_larger_size_that_is_not_finite(sized: MadeUpRoot) -> None:
    rows = sized.read("latents", SHARD)
    large = [
        None if latent is None else np.where(latent > 3, np.float16("inf"), latent)
        for latent in arrays_of(rows, "latent_512")
    ]
    sized.put("latents", rows.with_columns(**ragged("latent_512", large)))
    assert int(sized.check(checks.latents_sane, SHARD).figures["not_finite"]) > 0


FIRST = pl.int_range(pl.len()) == 0


@pytest.mark.parametrize(
    ("defect", "figure"),
    [
        ({"latent_512": pl.when(~FIRST).then("latent_512")}, "missing"),
        ({"stored_height": pl.lit(300, pl.Int32), "stored_width": pl.lit(450, pl.Int32)}, "not_covered"),
        ({"stored_width": pl.lit(599, pl.Int32)}, "other_bucket"),
        ({"crop_left_512": pl.col("crop_left_512") + pl.when(FIRST).then(1).otherwise(0)}, "misplaced"),
        (
            {"latent_512_width": pl.col("latent_512_height"), "latent_512_height": pl.col("latent_512_width")},
            "misplaced",
        ),
        ({"upscaled": FIRST}, "misplaced"),
        ({"bucket": pl.when(FIRST).then(pl.lit("1024x1024")).otherwise("bucket")}, "other_bucket"),
    ],
)
def test_latents_of_other_sizes_or_places_than_the_images_ask_for(
    sized: MadeUpRoot, defect: dict[str, pl.Expr], figure: str
) -> None:
    sized.replace("raw_images" if any(name.startswith("stored") for name in defect) else "latents", **defect)
    found = sized.check(checks.sizes_complete, SHARD)
    assert not found.passed
    assert int(found.figures[figure]) >= 1, found.figures


def test_a_row_lost_is_missing_at_every_size(sized: MadeUpRoot) -> None:
    sized.put("latents", sized.read("latents", SHARD)[1:])
    assert sized.check(checks.sizes_complete, SHARD).figures["missing"] == 2


def put_sizes(store: MadeUpRoot, **changed: object) -> None:
    at = {"images": 200, "psnr_db": 25.0, "buckets": {"832x1216": 150, "512x2048": 50}, "ratio_error": 0.03}
    sizes = {"256": {"images": 200, "psnr_db": 22.5}, "1024": {**at, "in_small_buckets": 0, **changed}}
    table = pl.DataFrame({"image_id": made_up.ids(1), "psnr_db": [22.5]})
    store.put("latent_report", table, facts={"psnr_db": 22.5, "sizes": sizes})


def test_a_codec_that_blurs_one_size_alone(store: MadeUpRoot) -> None:
    put_sizes(store)
    assert store.check(checks.reconstruction, "all").passed
    put_sizes(store, psnr_db=15.0)
    found = store.check(checks.reconstruction, "all")
    assert not found.passed
    assert found.figures["psnr_db_1024"] == 15


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"in_small_buckets": 50}, "25% of the images of 1024 px are in buckets that fill no batch"),
        ({"ratio_error": 0.3}, "images of 1024 px are 0.300 from their buckets' ratio in the mean"),
        ({"images": 0, "buckets": {}}, "no image has a latent of 1024 px"),
    ],
)
def test_buckets_that_images_do_not_fill_or_fit(store: MadeUpRoot, changed: dict, said: str) -> None:
    put_sizes(store)
    assert store.check(checks.buckets_covered, "all").passed
    put_sizes(store, **changed)
    found = store.check(checks.buckets_covered, "all")
    assert not found.passed
    assert said in found.said
