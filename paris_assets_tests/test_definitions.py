"""Loading the definitions: when Dagster asks, quickly, and without looking at what the root holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from paris_assets.definitions import open_catalog
from paris_assets.errors import UsageError
from paris_assets.ingest.sources import register
from paris_assets.planning.registration import bind
from paris_assets.runs.execution import open_instance
from paris_assets_tests.fixtures import small_world

PROJECT = Path(__file__).parents[1]
SHARDS = 10_000
LIBRARIES = "dagster, dagster._core.storage.event_log, dagster._daemon, polars, pyarrow.parquet, rich.console"
MAX_RATIO = 1.2  # of our processor time to that of loading the libraries: .86 to .98 were seen
HEAVY = (
    "torch",
    "transformers",
    "diffusers",
    "faiss",
    "onnxruntime",
    "ray",
    "sklearn",
    "matplotlib",
    "scipy",
    "cv2",
    "pandas",
)
LOAD = f"""
import sys, time
import {LIBRARIES}
libraries, opened = time.process_time(), []
def note(event, arguments):
    if event == "open" and str(arguments[0]).startswith({{root!r}}):
        opened.append(str(arguments[0])[len({{root!r}}) + 1:])
sys.addaudithook(note)
from paris_assets.definitions import defs
assert isinstance(defs, dagster.Definitions)
assets = len(defs.resolve_all_asset_keys())
heavy = [name for name in {HEAVY!r} if name in sys.modules]
ratio = time.process_time() / libraries - 1
import json
print(json.dumps(dict(assets=assets, heavy=heavy, opened=sorted(set(opened)), ratio=ratio)))
"""


def python(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PARIS_ROOT": str(root), "PYTHONPATH": str(PROJECT)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def large_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with 10,000 registered shards of one row, which its Dagster instance knows."""
    folder = tmp_path_factory.mktemp("large")
    urls = [f"http://{small_world.HOST}/{number}.jpg" for number in range(SHARDS)]
    pl.DataFrame({"URL": urls, "TEXT": ["a picture"] * SHARDS}).write_parquet(folder / "list.parquet")
    root = folder / "root"
    catalog = open_catalog(str(root), small_world.profile(folder / "list.parquet", source__rows_per_shard=1))
    bind(catalog, register(catalog.profile.source, None, catalog.location), Console(quiet=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")
        with open_instance(catalog.location) as instance:
            instance.add_dynamic_partitions("image_shards", catalog.shards())
    return root


@pytest.fixture
def empty_root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.mark.parametrize("name", ["empty_root", pytest.param("large_root", marks=pytest.mark.slow)])
def test_definitions_load_quickly_and_light(name: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(name)
    ratios = []
    for _ in range(3):
        run = python(LOAD.format(root=str(root)), root)
        assert run.returncode == 0, run.stderr
        found = json.loads(run.stdout)
        assert found["assets"] >= 20
        assert found["heavy"] == []
        assert set(found["opened"]) <= {"profile.yaml"}, "loading must not depend on how much the root holds"
        ratios.append(found["ratio"])
        if min(ratios) < MAX_RATIO:
            return
    raise AssertionError(f"loading takes {min(ratios):.2f} times the processor time of loading the libraries")


def test_ten_thousand_shards_are_partitions(large_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    catalog = open_catalog(str(large_root))
    with open_instance(catalog.location) as instance:
        assert instance.get_dynamic_partitions("image_shards") == catalog.shards()
        with pytest.raises(
            UsageError, match=r"mine: no image shard of this root\..*: add files to the source, then start"
        ):
            instance.add_dynamic_partitions("image_shards", ["mine", "00001"])
        assert instance.get_dynamic_partitions("image_shards") == catalog.shards()
    assert len(catalog.shards()) == SHARDS


@pytest.mark.slow
def test_a_broken_root_disturbs_only_who_asks_for_it(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "profile.yaml").write_text("clusters: {k: many}\n")
    elsewhere = python(
        "import sys; from paris_assets.cli import main; "
        f"sys.exit(main(['inspect', 'row:0', '--root', {str(tmp_path / 'elsewhere')!r}]))",
        broken,
    )
    assert elsewhere.returncode == 2
    assert "there is no run under" in elsewhere.stderr
    assert "clusters.k" not in elsewhere.stderr
    asked = python("from paris_assets.definitions import defs", broken)
    assert asked.returncode != 0
    assert f"{broken}/profile.yaml" in asked.stderr
    assert "clusters.k" in asked.stderr


@pytest.mark.slow
def test_dagster_finds_the_definitions_where_they_are_made_on_demand(tmp_path: Path) -> None:
    code = """
import inspect, paris_assets.definitions as wiring
assert "defs" not in vars(wiring)
found = [name for name, value in inspect.getmembers(wiring) if type(value).__name__ == "Definitions"]
assert found == ["defs"], found
assert wiring.defs is wiring.defs
try:
    wiring.absent
except AttributeError as error:
    print(error)
"""
    run = python(code, tmp_path / "root")
    assert run.returncode == 0, run.stderr
    assert "no attribute 'absent'" in run.stdout
    assert not (tmp_path / "root").exists(), "loading writes nothing"


@pytest.mark.slow
def test_definitions_validate(large_root: Path) -> None:
    command = [str(Path(sys.executable).parent / "dagster"), "definitions", "validate", "-w", "workspace.yaml"]
    environment = {**os.environ, "PARIS_ROOT": str(large_root), "DAGSTER_HOME": str(large_root / ".dagster")}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=PROJECT)
    assert run.returncode == 0, run.stderr
