"""Dagster's web server and daemon on a root, as `dagster dev` starts them, and what a person does there by GraphQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

PROJECT = Path(__file__).parents[2]
TICK_S = 2
# Dagster looks for work every 30 s and has no setting for it.
DAEMON = f"""
from dagster._daemon import controller
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = {TICK_S}
from dagster._daemon.cli import create_dagster_daemon_cli
create_dagster_daemon_cli()(["run", "-w", "workspace.yaml"])
"""
LOCATION = "paris_assets.definitions"
JOB = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": "__ASSET_JOB"}
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
AGAIN = """
mutation($params: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId stepKeysToExecute } } ... on PythonError { message } } }"""
RUNS = """
query($tag: ExecutionTag!) { runsOrError(filter: {tags: [$tag]}) { ... on Runs { results {
  runId status jobName parentRunId repositoryOrigin { repositoryName repositoryLocationName }
  tags { key value } assetSelection { path } } } } }"""
RUN = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
FAILURES = """
query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
  ... on ExecutionStepFailureEvent { stepKey error { message errorChain { error { message } } } }
  ... on RunFailureEvent { message } } } } }"""
LAUNCH_BACKFILL = """
mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
TERMINATE = """
mutation($id: String!) { terminateRun(runId: $id) {
  __typename ... on TerminateRunFailure { message } ... on PythonError { message } } }"""
RETRY_BACKFILL = """
mutation($params: ReexecutionParams!) { reexecutePartitionBackfill(reexecutionParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status error { message }
  runs(limit: 1000) { id status startTime endTime tags { key value } assetSelection { path } }
  assetBackfillData { assetBackfillStatuses {
    ... on AssetPartitionsStatusCounts {
      assetKey { path } numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed }
    ... on UnpartitionedAssetStatus { assetKey { path } materialized failed } } } } } }"""
Found = TypeVar("Found")


