"""Dagster's UI and daemon on this machine until Ctrl-C, with runs as jobs of a Ray cluster; docs/cluster.md.

    .venv/bin/python deploy/ray/up.py --profile demo

Ray, PostgreSQL, a store for logs and the coordinator are started, too, unless a variable names one that is there:
RAY_API_SERVER_ADDRESS, PARIS_POSTGRES_URL, LOGS_BUCKET, PARIS_COORDINATOR. What they say and keep is in data/runs/.ray.
"""

from __future__ import annotations

import argparse
import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
HOME = PROJECT / "data/runs/.ray"
POSTGRES_PORT, STORE_PORT, RAY_PORT, JOBS_PORT = 5433, 5001, 6379, 8265
COMES_UP_S = 300.0
Variables = dict[str, str]


class CannotStart(Exception):
    """What is missing, and what to do; without a traceback."""


def main() -> int:
    """Start what is missing, then the UI, and end all of it together."""
    options, run_arguments = _parser().parse_known_args()
    given = {**os.environ, "PARIS_ROOT": _root(), "DAGSTER_HOME": str(HOME / "home")}
    (HOME / "home").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("dagster.yaml"), HOME / "home")
    for number in (signal.SIGINT, signal.SIGTERM):  # the first is ignored where a shell started this with &
        signal.signal(number, signal.default_int_handler)
    try:
        _free("the UI", options.port, "choose another --port")
        with ExitStack() as started:
            for missing, start in STARTS.items():
                if not given.get(missing):
                    given |= started.enter_context(start(given))
            if run_arguments:
                _register(run_arguments, given)
            _serve(options.port, given)
    except CannotStart as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        description="All else is handed to `paris run --select source_rows`, which gives a new root its source and "
        "profile and registers its shards. PARIS_ROOT names the root (data/runs/ray).",
    )
    parser.add_argument("--port", type=int, default=3000, help="of the UI (3000)")
    return parser


def _root() -> str:
    named = os.environ.get("PARIS_ROOT", "data/runs/ray")
    return named if "://" in named else os.path.abspath(named)


@contextmanager
def _database(_given: Variables) -> Iterator[Variables]:
    """A PostgreSQL server of Debian's package, with data that stay; a password keeps other users of the machine out."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise CannotStart("no database: export PARIS_POSTGRES_URL=postgresql+psycopg2://..., or install postgresql")
    _free("PostgreSQL", POSTGRES_PORT, "export PARIS_POSTGRES_URL, if it is a database for this root")
    folder, key = HOME / "postgres", HOME / "postgres.key"
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    if not (folder / "PG_VERSION").exists():
        folder.mkdir(exist_ok=True)
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(16))
        if user:
            shutil.chown(folder, user)
            shutil.chown(key, user)
        made = ["--auth=scram-sha-256", f"--pwfile={key}", "--username=paris", f"--pgdata={folder}"]
        initdb = [str(Path(found[-1]).with_name("initdb")), *made]
        _done("initdb", subprocess.run(initdb, user=user, cwd="/", capture_output=True, text=True))
    options = ["-D", str(folder), "-p", str(POSTGRES_PORT), "-c", "listen_addresses=127.0.0.1", "-k", ""]
    with _running("postgres", [found[-1], *options], {}, POSTGRES_PORT, user):
        url = f"postgresql+psycopg2://paris:{key.read_text()}@127.0.0.1:{POSTGRES_PORT}/postgres"
        yield {"PARIS_POSTGRES_URL": url}


@contextmanager
def _store(given: Variables) -> Iterator[Variables]:
    """A bucket for what runs print, in memory: the root is a folder."""
    if "://" in given["PARIS_ROOT"]:
        raise CannotStart("no bucket for what runs print: export LOGS_BUCKET, the name of one in the root's store")
    _free("the store for logs", STORE_PORT, "end it, or export LOGS_BUCKET")
    url = f"http://127.0.0.1:{STORE_PORT}"
    reached = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,  # comes before the other where a user has set it
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    reached |= {"AWS_ACCESS_KEY_ID": "paris", "AWS_SECRET_ACCESS_KEY": "paris", "LOGS_BUCKET": "logs"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(STORE_PORT)]
    with _running("store", command, given, STORE_PORT):
        bucket = "import boto3; boto3.client('s3').create_bucket(Bucket='logs')"
        made = [sys.executable, "-c", bucket]
        _done("the bucket", subprocess.run(made, env={**given, **reached}, capture_output=True, text=True))
        yield reached


@contextmanager
def _coordinator(given: Variables) -> Iterator[Variables]:
    """What limits per host hold through."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = {"PARIS_COORDINATOR": f"{secrets.token_hex(16)}@127.0.0.1:{port}"}
    with _running("coordinator", [str(PROGRAMS / "paris"), "coordinator"], {**given, **address}, port):
        yield address


