"""The signal, filter rule and embedder of docs/extending.md, as they stand there, by the real command."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from paris_assets.dag.tables import Tables
from paris_assets.definitions import open_catalog
from paris_assets.images.decode import decode_rgb
from paris_assets.images.file import ImageFile
from paris_assets.runs.inspect import print_history
from paris_assets_tests.fixtures import small_world

pytestmark = [pytest.mark.long, pytest.mark.extended]

PROJECT = Path(__file__).parents[1]
PAGE = (PROJECT / "docs" / "extending.md").read_text()
OWN = {"my_signals.py": ("Saturation", "Comments"), "my_rules.py": ("Banner",), "my_embedder.py": ("Tiny",)}
CHEAP = [
    "source.rows_per_shard",
    "captions.captioner",
    "text.encoder",
    "text.tokens",
    "clusters.k",
    "clusters.restarts",
    "clusters.stability_seeds",
    "latents.codec",
    "latents.resolutions",
    "latents.report_images",
    "experts.validation_fraction",
    "checks.min_psnr_db",
]
ROWS = range(40)
BANNERS = [number for number in ROWS if number % 20 == 13]
OF_THE_RULE = {"filtered_images"}


@dataclass
class Place:
    """A folder with the user's code, and a command line in it."""

    folder: Path
    settings: str

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def call(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = {"PARIS_SET": self.settings, "PYTHONPATH": str(PROJECT), "DAGSTER_HOME": str(self.root / ".dagster")}
        environment = {**os.environ, **own, "PARIS_ROOT": str(self.root), "COLUMNS": "200"}
        program = Path(sys.executable).parent / command  # not `python -m`, which would search the current folder
        return subprocess.run(
            [program, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300
        )


def blocks() -> dict[str, str]:
    """File name -> text of the page's code blocks that begin with one."""
    found = re.findall(r"```(?:python|yaml)\n(# ([\w.]+):.*?)```", PAGE, re.DOTALL)
    return {name: text for text, name in found}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished run of the page's code on small pictures, by two workers."""
    folder = tmp_path_factory.mktemp("user")
    for name, text in blocks().items():
        (folder / name).write_text(text)
    source = small_world.embedded(folder / "my_list.parquet", len(ROWS))
    cheap = small_world.profile(source)
    place = Place(folder, small_world.paris_set(cheap, CHEAP))
    run = place.call("paris", "run", "--profile", "my_profile.yaml", "--source", "my_list.parquet", "--workers", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"filtered_images .*banner 2\b", run.stderr), run.stderr
    return place


def tables(place: Place, asset: str) -> pl.DataFrame:
    return pl.read_parquet(sorted((place.root / asset).glob("*.parquet")))


def manifest(place: Place) -> dict:
    return json.loads((place.root / "pipeline_manifest.json").read_text())


def test_examples_are_short() -> None:
    assert set(blocks()) == {*OWN, "my_profile.yaml"}
    for text in blocks().values():
        assert sum(bool(line.strip()) for line in text.splitlines()) <= 15


def test_a_signal_adds_its_column(place: Place) -> None:
    measured = {row: data for row, (_, data, _) in enumerate(small_world.rows(len(ROWS))) if data}
    ledger = tables(place, "raw_images").filter(pl.col("status") == "ok").select("image_id", "source_row")
    signals = tables(place, "image_signals").join(ledger, on="image_id")
    assert signals.height > 30
    for row, saturation in signals.select("source_row", "saturation").rows():
        rgb = decode_rgb(measured[row]).astype(int)
        assert saturation == pytest.approx((rgb.max(2) - rgb.min(2)).mean(), abs=1e-9)


def test_a_signal_on_bytes_adds_its_column(place: Place) -> None:
    assert set(tables(place, "image_signals")["comments"].drop_nulls()) == {0}
    with_comment = b"\xff\xd8\xff\xfe\0\5abc" + small_world.rows(1)[0][1][2:]  # type: ignore[index]
    scope: dict[str, Any] = {}
    exec(blocks()["my_signals.py"], scope)
    assert scope["Comments"]().measure([ImageFile(with_comment)]) == {"comments": [1]}


def test_a_rule_rejects_with_its_name_and_what_it_saw(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = tables(place, "raw_images").filter(pl.col("status") == "ok").select("image_id", "source_row")
    seen = tables(place, "filtered_images").join(ledger, on="image_id")
    rejected = seen.filter(pl.col("reason") == "banner").sort("source_row")
    assert rejected.select("source_row", "value").rows() == [(row, 6.0) for row in BANNERS]
    assert manifest(place)["counts"]["filtered_images"]["rejects"] == {"banner": 2}
    assert print_history(Tables(open_catalog(str(place.root))), rejected["image_id"][0]) == 0
    assert "=> rejected by rule banner: my_rules:Banner saw 6\n" in capsys.readouterr().out


def test_the_embedders_width_goes_through_to_the_router(place: Place) -> None:
    assert tables(place, "image_embeddings").schema["embedding"] == pl.Array(pl.Float16, 48)
    assert np.load(place.root / "router_training/embeddings.npy").shape[1] == 48
    assert manifest(place)["models"]["embedder"]["implementation"] == "my_embedder:Tiny"


def test_the_manifest_holds_the_version_of_each_class(place: Place) -> None:
    expected = {
        f"{file.removesuffix('.py')}:{name}": hashlib.sha256((place.folder / file).read_bytes()).hexdigest()
        for file, names in OWN.items()
        for name in names
    }
    code = manifest(place)["code"]
    assert {path: version for path, version in code.items() if path.startswith("my_")} == expected


def test_changed_code_makes_again_what_it_made_alone(place: Place) -> None:
    rules = place.folder / "my_rules.py"
    rules.write_text(rules.read_text().replace('images["aspect"] <=', 'images["aspect"] / 3 <='))
    planned = place.call("paris", "run", "--dry-run")
    assert set(re.findall(r"^  (\w+): 00000", planned.stderr, re.MULTILINE)) == OF_THE_RULE, planned.stderr
    by_hand = ["asset", "materialize", "--select", "filtered_images", "--partition", "00000"]
    made = place.call("dagster", *by_hand, "-m", "paris_assets.definitions")
    assert made.returncode == 0, made.stderr[-2000:]
    assert tables(place, "filtered_images")["reason"].drop_nulls().to_list().count("banner") == 1


def test_absent_code_is_named_before_any_work(place: Place, tmp_path: Path) -> None:
    for name in ("my_profile.yaml", "my_signals.py", "my_embedder.py"):
        (tmp_path / name).write_text(blocks()[name])
    elsewhere, source = Place(tmp_path, place.settings), place.folder / "my_list.parquet"
    asked = elsewhere.call("paris", "run", "--profile", "my_profile.yaml", "--source", str(source))
    assert asked.returncode == 2
    assert "curation.signal_rules: rule 'banner'" in asked.stderr
    assert "No module named 'my_rules'; run from the folder that holds it" in asked.stderr
    assert not elsewhere.root.exists()
