"""Where the process runs that limits per host hold through: inside `paris run`, beside `paris dev`, or by itself as
`paris coordinator`, which fetchers on several machines reach."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from paris_assets.errors import UsageError
from paris_assets.ingest.web.coordinator import coordinating
from paris_assets.ingest.web.link import COORDINATOR, CoordinatorError, parse_address


@contextmanager
def coordinated(host: str | None = None) -> Iterator[str]:
    """The address of the coordinator that the environment names, else of one in this process, which the environment
    names meanwhile.

    Args:
        host: this machine's address for fetchers on others; None: they are all here.
    """
    if address := os.environ.get(COORDINATOR):
        yield address
        return
    with coordinating(f"{secrets.token_hex(16)}@{host}:0" if host else None) as address:
        os.environ[COORDINATOR] = address
        try:
            yield address
        finally:
            del os.environ[COORDINATOR]


def start_coordinator() -> str:
    """Have another process be the coordinator until this one, or what it becomes by exec, is gone; its address. That of
    the environment stays.

    Raises:
        CoordinatorError: it did not start.
    """
    if address := os.environ.get(COORDINATOR):
        return address
    reads, writes = os.pipe()
    os.set_inheritable(writes, True)  # held open for as long as this process lives, under whatever name
    command = [sys.executable, "-m", __name__]
    with os.fdopen(reads) as lifeline:
        process = subprocess.Popen(command, stdin=lifeline, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    started = process.stdout.readline().strip()
    if not started:
        raise CoordinatorError(
            f"`{' '.join(command)}`, by which limits per host hold, ended at once (exit code {process.wait()}): what "
            "it said is above"
        )
    return started


def coordinator_command(listen: str | None) -> int:
    """Be the coordinator until Ctrl-C or SIGTERM.

    Args:
        listen: where; by default at the address that the environment names, whose key it has unless it brings its own.

    Raises:
        UsageError: neither names an address.
        CoordinatorError: it cannot be listened at.
    """
    address, known = _listened_at(listen, os.environ.get(COORDINATOR))
    # The first process of a container is not ended by a signal that it does not handle.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.siginterrupt(number, True)  # polars, where it is loaded, has a handler that lets a wait go on
    with coordinating(address) as address, suppress(KeyboardInterrupt):
        # Who set the key has it, and what a container prints is kept where more people read.
        place = address.rpartition("@")[2]
        said = f"listening at {place}, with the key of {COORDINATOR}" if known else f"{COORDINATOR}={address}"
        print(said, flush=True)
        threading.Event().wait()
    return 0


def _listened_at(listen: str | None, named: str | None) -> tuple[str, bool]:
    """Address to listen at, and whether its key is that of the environment.

    Raises:
        UsageError: there is no address, or one is none.
    """
    address = listen or named
    if not address:
        raise UsageError(
            f"where to listen? Give --listen KEY@HOST:PORT, or set {COORDINATOR}, as on the other machines"
        )
    own, key = parse_address(address)[0], parse_address(named)[0] if named else ""
    if not key or own not in ("", key):
        return address, False
    return f"{key}@{address.rpartition('@')[2]}", True


def _serve() -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with coordinating() as address:
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _serve()