@contextmanager
def _cluster(given: Variables) -> Iterator[Variables]:
    """A head of Ray with all cores of this machine, at its address, so that nodes can be added."""
    for port in (RAY_PORT, JOBS_PORT):
        _free("Ray", port, "export RAY_API_SERVER_ADDRESS=http://HOST:8265 to use that cluster")
    cores = max(2, os.cpu_count() or 1)  # the least that deploy/ray/dagster.yaml asks for
    command = [str(PROGRAMS / "ray"), "start", "--head", "--block", f"--port={RAY_PORT}", f"--num-cpus={cores}"]
    command += ["--disable-usage-stats", "--dashboard-host=127.0.0.1", f"--dashboard-port={JOBS_PORT}"]
    cleared = {name: value for name, value in given.items() if name != "RAY_ADDRESS"}
    with _running("ray", command, cleared, JOBS_PORT):
        yield {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{JOBS_PORT}"}


STARTS = {
    "PARIS_POSTGRES_URL": _database,
    "LOGS_BUCKET": _store,
    "PARIS_COORDINATOR": _coordinator,
    "RAY_API_SERVER_ADDRESS": _cluster,
}
"""Variable that names a service -> what starts one where it is not set."""


def _register(arguments: list[str], given: Variables) -> None:
    command = [str(PROGRAMS / "paris"), "run", "--root", given["PARIS_ROOT"], "--select", "source_rows", *arguments]
    unset = {name: value for name, value in given.items() if name != "DAGSTER_HOME"}  # it has one of its own
    if subprocess.run(command, env=unset).returncode:
        raise CannotStart("the root has no shards: mend what is said above")


def _serve(port: int, given: Variables) -> None:
    patience = {"DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "600", **given}  # for the first look at many shards
    command = [str(PROGRAMS / "dagster"), "dev", "-w", str(PROJECT / "workspace.yaml"), "--port", str(port)]
    with _running("dagster", command, patience, port) as dagster:
        print(
            f"http://127.0.0.1:{port} shows {given['PARIS_ROOT']}; runs are jobs of {given['RAY_API_SERVER_ADDRESS']}"
        )
        print("Ctrl-C ends all that was started here", flush=True)
        dagster.wait()
    raise CannotStart(f"Dagster ended by itself: {HOME / 'dagster.log'} says why")


@contextmanager
def _running(
    name: str, command: list[str], given: Variables, port: int, user: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, from when it listens at its port until the context ends. Ctrl-C is for this one alone to get."""
    log = HOME / f"{name}.log"
    with open(log, "ab") as said:
        # A folder that the user of the database may enter, too; Ray takes its nodes' folder from here.
        try:
            process = subprocess.Popen(
                command, env=given or None, cwd=PROJECT, stdout=said, stderr=said, user=user, start_new_session=True
            )
        except OSError as error:
            advice = f"install what docs/cluster.md names into {PROGRAMS.parent}"
            raise CannotStart(f"{name} cannot be started ({error}): {advice}") from error
    try:
        until = time.monotonic() + COMES_UP_S
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise CannotStart(f"{name} did not start: {log} says why")
            time.sleep(0.2)
        yield process
    finally:
        process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _done(what: str, ran: subprocess.CompletedProcess[str]) -> None:
    if ran.returncode:
        raise CannotStart(f"{what} failed: {ran.stderr.strip()}")


def _free(what: str, port: int, advice: str) -> None:
    if _listens(port):
        raise CannotStart(f"{what} would be at port {port}, where something answers: {advice}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