class UserInterface:
    """A running web server."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL answer; errors are raised."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        assert "errors" not in said, said["errors"]
        return said["data"]

    def answers(self) -> bool:
        """Whether the server is there by now."""
        try:
            return bool(self.ask("{ version }"))
        except (urllib.error.URLError, ConnectionError):
            return False

    def launch(
        self,
        assets: list[str],
        shard: str | None,
        checks: list[tuple[str, str]] | None = None,
        parent: str | None = None,
    ) -> str:
        """Materialise assets, or execute only checks, for one shard; returns the id of the run.

        Args:
            parent: a run of which this is a part, executed again.
        """
        selector = {
            **JOB,
            "assetSelection": [{"path": [name]} for name in assets],
            "assetCheckSelection": [{"assetKey": {"path": [name]}, "name": check} for name, check in checks or []]
            if checks is not None
            else None,
        }
        tags = [{"key": "dagster/partition", "value": shard}] if shard else []
        metadata = {"tags": tags, **({"parentRunId": parent, "rootRunId": parent} if parent else {})}
        params = {"selector": selector, "mode": "default", "runConfigData": {}, "executionMetadata": metadata}
        said = self.ask(LAUNCH, params=params)["launchRun"]
        assert said["__typename"] == "LaunchRunSuccess", said
        return said["run"]["runId"]

    def again(self, run: str, strategy: str) -> tuple[str, list[str]]:
        """Execute a run again, ``ALL_STEPS`` or ``FROM_FAILURE``; the id of the new one, and its steps."""
        said = self.ask(AGAIN, params={"parentRunId": run, "strategy": strategy})["launchRunReexecution"]
        assert said["__typename"] == "LaunchRunSuccess", said
        return said["run"]["runId"], said["run"]["stepKeysToExecute"]

    def runs(self, tag: str, value: str) -> list[dict[str, Any]]:
        """Runs that the runs page shows for a tag."""
        return self.ask(RUNS, tag={"key": tag, "value": value})["runsOrError"]["results"]

    def finished(self, run: str, within_s: float = 180) -> str:
        """How a run ended."""
        return until(lambda: self._ended(run), within_s, f"the end of run {run}")

    def _ended(self, run: str) -> str | None:
        status = self.ask(RUN, id=run)["runOrError"]["status"]
        return status if status in FINISHED else None

    def why(self, run: str) -> str:
        """Everything that the run page says of failures."""
        events = [event for event in self.ask(FAILURES, id=run)["logsForRun"]["events"] if event]
        chains = [event["error"] for event in events if event.get("error")]
        causes = [cause["error"]["message"] for error in chains for cause in error["errorChain"]]
        return "\n".join(
            [event.get("message", "") for event in events] + [error["message"] for error in chains] + causes
        )

    def backfill(self, assets: list[str], shards: list[str] | None = None) -> str:
        """Launch a backfill of assets over some shards or all; returns its id."""
        chosen = {"partitionNames": shards} if shards else {"allPartitions": True}
        params = {"assetSelection": [{"path": [name]} for name in assets], **chosen, "tags": []}
        said = self.ask(LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert said["__typename"] == "LaunchBackfillSuccess", said
        return said["backfillId"]

    def retry(self, backfill: str) -> str:
        """Re-execute a backfill from its failures; returns the id of the new one."""
        params = {"parentRunId": backfill, "strategy": "FROM_FAILURE"}
        said = self.ask(RETRY_BACKFILL, params=params)["reexecutePartitionBackfill"]
        assert said["__typename"] == "LaunchBackfillSuccess", said
        return said["backfillId"]

    def terminate(self, run: str) -> dict[str, Any]:
        """Press "Terminate" on a run's page; what it says."""
        return self.ask(TERMINATE, id=run)["terminateRun"]

    def ended_backfill(self, backfill: str, within_s: float = 240) -> dict[str, Any]:
        """A backfill when it has ended."""

        def ended() -> dict[str, Any] | None:
            said = self.ask(BACKFILL, id=backfill)["partitionBackfillOrError"]
            return None if said["status"] in ("REQUESTED", "CANCELING", "FAILING") else said

        return until(ended, within_s, f"the end of backfill {backfill}")


def until(look: Callable[[], Found | None], within_s: float, what: str) -> Found:
    """What a look finds, as soon as it finds something."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError(f"waited {within_s:.0f} s for {what}")


def environment(root: Path | str, home: Path | None = None) -> dict[str, str]:
    """Variables of a process that works on a root through Dagster's own commands.

    Args:
        home: Dagster's, where it is not that of a local root.
    """
    return {
        **os.environ,
        "PARIS_ROOT": str(root),
        "DAGSTER_HOME": str(home or Path(root) / ".dagster"),
        "PYTHONPATH": str(PROJECT),
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def daemon(root: Path | str, home: Path | None = None) -> Iterator[None]:
    """The daemon on a root: the queue, backfills, sensors and run monitoring."""
    with process([sys.executable, "-c", DAEMON], root, home):
        yield


@contextmanager
def user_interface(root: Path | str, home: Path | None = None) -> Iterator[UserInterface]:
    """The web server on a root."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "dagster-webserver"), "-w", "workspace.yaml", "-p", str(port)]
    with process(command, root, home):
        found = UserInterface(f"http://127.0.0.1:{port}")
        until(found.answers, 600, "the web server")
        yield found


@contextmanager
def process(command: list[str], root: Path | str, home: Path | None = None) -> Iterator[None]:
    """A process of Dagster's on a root until the context ends; what it says goes to a log in Dagster's home."""
    given = environment(root, home)
    said = Path(given["DAGSTER_HOME"]) / f"{Path(command[0]).name}.log"
    with open(said, "ab") as output:
        running = subprocess.Popen(command, env=given, cwd=PROJECT, stdout=output, stderr=output)
        try:
            yield
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(timeout=30)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
