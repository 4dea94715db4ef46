"""The wheel, in environments that hold nothing else, away from the checkout."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from paris_assets_tests import environments
from paris_assets_tests.runs.user_interface import LOCATION, UserInterface, until

PROJECT = environments.PROJECT
MAX_BYTES = 32_000_000  # 8 MB of photos, 8 MB of the pool over them, 13 MB of weights
LOADED = """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  ... on PythonError { message } ... on RepositoryLocation { repositories { assetNodes { id } } } } } } } }"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return environments.build_wheel(tmp_path_factory.mktemp("wheel"))


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command of the environment, in a folder of the user's."""
    return subprocess.run([python, *arguments], cwd=cwd, env=_variables(), capture_output=True, text=True, check=False)


def _variables() -> dict[str, str]:
    ours = ("PYTHON", "PARIS_", "DAGSTER_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "DAGSTER_DISABLE_TELEMETRY": "1"}


def test_the_wheel_holds_the_package_and_the_sample_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {info.filename: info.CRC for info in archive.infolist()}
    folders = {"paris_assets": "paris_assets", "paris_assets/sample": "data/sample"}
    wanted = {
        f"{target}/{path.relative_to(PROJECT / folder)}": zlib.crc32(path.read_bytes())
        for target, folder in folders.items()
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name: crc for name, crc in held.items() if ".dist-info/" not in name} == wanted
    assert "paris_assets/py.typed" in held
    assert wheel.stat().st_size < MAX_BYTES


@pytest.mark.slow
def test_a_finished_root_is_read_without_networks_and_making_one_says_what_to_install(
    wheel: Path, published: Path, tmp_path: Path
) -> None:
    python = environments.environment(tmp_path / "environment", wheel)
    paris = str(tmp_path / "environment" / "bin" / "paris")
    assert run(python, "-c", "import torch", cwd=tmp_path).returncode == 1
    readers = "import paris_assets.definitions as wiring; import paris_assets.images.tars; wiring.defs"
    imports = run(python, "-c", readers, cwd=tmp_path)
    assert imports.returncode == 0, imports.stderr
    verified = run(python, paris, "verify", str(published / "pipeline_manifest.json"), cwd=tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    refused = run(python, paris, "run", "--root", "mine", cwd=tmp_path)
    assert refused.returncode == 2
    assert "torch" in refused.stderr
    assert "pip install 'paris_assets[run]'" in refused.stderr
    assert not (tmp_path / "mine").exists()
    examined = run(python, paris, "doctor", cwd=tmp_path)
    assert examined.returncode == 1
    assert "pip install 'paris_assets[run]'" in examined.stdout


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of an environment that can run the demo."""
    return environments.environment(tmp_path_factory.mktemp("environment"), wheel, ["run", "offline"])


@pytest.fixture(scope="module")
def demo(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the user's in which `paris run --profile demo` has run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = run(python, str(python.parent / "paris"), "run", "--profile", "demo", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.wheel
def test_the_demo_runs_in_any_folder_and_names_no_place_of_this_machine(python: Path, demo: Path) -> None:
    where = run(python, "-c", "import paris_assets; print(paris_assets.__file__)", cwd=demo).stdout
    assert Path(where).is_relative_to(python.parents[1])
    verified = run(python, str(python.parent / "paris"), "verify", "data/runs/demo/pipeline_manifest.json", cwd=demo)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    inspected = run(python, str(python.parent / "paris"), "inspect", "row:3", cwd=demo)
    assert inspected.returncode == 0, inspected.stdout + inspected.stderr
    root = demo / "data" / "runs" / "demo"
    assert "path: sample:photos.parquet" in (root / "profile.yaml").read_text()
    places = [str(place).encode() for place in (PROJECT, python.parents[1], demo)]
    files = [path for path in root.rglob("*") if path.is_file() and ".dagster" not in path.parts]
    assert [str(path) for path in files if any(place in path.read_bytes() for place in places)] == []


@pytest.mark.wheel
def test_dagster_validates_the_definitions_elsewhere(python: Path, demo: Path) -> None:
    done = run(python, "-m", "dagster", "definitions", "validate", "-m", "paris_assets.definitions", cwd=demo)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.wheel
@pytest.mark.parametrize("command", ["paris dev", "dagster dev -m paris_assets.definitions"])
def test_the_user_interface_opens_elsewhere(python: Path, demo: Path, command: str) -> None:
    program, *rest = command.split()
    started = [str(python.parent / "paris")] if program == "paris" else ["-m", "dagster"]
    with opened([str(python), *started, *rest], demo) as found:
        (location,) = found.ask(LOADED)["workspaceOrError"]["locationEntries"]
    assert location["name"] == LOCATION
    assert "message" not in location["locationOrLoadError"], location
    (repository,) = location["locationOrLoadError"]["repositories"]
    assert len(repository["assetNodes"]) > 15


@contextmanager
def opened(command: list[str], folder: Path) -> Iterator[UserInterface]:
    """A command that serves Dagster's pages, in a folder of the user's, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(folder / "said.log", "wb") as said:
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            env=_variables(),
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    found = UserInterface(f"http://127.0.0.1:{port}")
    try:
        until(lambda: server.poll() is None and found.answers(), 180, f"{' '.join(command)} to answer")
        yield found
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=60)
