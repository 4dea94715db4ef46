"""`paris dev`: Dagster's UI on a root, which it shows as it is."""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

from rich.console import Console

from paris_assets.dag.catalog import Catalog
from paris_assets.dag.s3 import open_location
from paris_assets.definitions import DEFAULT_ROOT, PAGES, open_catalog
from paris_assets.errors import MissingInput, UsageError, UserError
from paris_assets.ingest.web.link import COORDINATOR
from paris_assets.planning.home import dagster_home
from paris_assets.planning.profile_file import stored_profile
from paris_assets.planning.run_lock import hold_root
from paris_assets.process import child_environment
from paris_assets.runs.coordinator import start_coordinator
from paris_assets.runs.execution import new_invocation
from paris_assets.runs.file_server import start_file_server
from paris_assets.runs.look import say_unfinished, tell_dagster
from paris_assets.runs.progress import open_console


def open_ui(url: str, port: int) -> NoReturn:
    """Become `dagster dev` on a root's home: whoever stops this process stops it too.

    Raises:
        UsageError: the port cannot be used, or there is no run under the root, which only the default one may lack.
    """
    if not 0 < port < 1 << 16:
        raise UsageError(f"--port must be from 1 to {(1 << 16) - 1}, got {port}")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise UsageError(f"port {port} is in use, perhaps by another `paris dev`: stop it or choose another --port")
    root = open_location(url)
    if stored_profile(root) is None and root.url != open_location(DEFAULT_ROOT).url:
        # Dagster would show every asset of the demo over a folder made for a slip of the pen.
        raise UsageError(f"there is no run under {root.url}: name another --root, or make one with `paris run`")
    catalog = open_catalog(root)
    _show_as_it_is(catalog, open_console())
    # The first look of a sensor at 10,000 shards, or each one at a remote root of that size, takes longer than 60 s.
    # `dg dev`, which Dagster would have instead, wants a project of its own layout.
    quiet = {"PYTHONWARNINGS": "ignore:Function `dev_command` is superseded"}
    patience = {"DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "600"}
    pages = {PAGES: start_file_server(catalog.location.url, (port + 1) % (1 << 16))}
    given = {**patience, **quiet, **os.environ, **child_environment(), **pages}
    environment = {**given, "PARIS_ROOT": catalog.location.url, COORDINATOR: start_coordinator()}
    dagster = [sys.executable, "-m", "dagster", "dev", "-m", "paris_assets.definitions", "--port", str(port)]
    os.execve(sys.executable, dagster, environment)


def _show_as_it_is(catalog: Catalog, console: Console) -> None:
    """Make Dagster know a root that was copied, made elsewhere, or whose home was deleted, before it is looked at."""

    def busy(holder: str) -> None:
        raise MissingInput(f"a `paris run` ({holder}) works on it, and tells Dagster itself")

    try:
        with hold_root(catalog.location, dagster_home(catalog.location.url, catalog.location.remote), busy, busy):
            tell_dagster(catalog, new_invocation(), console)
            say_unfinished(catalog, console)
    except UsageError:
        raise
    except UserError as reason:  # the page opens all the same, and its sensor looks again
        console.print(
            f"not all of {catalog.location.url} is shown as it is now: {reason}", markup=False, soft_wrap=True
        )
