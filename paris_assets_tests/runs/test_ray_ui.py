"""Dagster's UI and daemon with deploy/ray/dagster.yaml: runs are jobs on a node of a real Ray cluster."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ray.job_submission import JobSubmissionClient

from paris_assets.config import Profile
from paris_assets.definitions import open_catalog
from paris_assets.planning.waves import waves
from paris_assets.runs.command import run_command
from paris_assets.runs.postgres import POSTGRES
from paris_assets.runs.run import Request
from paris_assets_tests.deploy.instance import DEPLOY
from paris_assets_tests.fixtures import direct, small_world
from paris_assets_tests.fixtures.ray_cluster import RayCluster, postgres, postgres_programs, ray_cluster
from paris_assets_tests.models.waiting import WHILE
from paris_assets_tests.runs.test_ray import objects
from paris_assets_tests.runs.user_interface import UserInterface, daemon, until, user_interface

pytestmark = [pytest.mark.extended, pytest.mark.long]
NODE, SHARDS = "127.0.0.2", ["00000", "00001", "00002"]
SCORES = {"redness": {"implementation": "paris_assets_tests.models.waiting:Waiting"}}
ENDS_S = 600  # a busy machine; what waits goes on as soon as it is there


@dataclass
class World:
    """A root on S3 under Dagster's UI and daemon, with runs on a cluster.

    Attributes:
        wait: while this file is there, scores are not computed.
    """

    url: str
    ui: UserInterface
    instance: dg.DagsterInstance
    cluster: RayCluster
    jobs: JobSubmissionClient
    wait: Path

    def job(self, run: str) -> Any:
        """What the cluster says of a run's job."""
        return self.jobs.get_job_info(f"dagster-run-{run}")

    def steps(self, run: str) -> set[str]:
        """Assets that a run has begun."""
        found = self.instance.all_logs(run, of_type=dg.DagsterEventType.STEP_START)
        return {event.step_key or "" for event in found}


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    source = small_world.embedded(tmp_path_factory.mktemp("source") / "list.parquet", 60)
    return small_world.profile(source, clusters__k=2, scores=SCORES)


@pytest.fixture(scope="module")
def first_wave(profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Assets by shard that read no other shard."""
    graph = open_catalog(str(tmp_path_factory.mktemp("none")), profile).graph
    return list(waves(graph)[0].assets)


@pytest.fixture(scope="module")
def world(profile: Profile, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    folder, url = tmp_path_factory.mktemp("ui"), f"{s3_url}/under-the-ui"
    home, wait = folder / "home", folder / "wait"
    home.mkdir()
    shutil.copy(DEPLOY / "ray/dagster.yaml", home)
    with postgres(programs) as database, ray_cluster(jobs=True) as cluster, pytest.MonkeyPatch.context() as patch:
        assert cluster.job_server is not None
        patch.chdir(folder)
        for name, value in {POSTGRES: database, "LOGS_BUCKET": "bucket", "DAGSTER_HOME": ""}.items():
            patch.setenv(name, value)
        patch.setenv("RAY_API_SERVER_ADDRESS", cluster.job_server)
        cluster.add(NODE, cpus=2, gpus=0, store_mb=100, **{WHILE: str(wait)})
        assert run_command(profile, url, Request(select=("source_rows",)), dry_run=False) == 0
        patch.setenv("DAGSTER_HOME", str(home))
        jobs = JobSubmissionClient(cluster.job_server)
        with dg.DagsterInstance.get() as instance, daemon(url, home), user_interface(url, home) as ui:
            yield World(url, ui, instance, cluster, jobs, wait)


def test_a_run_that_is_terminated_ends_on_the_cluster(world: World, first_wave: list[str]) -> None:
    world.wait.touch()
    run = world.ui.launch(first_wave, SHARDS[0])
    until(lambda: "content_scores" in world.steps(run), ENDS_S, "scores that wait")
    assert _processes_of(run)
    assert world.ui.terminate(run)["__typename"] == "TerminateRunSuccess"
    assert world.ui.finished(run, ENDS_S) == "CANCELED"
    until(lambda: str(world.job(run).status) == "STOPPED", ENDS_S, "the end of the job")
    assert _processes_of(run) == []
    assert f"content_scores/{SHARDS[0]}.parquet" not in objects(world.url)
    world.wait.unlink()


def test_a_backfill_over_shards_runs_on_the_cluster(
    world: World, profile: Profile, first_wave: list[str], tmp_path: Path
) -> None:
    backfill = world.ui.ended_backfill(world.ui.backfill(first_wave, SHARDS), ENDS_S)
    runs = backfill["runs"]
    said = "\n".join(world.ui.why(run["id"]) for run in runs if run["status"] != "SUCCESS")
    assert (backfill["status"], said) == ("COMPLETED_SUCCESS", "")
    assert len(runs) == len(SHARDS)
    for run in runs:
        # The job ends after the run that it tells Dagster of.
        until(lambda: world.job(run["id"]).status.is_terminal(), ENDS_S, "the end of the job")  # noqa: B023 (called here)
        job = world.job(run["id"])
        assert str(job.status) == "SUCCEEDED"
        assert f"http://{NODE}:" in str(job.driver_agent_http_address)
    direct.bring_up_to_date(profile, tmp_path / "root")
    made, expected = (
        {path: digest for path, digest in found.items() if path.partition("/")[0] in first_wave}
        for found in (objects(world.url), small_world.contents(tmp_path / "root"))
    )
    assert made == expected
    assert {Path(path).stem for path in made if path.startswith("filtered_images/")} == set(SHARDS)
    printed = objects(f"{world.url.rpartition('/')[0]}/dagster")
    assert {run["id"] for run in runs} <= {part for path in printed for part in path.split("/")}


def test_a_run_is_not_lost_where_the_cluster_is_away(world: World) -> None:
    world.cluster.end()
    run = world.ui.launch(["filtered_images"], SHARDS[2])
    assert world.ui.finished(run, ENDS_S) == "FAILURE"
    assert f"the Ray cluster at {world.cluster.job_server} cannot be used" in world.ui.why(run)
    world.cluster.start()
    world.cluster.add(NODE, cpus=2)
    again, _ = world.ui.again(run, "ALL_STEPS")
    assert world.ui.finished(again, ENDS_S) == "SUCCESS"


def _processes_of(run: str) -> list[int]:
    """Processes of this machine, of which the cluster's nodes are a part, whose command names a run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if b"execute_run" in command and run.encode() in command:
                    found.append(int(entry.name))
    return found
