"""Runs in child processes that kill themselves at a named point, as a power cut or the kernel's memory killer would.

A point is `before NAME` or `after NAME`, where NAME is one of

    spool IMAGE_ID        an image has arrived, its shard's tar is not written yet
    write ASSET/SHARD N   the N-th chunk of a table
    member NAME           a member of a tar
    put PATH              a finished file moves to its final name (data files first, the table with its record last)
    delete PATH           an older file is removed
    event TYPE STEP       Dagster stores an event

The point is read from the environment, so that worker processes of the run know it too.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import tarfile
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from paris_assets.cli import main
from paris_assets.clusters import reported
from paris_assets.config import Profile
from paris_assets.dag import io_manager
from paris_assets.dag.commit import Committed, Partition
from paris_assets.dag.tables import Tables
from paris_assets.ingest.spool import Spool
from paris_assets.profiles import dump_profile
from paris_assets.runs import processes
from paris_assets.runs.dagster_storage import EventLog
from paris_assets.storage.location import Location
from paris_assets.storage.output import Output
from paris_assets.storage.parquet import TableWriter
from paris_assets_tests.fixtures import direct
from paris_assets_tests.fixtures.brief import brief_report

KILL, TRACE = "PARIS_TEST_KILL", "PARIS_TEST_TRACE"
_committing = [""]


def reached(when: str, name: str) -> None:
    """Note the point, and end this process if it is the one asked for."""
    point = f"{when} {name}"
    if trace := os.environ.get(TRACE):
        with open(trace, "a") as file:
            file.write(point + "\n")
    if os.environ.get(KILL) == point:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(owner: Any, method: str, name: Callable[..., str]) -> None:
    original = getattr(owner, method)

    @functools.wraps(original)
    def watched(*arguments: Any, **named: Any) -> Any:
        at = name(*arguments, **named)
        reached("before", at)
        result = original(*arguments, **named)
        reached("after", at)
        return result

    setattr(owner, method, watched)


def _watch_commits(caller: Any) -> None:
    """Note which partition is committed, wherever the module calls ``commit``."""
    original = caller.commit

    @functools.wraps(original)
    def commit(tables: Tables, partition: Partition, output: Output) -> Committed:
        _committing[:] = [f"{partition.asset}/{partition.shard}"]
        return original(tables, partition, output)

    caller.commit = commit


WATCHED = [
    (io_manager, "commit"),
    (direct, "commit"),
    (Spool, "put"),
    (TableWriter, "write"),
    (tarfile.TarFile, "addfile"),
    (Location, "put"),
    (Location, "delete"),
    (EventLog, "store_event"),
]


def install() -> None:
    """Watch every point of this process."""
    _watch_commits(io_manager)
    _watch_commits(direct)
    _watch(Spool, "put", lambda spool, image_id, *rest: f"spool {image_id}")
    _watch(TableWriter, "write", lambda writer, chunk: f"write {_committing[0]} {writer.rows}")
    _watch(tarfile.TarFile, "addfile", lambda tar, info, *rest: f"member {info.name}")
    _watch(Location, "put", lambda root, local, path: f"put {path}")
    _watch(Location, "delete", lambda root, path: f"delete {path}")
    _watch(EventLog, "store_event", lambda log, entry: f"event {_event(entry)}")


def _event(entry: Any) -> str:
    event = entry.dagster_event
    return f"{event.event_type_value} {event.step_key}" if event else "log"


def install_here() -> None:
    """In a process of such a run: watch every point, and leave the drawing of reports out."""
    install()
    reported.write_report = brief_report


if KILL in os.environ or TRACE in os.environ:
    install_here()


def _run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    install_here()
    processes.PRELOAD = ["dagster", "webdataset", "sklearn.metrics", __name__]
    os._exit(main(arguments))


def start(
    profile: Profile, root: str, folder: Path, point: str = "", count: int = 1, trace: Path | None = None
) -> BaseProcess:
    """Start a run in a child process. What it prints goes to ``folder/log``."""
    settings = folder / "profile.yaml"
    settings.write_text(dump_profile(profile))
    arguments = ["run", "--profile", str(settings), "--root", root, "--workers", str(count)]
    return start_command(arguments, folder, point, trace)


def start_command(arguments: list[str], folder: Path, point: str = "", trace: Path | None = None) -> BaseProcess:
    """Start a command of `paris` in a child process, as ``start`` does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "paris_assets_tests.models.cheap", "sklearn.metrics", "webdataset"])
    cloud = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    environment = {**cloud, KILL: point, **({TRACE: str(trace)} if trace else {})}
    child = context.Process(target=_run, args=(arguments, environment, str(folder / "log")))
    child.start()
    return child


def run(profile: Profile, root: str, folder: Path, point: str = "", count: int = 1, trace: Path | None = None) -> int:
    """Run in a child process and wait; its exit code, -9 when it was killed."""
    return _ended(start(profile, root, folder, point, count, trace))


def run_command(arguments: list[str], folder: Path, point: str = "", trace: Path | None = None) -> int:
    """A command in a child process, as ``run``."""
    return _ended(start_command(arguments, folder, point, trace))


def _ended(child: BaseProcess) -> int:
    child.join()
    assert child.exitcode is not None
    return child.exitcode
