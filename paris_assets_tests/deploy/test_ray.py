"""Runs as jobs of a Ray cluster: what a job server is sent and how its answers are taken, by Ray's own client."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import ray
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

from paris_assets import definitions
from paris_assets.dag.private import WorkerStatus
from paris_assets.definitions import build_definitions
from paris_assets.errors import UsageError
from paris_assets.ingest.web.link import COORDINATOR
from paris_assets.process import child_environment
from paris_assets.runs.cluster_check import SENT
from paris_assets.runs.ray_jobs import JobLauncher, most
from paris_assets_tests.deploy.instance import DEPLOY, POSTGRES_URL, opened, variables

SETTINGS = yaml.safe_load((DEPLOY / "ray/dagster.yaml").read_text())
CONFIG = SETTINGS["run_launcher"]["config"]["ray"]
GIB = 2**30
NEEDS = {"pools": {"gpu": {"num_cpus": 4, "num_gpus": 1}}, "assets": {"captions": {"num_gpus": 2, "memory": GIB}}}


class JobServer:
    """Takes jobs in place of a head.

    Attributes:
        submitted: what it was sent.
        status: of every job, or the HTTP status of an error.
    """

    def __init__(self) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.status: str | int = "RUNNING"
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/api/version":
                    self.answer({"version": "4", "ray_version": ray.__version__, "ray_commit": ""})
                elif self.path.endswith("/logs"):
                    self.answer({"logs": f"{'.' * 9000}\nNo module named 'paris_assets'"})
                elif isinstance(server.status, int):
                    self.send_error(server.status)
                else:
                    job = {"type": "SUBMISSION", "entrypoint": "", "status": server.status, "message": "Killed."}
                    environment = {"env_vars": {"PARIS_POSTGRES_URL": POSTGRES_URL}}
                    self.answer({**job, "runtime_env": environment, "driver_agent_http_address": "http://10.0.0.7:1"})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.endswith("/stop"):
                    server.stopped.append(self.path.split("/")[-2])
                    self.answer({"stopped": True})
                else:
                    server.submitted.append(json.loads(body))
                    name = server.submitted[-1]["submission_id"]
                    self.answer({"submission_id": name, "job_id": name})

            def answer(self, said: dict[str, Any]) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Launching:
    """An instance with our launcher on a job server, and the job of all assets."""

    def __init__(self, folder: Path, job: dg.JobDefinition, **settings: Any) -> None:
        self.server, self._job = JobServer(), job
        self.instance = dg.DagsterInstance.local_temp(str(folder))
        self.launcher = JobLauncher(self.server.address, **settings)
        self.launcher.register_instance(self.instance)

    def launch(self, *assets: str, **tags: str) -> dg.DagsterRun:
        """A run that makes these assets, as the launcher leaves it."""
        pointer = ModuleCodePointer(definitions.__name__, "defs", None)
        origin = JobPythonOrigin(
            self._job.name, RepositoryPythonOrigin("/opt/my venv/bin/python", pointer, None, ["dagster"], {})
        )
        run = self.instance.create_run_for_job(
            self._job.get_subset(asset_selection={dg.AssetKey(name) for name in assets}),
            asset_selection=frozenset(dg.AssetKey(name) for name in assets),
            job_code_origin=origin,
            tags=tags,
        )
        self.launcher.launch_run(LaunchRunContext(run, None))
        return self.now(run)

    def now(self, run: dg.DagsterRun) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found

    def started(self, *assets: str) -> dg.DagsterRun:
        """A run that says it has started."""
        run = self.launch(*assets)
        self.instance.report_dagster_event(
            dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_START.value, job_name=run.job_name), run.run_id
        )
        return self.now(run)

    def said(self, run: dg.DagsterRun) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run.run_id))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dg.JobDefinition:
    return build_definitions(str(tmp_path_factory.mktemp("job") / "root")).resolve_job_def("all_stages")


@pytest.fixture
def launching(job: dg.JobDefinition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launching]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    found = Launching(tmp_path, job, num_cpus=2, env_vars=["PARIS_TEST_GIVEN", "KEY=value"], **NEEDS)
    yield found
    found.server.close()


def test_dagster_takes_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARIS_POSTGRES_URL", POSTGRES_URL)
    monkeypatch.setenv("LOGS_BUCKET", "bucket")
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://10.0.0.1:8265")
    instance = opened("ray")
    assert isinstance(instance.run_launcher, JobLauncher)
    assert instance.run_launcher.address == "http://10.0.0.1:8265"
    assert instance.run_launcher.num_cpus == CONFIG["num_cpus"] == 2
    assert isinstance(instance.compute_log_manager, S3ComputeLogManager)


def test_runs_are_handed_what_they_need() -> None:
    handed = {name for name in CONFIG["env_vars"] if "=" not in name}
    here = {"RAY_API_SERVER_ADDRESS"}  # for the daemon alone
    assert handed == {"PARIS_ROOT", COORDINATOR, *SENT, *variables(SETTINGS)} - here
    values = dict(name.split("=") for name in CONFIG["env_vars"] if "=" in name)
    assert values.pop("RAY_JOB_STOP_WAIT_TIME_S") == "30"
    assert values == {**values, **child_environment()}


def test_a_job_is_dagsters_command_with_what_its_assets_need(
    launching: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARIS_TEST_GIVEN", "given")
    run = launching.launch("source_rows")
    (sent,) = launching.server.submitted
    assert sent["submission_id"] == f"dagster-run-{run.run_id}"
    assert sent["entrypoint"].startswith("PATH='/opt/my venv/bin':\"$PATH\" dagster api execute_run '{")
    assert sent["runtime_env"]["env_vars"].items() >= {"PARIS_TEST_GIVEN": "given", "KEY": "value"}.items()
    assert _resources(sent) == {"cpus": 2}
    launching.launch("latents")
    assert _resources(launching.server.submitted[-1]) == {"cpus": 4, "gpus": 1}
    launching.launch("latents", "captions")
    assert _resources(launching.server.submitted[-1]) == {"cpus": 4, "gpus": 2, "memory": GIB}
    launching.launch("latents", **{"dagster-ray/config": '{"num_gpus": 0.5}'})
    assert _resources(launching.server.submitted[-1]) == {"cpus": 4, "gpus": 0.5}
    assert run.tags == {}


def _resources(sent: dict[str, Any]) -> dict[str, float]:
    kinds = ("cpus", "gpus")
    found = {kind: sent.get(f"entrypoint_num_{kind}") for kind in kinds} | {"memory": sent.get("entrypoint_memory")}
    return {kind: amount for kind, amount in found.items() if amount}


def test_a_run_for_a_cluster_that_is_away_fails_and_says_so(launching: Launching) -> None:
    launching.server.close()
    run = launching.launch("source_rows")
    assert run.status == dg.DagsterRunStatus.FAILURE
    said = launching.said(run)
    assert f"the Ray cluster at {launching.server.address} cannot be used" in said
    assert "`ray start --head` starts one" in said
    assert "then execute this run again" in said


def test_a_cluster_that_does_not_answer_ends_no_run(launching: Launching) -> None:
    run = launching.started("source_rows")
    launching.server.close()
    asked = [lambda: launching.launcher.check_run_worker_health(run), lambda: launching.launcher.terminate(run.run_id)]
    for ask in asked:
        with pytest.raises(UsageError, match=f"the Ray cluster at {launching.server.address} cannot be used"):
            ask()
    assert launching.now(run).status == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(
    ("status", "expected"),
    [("RUNNING", WorkerStatus.RUNNING), ("FAILED", WorkerStatus.FAILED), (404, WorkerStatus.FAILED)],
)
def test_a_run_is_as_its_job(launching: Launching, status: str | int, expected: WorkerStatus) -> None:
    run = launching.started("source_rows")
    launching.server.status = status
    assert launching.launcher.check_run_worker_health(run).status == expected


def test_an_error_of_the_server_ends_no_run(launching: Launching) -> None:
    run = launching.started("source_rows")
    launching.server.status = 503
    with pytest.raises(UsageError, match=f"cannot say how run {run.run_id} is"):
        launching.launcher.check_run_worker_health(run)
    with pytest.raises(UsageError, match=f"the Ray cluster at {launching.server.address} cannot be used"):
        launching.launcher.terminate(run.run_id)
    assert launching.now(run).status == dg.DagsterRunStatus.STARTED  # not CANCELING, which ends by itself


def test_runs_are_not_resumed_under_names_that_are_looked_for_nowhere(tmp_path: Path) -> None:
    launcher = {"module": JobLauncher.__module__, "class": "JobLauncher", "config": {"ray": {"address": "http://a:1"}}}
    resuming = {"run_monitoring": {"enabled": True, "max_resume_run_attempts": 1}, "run_launcher": launcher}
    with pytest.raises(Exception, match="does not support resuming runs"):
        dg.DagsterInstance.local_temp(str(tmp_path), overrides=resuming)


def test_a_run_that_waits_for_room_is_canceled_at_once(launching: Launching) -> None:
    waits, works = launching.launch("source_rows"), launching.started("source_rows")
    assert launching.launcher.terminate(works.run_id)
    launching.server.status = "PENDING"
    assert launching.launcher.terminate(waits.run_id)
    assert launching.server.stopped == [f"dagster-run-{run.run_id}" for run in (works, waits)]
    assert launching.now(works).status == dg.DagsterRunStatus.CANCELING  # its process says when it has ended
    assert launching.now(waits).status == dg.DagsterRunStatus.CANCELED


def test_what_is_said_of_a_job_has_its_last_words_and_no_password(launching: Launching) -> None:
    run = launching.started("source_rows")
    launching.server.status = "FAILED"
    said = launching.launcher.get_run_worker_debug_info(run)
    assert said is not None
    assert "FAILED" in said
    assert "http://10.0.0.7:1" in said
    assert said.endswith("No module named 'paris_assets'")
    assert "secret" not in said
    assert len(said) < 5000


def test_the_most_of_every_resource() -> None:
    assert most([{"num_cpus": 2}, {"num_cpus": 1, "memory": GIB}]) == {"num_cpus": 2, "memory": GIB}
    assert most([]) == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": "10.0.0.1:6379"}, "address of run_launcher in dagster.yaml is '10.0.0.1:6379': give that of"),
        ({"address": "ray://10.0.0.1:10001"}, "such as http://10.0.0.1:8265"),
        ({"assets": {"caption": {}}}, "assets of run_launcher .* names caption .did you mean 'captions'"),
        ({"pools": {"cpu": {}}}, "pools .* names cpu.*one of fit, gpu, io"),
    ],
)
def test_what_cannot_be_meant_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        JobLauncher(**{"address": "http://10.0.0.1:8265", **settings})
