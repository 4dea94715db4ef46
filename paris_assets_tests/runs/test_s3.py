"""Whole runs on an S3 server behind a network that fails and whose listings lie: the bytes of a local run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.retries.standard import ExponentialBackoff

from paris_assets.cli import main
from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.dag.s3 import open_location
from paris_assets.dag.tables import Tables
from paris_assets.definitions import build_definitions, open_catalog
from paris_assets.runs.command import run_command
from paris_assets.runs.execution import dagster_home, open_instance
from paris_assets.runs.run import Request
from paris_assets.storage import s3
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.brief import brief_report
from paris_assets_tests.storage.faulty_proxy import Fault, FaultyProxy
from paris_assets_tests.storage.faulty_proxy import Request as Sent

pytestmark = [pytest.mark.long, pytest.mark.slow]

PARTITIONS = sum(2 if node.partitioned else 1 for node in direct.GRAPH.values())
LOST = ("analysis/cluster_report.json", "expert_shards/cluster_0/00001-00000.tar", "captions/00000.parquet")
STALE = "expert_shards/cluster_9/00000-00000.tar"
SECRET = b"never-to-be-written"


@dataclass
class World:
    """A finished run on the server, and what it took."""

    url: str
    profile: Profile
    proxy: FaultyProxy
    files: dict[str, str]
    local: dict[str, str]
    failed: list[Sent]


def failing(failed: list[Sent]) -> Any:
    """Every 13th request fails, each time in another way, and listings are always empty."""
    kinds = [Fault(503), Fault(500, "InternalError"), Fault(cut_answer=True), Fault(lose_answer=True)]

    def judge(request: Sent) -> Fault | None:
        if request.listing:
            return Fault(hide=True)
        if request.number % 13:
            return None
        failed.append(request)
        return Fault(delay_s=1.5) if len(failed) == 40 else kinds[len(failed) % len(kinds)]

    return judge


@pytest.fixture(scope="module")
def world(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("s3")
    proxy, failed, url = FaultyProxy(os.environ["AWS_ENDPOINT_URL"]), list[Sent](), f"{s3_url}/a prefix/of+all"
    source = small_world.embedded(folder / "list.parquet", 24)
    profile = small_world.profile(source, source__rows_per_shard=12, clusters__k=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET.decode())
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.02)
        patch.setattr(s3, "PAUSE_S", 0.02)
        patch.setattr(s3, "READ_TIMEOUT_S", 1)
        patch.setattr(reported, "write_report", chatty_report)
        direct.bring_up_to_date(profile, folder / "local")
        proxy.judge = failing(failed)
        direct.bring_up_to_date(profile, url)
        root = open_location(url)
        for path in LOST:
            root.delete(path)
        root.put_bytes(b"stale", STALE)
        assert run_command(profile, url, Request(), dry_run=False) == 0
        proxy.judge = lambda request: None
        files = objects(url)
        root.delete(STALE)
        yield World(url, profile, proxy, files, small_world.contents(folder / "local"), failed)
    proxy.close()


def chatty_report(*arguments: Any) -> list[str]:
    print("drawing the report", flush=True)
    return brief_report(*arguments)


def objects(url: str) -> dict[str, str]:
    """sha256 of every object below a URL."""
    bucket, prefix = s3.split_url(url)
    client = boto3.client("s3")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    bodies = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    return {key.removeprefix(f"{prefix}/"): sha256(body).hexdigest() for key, body in bodies.items()}


def test_the_bytes_are_those_of_a_local_run(world: World) -> None:
    """Made in part without Dagster, which is slow; what was lost then, and what follows from it, by `paris run`."""
    results = {path: digest for path, digest in world.files.items() if not path.startswith(".dagster/")}
    assert results.pop(STALE), "no listing showed it, so nothing deleted it; the manifest does not name it"
    assert results == world.local
    assert {request.method for request in world.failed} >= {"GET", "HEAD", "PUT"}
    assert len(world.failed) > 50


def test_logs_of_every_run_lie_beside_the_results(world: World) -> None:
    root = open_location(world.url)
    logs = [path for path in world.files if path.startswith(".dagster/")]
    with open_instance(root) as instance:
        assert type(instance.compute_log_manager).__name__ == "StepOutputOnS3"
        assert {path.split("/")[2] for path in logs} == {run.run_id for run in instance.get_runs()}
    assert all(re.fullmatch(r"\.dagster/storage/[0-9a-f-]+/compute_logs/\w+\.(err|out)", path) for path in logs)
    printed = [path for path in logs if path.endswith(".out") and b"drawing the report" in root.read(path)]
    assert len(printed) == 1


def test_nothing_is_left_on_this_machine(world: World) -> None:
    assert [path for path in Path(f"paris_assets-{os.getuid()}").iterdir() if not path.name.startswith("lock-")] == []


def test_no_credential_is_written_anywhere(world: World) -> None:
    home = dagster_home(world.url, remote=True)
    kept = [path for path in [*home.rglob("*"), *Path.cwd().glob("local/**/*")] if path.is_file()]
    assert any(path.name == "dagster.yaml" for path in kept)
    for path in kept:
        assert SECRET not in path.read_bytes(), path
    bucket, prefix = s3.split_url(world.url)
    for path in world.files.keys() - {STALE}:
        body = boto3.client("s3").get_object(Bucket=bucket, Key=f"{prefix}/{path}")["Body"].read()
        assert SECRET not in body, path
    settings = yaml.safe_load((home / "dagster.yaml").read_text())["compute_logs"]
    assert settings["config"]["endpoint_url"] == {"env": "AWS_ENDPOINT_URL"}


def test_the_code_location_shows_names_of_variables_only(world: World) -> None:
    definitions = build_definitions(open_catalog(world.url))
    shown = repr(definitions.resources) + repr(definitions.get_repository_def().get_top_level_resources())
    assert SECRET.decode() not in shown
    assert definitions.resources is not None
    assert type(definitions.resources["s3"]).__name__ == "S3Resource"


@pytest.mark.slow
def test_a_finished_root_is_planned_in_few_requests(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(world.profile, world.url, Request(), dry_run=False) == 0  # tells Dagster what other tests made
    before = len(world.proxy.requests)
    assert run_command(world.profile, world.url, Request(), dry_run=False) == 0
    assert "nothing to do" in capfd.readouterr().err
    sent = world.proxy.requests[before:]
    assert len(sent) < 8 * PARTITIONS
    assert {request.path.rpartition("/")[2] for request in sent if request.method == "PUT"} == {"run.lock"}
    assert not any(request.listing for request in sent)


@pytest.mark.parametrize("command", ["doctor", "inspect", pytest.param("verify", marks=pytest.mark.slow)])
def test_every_command_takes_the_url(world: World, capsys: pytest.CaptureFixture[str], command: str) -> None:
    image = Tables(open_catalog(world.url)).read("curated_images", "00000")["image_id"][0]
    arguments = {"inspect": [image, "--root", world.url], "doctor": ["--root", world.url]}
    status = main([command, *arguments.get(command, [f"{world.url}/pipeline_manifest.json"])])
    said = capsys.readouterr()
    assert status == 0, said
    assert said.err == ""


def test_dagster_opens_the_root_in_another_process(world: World) -> None:
    code = "from paris_assets.definitions import defs; print(len(defs.resolve_all_asset_keys()))"
    environment = {**os.environ, "PARIS_ROOT": world.url, "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, str(len(direct.GRAPH))), run.stderr
