"""`deploy/ray/up.py`: one command brings up Ray, PostgreSQL, a store, webserver and daemon, and ends all of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ray.job_submission import JobSubmissionClient

from paris_assets.profiles import dump_profile
from paris_assets_tests.deploy.instance import DEPLOY
from paris_assets_tests.fixtures import small_world
from paris_assets_tests.fixtures.ray_cluster import ENVIRONMENT, free_port, postgres_programs
from paris_assets_tests.runs.user_interface import UserInterface, until

COMMAND = DEPLOY / "ray/up.py"
# By other ports, and with a folder that the user of the database may enter.
ELSEWHERE = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("up", sys.argv[1])
up = importlib.util.module_from_spec(spec)
spec.loader.exec_module(up)
up.HOME = pathlib.Path(sys.argv[2])
up.POSTGRES_PORT, up.STORE_PORT, up.RAY_PORT, up.JOBS_PORT = map(int, sys.argv[3].split(","))
del sys.argv[1:4]
sys.exit(up.main())
"""
COMES_UP_S = 900  # a busy machine; what waits goes on as soon as it is there


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="up-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def command(folder: Path, ports: list[int], *arguments: str) -> list[str]:
    return [sys.executable, "-c", ELSEWHERE, str(COMMAND), str(folder), ",".join(map(str, ports)), *arguments]


@pytest.mark.extended
@pytest.mark.long
def test_one_command_starts_all_of_it_and_ends_it(folder: Path, tmp_path: Path) -> None:
    if postgres_programs() is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    source = small_world.embedded(tmp_path / "list.parquet", 20)
    settings = tmp_path / "small.yaml"
    settings.write_text(dump_profile(small_world.profile(source)))
    ports, port = [free_port() for _ in range(4)], free_port()
    given = {**os.environ, **ENVIRONMENT, "PARIS_ROOT": str(tmp_path / "root")}
    running = subprocess.Popen(
        command(folder, ports, "--port", str(port), "--profile", str(settings)), env=given, stdout=subprocess.PIPE
    )
    try:
        ui = UserInterface(f"http://127.0.0.1:{port}")
        until(lambda: ui.answers() or running.poll() is not None, COMES_UP_S, "the UI")
        run = ui.launch(["raw_images"], "00000")
        assert (ui.finished(run, COMES_UP_S), ui.why(run)) == ("SUCCESS", "")
        jobs = JobSubmissionClient(f"http://127.0.0.1:{ports[-1]}")
        # The job ends after the run that it tells Dagster of.
        until(lambda: jobs.get_job_status(f"dagster-run-{run}").is_terminal(), COMES_UP_S, "the end of the job")
        assert str(jobs.get_job_status(f"dagster-run-{run}")) == "SUCCEEDED"
        assert (tmp_path / "root/raw_images/00000.parquet").exists()
    finally:
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=300)
    assert running.returncode == 130
    assert f"http://127.0.0.1:{port} shows {tmp_path}/root".encode() in said
    assert [each for each in (*ports, port) if listens(each)] == []


def test_what_is_missing_is_said_before_anything_is_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name in ("PARIS_POSTGRES_URL", "PARIS_COORDINATOR", "RAY_API_SERVER_ADDRESS"):
            monkeypatch.setenv(name, "given")
        monkeypatch.delenv("LOGS_BUCKET", raising=False)
        monkeypatch.setenv("PARIS_ROOT", "s3://bucket/runs")
        for ui, said in (
            (port, f"the UI would be at port {port}"),
            (free_port(), "export LOGS_BUCKET, the name of one"),
        ):
            ran = subprocess.run(
                command(folder, [port] * 4, "--port", str(ui)), capture_output=True, text=True, timeout=120
            )
            assert (ran.returncode, ran.stdout) == (2, "")
            assert ran.stderr.startswith("up.py: ")
            assert said in ran.stderr
            assert ran.stderr.count("\n") == 1


def test_a_program_that_is_not_there_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("up", COMMAND)
    assert spec is not None
    assert spec.loader is not None
    up = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(up)
    monkeypatch.setattr(up, "HOME", folder)
    said = f"ray cannot be started .*{folder}/bin/ray.*: install what docs/cluster.md names into {sys.prefix}"
    with pytest.raises(up.CannotStart, match=said), up._running("ray", [f"{folder}/bin/ray"], {}, free_port()):
        pass


def test_the_ports_that_are_opened_are_of_services_that_are_there() -> None:
    opened = yaml.safe_load((DEPLOY / "ray/ports.yaml").read_text())["services"]
    there = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())["services"]
    assert set(opened) <= set(there)
    ports = [port for service in opened.values() for port in service["ports"]]
    assert ports == ["127.0.0.1:5432:5432", "127.0.0.1:9000:9000"]
