"""`paris run --ray` on a cluster of several nodes: the bytes of a run on this machine, also when a node dies."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import boto3
import pytest

from paris_assets.config import Profile
from paris_assets.dag import run_tags
from paris_assets.dag.s3 import open_location
from paris_assets.errors import UsageError
from paris_assets.runs.command import run_command
from paris_assets.runs.execution import open_instance
from paris_assets.runs.postgres import POSTGRES
from paris_assets.runs.run import Request
from paris_assets.storage import s3
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.ray_cluster import PROJECT, RayCluster, postgres, postgres_programs, ray_cluster

pytestmark = [pytest.mark.extended, pytest.mark.long]
STAYS, DIES, DIFFERS = "127.0.0.2", "127.0.0.3", "127.0.0.4"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        started.add(STAYS)
        started.add(DIES)
        yield started


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    source = small_world.embedded(tmp_path_factory.mktemp("source") / "list.parquet", 60)
    return small_world.profile(source, source__rows_per_shard=12, clusters__k=2, ray__cpus=1)


@pytest.fixture(scope="module")
def expected(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("expected") / "root"
    direct.bring_up_to_date(profile, root)
    return small_world.contents(root)


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    with postgres(programs) as url:
        monkeypatch.setenv(POSTGRES, url)
        yield url


def objects(url: str) -> dict[str, str]:
    """sha256 of every object below a URL but Dagster's own."""
    bucket, prefix = s3.split_url(url)
    client = boto3.client("s3")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    bodies = {key.removeprefix(f"{prefix}/"): client.get_object(Bucket=bucket, Key=key) for key in keys}
    return {
        path: sha256(found["Body"].read()).hexdigest()
        for path, found in bodies.items()
        if not path.startswith(".dagster/")
    }


def hosts_of(url: str) -> dict[str, set[str]]:
    """Shard -> assets that Dagster knows of, by the runs of the root."""
    with open_instance(open_location(url)) as instance:
        runs = [run for run in instance.get_runs() if run_tags.of_paris_run(run)]
        assert all(run.is_finished for run in runs)
        made: dict[str, set[str]] = {}
        for run in runs:
            shard = run.tags.get(run_tags.PARTITION, "all")
            for event in instance.all_logs(run.run_id):
                if event.dagster_event is not None and event.dagster_event.is_step_materialization:
                    made.setdefault(shard, set()).add(event.dagster_event.step_key or "")
    return made


def test_one_machine_needs_no_database(
    cluster: RayCluster,
    profile: Profile,
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    root = tmp_path / "root"
    assert run_command(profile, str(root), Request(ray="auto"), dry_run=False, log_file=str(tmp_path / "log")) == 0
    assert small_world.contents(root) == expected
    said = (tmp_path / "log").read_text()
    assert {f"shard {number:05d}" for number in range(5)} <= set(re.findall(r"shard \d{5}", said))
    made = hosts_of(str(root))
    assert {f"{number:05d}" for number in range(5)} | {"all"} == set(made)
    assert {"raw_images", "captions", "latents"} <= made["00003"]
    assert run_command(profile, str(root), Request(ray="auto"), dry_run=False) == 0
    assert "nothing to do" in capfd.readouterr().err


def test_a_node_with_other_code_is_refused_before_work(
    cluster: RayCluster, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # nodes look into the folder of the command, too
    shutil.copytree(PROJECT / "paris_assets", tmp_path / "other" / "paris_assets")
    with open(tmp_path / "other" / "paris_assets" / "errors.py", "a") as file:
        file.write("# changed\n")
    cluster.add(DIFFERS, PYTHONPATH=str(tmp_path / "other"))
    try:
        with pytest.raises(UsageError, match=f"node {DIFFERS}: it has another version of paris_assets than this"):
            run_command(profile, str(tmp_path / "root"), Request(ray=cluster.address), dry_run=False)
    finally:
        cluster.kill(DIFFERS)
    assert not (tmp_path / "root" / "shards.parquet").exists()


def test_a_killed_node_costs_a_retry_and_no_byte(
    cluster: RayCluster,
    profile: Profile,
    expected: dict[str, str],
    s3_url: str,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    url, log = f"{s3_url}/on-ray", tmp_path / "log"

    def kill_when_at_work() -> None:
        while not (log.exists() and "shard 0000" in log.read_text()):
            time.sleep(0.5)
        cluster.kill(DIES)
        killed.set()

    killed = threading.Event()
    threading.Thread(target=kill_when_at_work, daemon=True).start()
    status = run_command(profile, url, Request(ray=cluster.address), dry_run=False, log_file=str(log))
    assert killed.is_set()
    assert (status, objects(url)) == (0, expected)
    assert "failed " not in log.read_text()
    assert {f"{number:05d}" for number in range(5)} | {"all"} == set(hosts_of(url))
    homes = [path for path in tmp_path.rglob("*.db") if os.path.getsize(path)]
    assert homes == []  # all of it is in the database
