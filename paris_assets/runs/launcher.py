"""Dagster's own launcher of run processes, which also sees when the process of a run is gone.

A run whose process ended with its code server, and one that `paris run` worked on when it was killed, would stay
"started" for ever and keep its place in the queue and in its pools. Run monitoring asks here and ends them.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import dagster as dg

from paris_assets.dag import run_tags
from paris_assets.dag.private import CheckRunHealthResult, WorkerStatus
from paris_assets.storage.lock import alive

CLOCK_S = 1.0  # a process's start is known in ticks of the clock, an event's time to the microsecond


class Launcher(dg.DefaultRunLauncher):
    """One process per run, started by the code server; see the module."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks for every started run."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that a started run named is still there. What is on another machine is taken as alive."""
        here = not run_tags.of_paris_run(run) or run.tags.get(run_tags.HOST, platform.node()) == platform.node()
        for event in reversed(self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
            metadata = event.dagster_event.engine_event_data.metadata if event.dagster_event else {}
            if here and "pid" in metadata:
                process = int(str(metadata["pid"].value))
                if not alive(process) or _started_at(process) > event.timestamp + CLOCK_S:
                    return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {process} is gone")
                break
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def _started_at(process: int) -> float:
    """When a process of this machine started, in seconds since the epoch; 0 where the system does not say."""
    try:
        ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    except (OSError, StopIteration):
        return 0.0
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
