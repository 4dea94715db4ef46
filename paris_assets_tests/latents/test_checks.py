"""Each check of the latents stage fails for its own defect, at the shipped bounds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.store import Store
from paris_assets.latents import checks
from paris_assets_tests import worlds
from paris_assets_tests.worlds import SHARD


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = worlds.flat_store(tmp_path)
    worlds.publishable(store)
    put_psnr(store, 22.5)
    assert checks.latents_sane(store, SHARD).passed
    assert checks.reconstruction(store, "all").passed
    return store


def put_psnr(store: Store, value: float) -> None:
    table = pl.DataFrame({"image_id": worlds.ids(1), "psnr_db": [value]})
    worlds.put(store, "latent_report", table, facts={"psnr_db": value})


@pytest.mark.parametrize("defect", ["nan", "unscaled", "twice_scaled", "shifted"])
def test_latents_that_are_no_latents(store: Store, defect: str) -> None:
    values = np.random.default_rng(0).standard_normal((24, 4, 32, 32)).astype(np.float16)
    if defect == "nan":
        values[3, 1, 2, 2] = np.nan
    else:
        values = {"unscaled": values / 0.18215, "twice_scaled": values * 0.18215, "shifted": values + 1}[defect]
    table = store.read("latents", SHARD).with_columns(pl.Series("latent_256", values.astype(np.float16)))
    worlds.put(store, "latents", table)
    assert not checks.latents_sane(store, SHARD).passed


def test_a_latent_lost_without_reason(store: Store) -> None:
    rows = store.read("latents", SHARD)[1:]
    worlds.put(store, "latents", rows, rejects={"smaller_than_latent": 1})
    assert checks.latents_sane(store, SHARD).passed
    worlds.put(store, "latents", rows)
    assert not checks.latents_sane(store, SHARD).passed


def test_a_codec_that_blurs_everything(store: Store) -> None:
    put_psnr(store, 15.0)
    assert not checks.reconstruction(store, "all").passed


@pytest.mark.parametrize(("defect", "figure"), [("unknown", "unknown"), ("twice", "repeated")])
def test_latents_of_other_images(store: Store, defect: str, figure: str) -> None:
    names = {"unknown": [f"{number:032x}" for number in range(24)], "twice": [*worlds.ids(24)[:-1], worlds.ids(24)[0]]}
    rows = store.read("latents", SHARD).with_columns(pl.Series("image_id", names[defect]))
    worlds.put(store, "latents", rows)
    found = checks.latents_sane(store, SHARD)
    assert not found.passed
    assert found.figures[figure] == {"unknown": 24, "twice": 1}[defect]


def test_a_null_is_legal_at_further_resolutions_only(store: Store) -> None:
    known = pl.int_range(pl.len()) % 2 == 0
    worlds.replace(store, "latents", latent_512=pl.when(known).then("latent_256"))
    assert checks.latents_sane(store, SHARD).passed
    worlds.replace(store, "latents", latent_256=pl.when(known).then("latent_256"))
    found = checks.latents_sane(store, SHARD)
    assert not found.passed
    assert found.figures["not_finite"] == 12
