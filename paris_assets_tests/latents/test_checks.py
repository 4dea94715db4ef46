"""Each check of the latents stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.latents import checks
from paris_assets_tests.fixtures import made_up
from paris_assets_tests.fixtures.made_up import SHARD, MadeUpRoot


@pytest.fixture
def store(tmp_path: Path) -> MadeUpRoot:
    store = made_up.flat_root(tmp_path)
    made_up.publishable(store)
    put_psnr(store, 22.5)
    assert store.check(checks.latents_sane, SHARD).passed
    assert store.check(checks.reconstruction, "all").passed
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
