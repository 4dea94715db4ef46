"""One finished run on a part of the sample, shared by the tests of this folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from paris_assets.config import Profile
from paris_assets.profiles import load_profile
from paris_assets.runs.command import run_command
from paris_assets.runs.run import Request
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.runs.chains import Undisturbed

PROJECT = Path(__file__).parents[2]
SAMPLE = PROJECT / "data" / "sample"
PLAIN_PHOTOS = 29


Shared = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def source(shared: Shared) -> Path:
    """Every row of the sample that is out of the ordinary, and some plain photos, in the sample's order."""

    def make(path: Path) -> None:
        rows = pl.read_parquet(SAMPLE / "photos.parquet").with_row_index()
        photos = [f"http://photos.example/images/{photo.name}" for photo in (SAMPLE / "images").iterdir()]
        flaky = [f"http://photos.example{path}" for path in json.loads((SAMPLE / "server.json").read_text())]
        plain = pl.col("URL").is_in(photos) & ~pl.col("URL").is_in(flaky)
        chosen = pl.concat([rows.filter(plain)[:PLAIN_PHOTOS], rows.filter(~plain)]).sort("index").drop("index")
        chosen.write_parquet(path)

    return shared("photos.parquet", make)


def settings(source: Path, **overrides: Any) -> Profile:
    """The demo's settings on the part of the sample."""
    small = {
        "source.path": str(source),
        "source.rows_per_shard": 40,
        "ingest.serve": str(SAMPLE),
        "ingest.timeout_s": 1.0,
        "ingest.retries": 2,  # a loaded machine lets an attempt time out
        "clusters.k": 4,
        "probe": None,
        "clusters.stability_seeds": 2,
        "latents.report_images": 4,
        "experts.validation_fraction": 0.2,
    }
    return load_profile("demo", {**small, **{key.replace("__", "."): value for key, value in overrides.items()}})


@pytest.fixture(scope="session")
def finished(source: Path, shared: Shared) -> Path:
    """The root of a finished run; tests that change it copy it first."""

    def make(root: Path) -> None:
        assert run_command(settings(source), str(root), Request(), dry_run=False) == 0

    return shared("finished", make)


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished root, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "root"))


@pytest.fixture(scope="session")
def small_source(shared: Shared) -> Path:
    """60 rows of the small world, three shards."""

    def make(path: Path) -> None:
        small_world.embedded(path, 60)

    return shared("list.parquet", make)


@pytest.fixture(scope="session")
def small_finished(small_source: Path, shared: Shared) -> Path:
    """A finished root of the small world that Dagster knows nothing of; tests that change it copy it first."""

    def make(root: Path) -> None:
        direct.bring_up_to_date(small_world.profile(small_source), root)

    return shared("small", make)


@pytest.fixture(scope="module")
def undisturbed(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run to compare killed ones with."""
    return Undisturbed(shared("killed", Undisturbed.make), tmp_path_factory.mktemp("logs"))
