"""Dagster's runs as jobs of a Ray cluster, each with what the assets of its run need.

``dagster_ray`` submits, ends and watches them. Here is what it leaves open: resources by asset, since a run makes all
of its assets in one process; a cluster that does not answer, which is said in a sentence where the run is shown, and
ends no run that may be at work; and nothing of a job's environment, passwords among it, in Dagster's log.
"""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import dagster as dg
from dagster_ray import RayRunLauncher
from dagster_ray.configs import USER_DEFINED_RAY_KEY

from paris_assets.dag.private import CheckRunHealthResult, WorkerStatus
from paris_assets.errors import UsageError, UserError
from paris_assets.runs.asset_needs import AssetNeeds, needs_field

Resources = Mapping[str, float]
"""`num_cpus`, `num_gpus` or `memory` (bytes) -> how much, as Ray has them."""

KINDS = {"num_cpus": float, "num_gpus": float, "memory": int}
_RESOURCES = dg.Shape({name: dg.Field(kind, is_required=False) for name, kind in KINDS.items()})
CONNECT_S = 5.0
NO_SUCH_JOB = "status code 404"
"""What Ray's client says of a job that the cluster does not know."""
SAID = 4000
"""The last characters of what a job printed, which a person is shown."""


class JobLauncher(RayRunLauncher):
    """One Ray job per run; see the module.

    Args:
        address: of the head's job server, ``http://HOST:8265``.
        assets: asset -> what a run needs that makes it.
        pools: concurrency pool of assets -> what a run needs that makes one of them; ``assets`` has the say.
        settings: what ``dagster_ray``'s launcher takes; its ``num_cpus``, ``num_gpus`` and ``memory`` are what every
            run has at least.

    Raises:
        UsageError: an address, asset or pool that is none; names it.
    """

    def __init__(self, address: str, assets: Any = None, pools: Any = None, **settings: Any) -> None:
        self._needs: AssetNeeds[Resources] = AssetNeeds(assets or {}, pools or {})
        parts = urlsplit(address or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"address of run_launcher in dagster.yaml is {address!r}: give that of the head's job server, such as "
                "http://10.0.0.1:8265, as `ray start --head` prints it"
            )
        self._server = (parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme])
        super().__init__(address, **settings)

    @classmethod
    def config_type(cls) -> Any:
        """That of ``dagster_ray``'s launcher, and ours."""
        needs, theirs = needs_field(_RESOURCES, ", ".join(KINDS)), cast(dict[str, Any], super().config_type())
        return {**theirs, "assets": needs, "pools": needs}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> JobLauncher:
        """Dagster's entry point."""
        needs = {name: config_value.get(name) for name in ("assets", "pools")}
        return cls(inst_data=inst_data, **needs, **config_value["ray"])

    @property
    def supports_resume_run(self) -> bool:
        """No: what a dead run has made is there when it is executed again, and a resumed one has a job of another name.
        ``max_resume_run_attempts`` in dagster.yaml is refused."""
        return False

    def launch_run(self, context: Any) -> None:
        """Submit a run. One that the cluster does not take fails, and says why where it is shown."""
        try:
            with self._answering():
                super().launch_run(context)
        except UserError as error:
            said = f"{error}; then execute this run again"
            self._instance.report_run_failed(context.dagster_run, said)

    def terminate(self, run_id: str) -> bool:
        """End the job of a run.

        Returns:
            whether there was one to end.

        Raises:
            UsageError: the cluster does not answer; the run stays as it is.
        """
        with self._answering():
            waiting = self._waits(run_id)
            ended = super().terminate(run_id)
        run = self._instance.get_run_by_id(run_id)
        if ended and waiting and run and not run.is_finished:
            self._instance.report_run_canceled(run)  # it has no process that would
        return ended

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the job of a started run is still there.

        Raises:
            UsageError: the cluster does not answer. Run monitoring shows it, and asks again.
        """
        with self._answering():
            found = super().check_run_worker_health(run)
        if found.status == WorkerStatus.UNKNOWN:
            if NO_SUCH_JOB not in (found.msg or ""):
                raise UsageError(f"the Ray cluster at {self.address} cannot say how run {run.run_id} is: {found.msg}")
            return CheckRunHealthResult(WorkerStatus.FAILED, f"the cluster at {self.address} does not know its job")
        return found

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """What the cluster says of a job, and the last that it printed."""
        job = _job_of(run.run_id)
        with self._answering():
            found = self.client.get_job_info(job)
            printed = self.client.get_job_logs(job)[-SAID:] if include_container_logs else ""
        state = f"Ray job {job} on {found.driver_agent_http_address}: {found.status}"
        return "\n".join([state, found.message or "", printed])

    def _launch_ray_job(self, submission_id: str, entrypoint: str, run: dg.DagsterRun) -> None:
        asked = json.loads(run.tags.get(USER_DEFINED_RAY_KEY, "{}"))
        always = {name: getattr(self, name) for name in KINDS if getattr(self, name)}
        needs = most([always, *self._needs.of(run, self._instance)])
        tags = {**run.tags, USER_DEFINED_RAY_KEY: json.dumps({**needs, **asked})}
        super()._launch_ray_job(submission_id, f"{_found_first(run)} {entrypoint}", run.with_tags(tags))

    def _waits(self, run_id: str) -> bool:
        """Whether the job of a run has found no place on the cluster so far."""
        from ray.job_submission import JobStatus

        try:
            return self.client.get_job_status(_job_of(run_id)) == JobStatus.PENDING
        except RuntimeError as error:
            if NO_SUCH_JOB not in str(error):
                raise
            return False

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What is done here needs the cluster: say where it is not there."""
        try:
            socket.create_connection(self._server, CONNECT_S).close()  # the client itself would wait without end
            yield
        except (OSError, RuntimeError) as error:
            raise UsageError(
                f"the Ray cluster at {self.address} cannot be used ({error}): see that it is there (`ray start --head` "
                "starts one), and that run_launcher in dagster.yaml names its job server"
            ) from error


def most(needs: list[Resources]) -> dict[str, float]:
    """The largest amount of each resource that any of them names."""
    found: dict[str, float] = {}
    for need in needs:
        for name, amount in need.items():
            found[name] = max(found.get(name, 0), amount)
    return found


def _found_first(run: dg.DagsterRun) -> str:
    """So that a node has Dagster's command where the code server has it, or on its own PATH: Ray itself leaves PATH as
    the shell of `ray start` had it, and an environment that is not activated is not in it."""
    origin = run.job_code_origin
    return f'PATH={shlex.quote(str(Path(origin.executable_path).parent))}:"$PATH"' if origin else ""


def _job_of(run_id: str) -> str:
    """The name under which ``dagster_ray`` submits a run."""
    from dagster_ray.core.run_launcher import get_job_submission_id_from_run_id

    return get_job_submission_id_from_run_id(run_id)
