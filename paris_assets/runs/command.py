"""What `paris run` and `paris dev` do, with their words to the user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from rich.console import Console

from paris_assets.config import Profile
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.execution import open_instance, report_finished
from paris_assets.runs.plan import descendants, order
from paris_assets.runs.progress import RunProgress, open_console
from paris_assets.runs.registration import bind, check_binding, register
from paris_assets.runs.run import Request, plan, run, selected_assets, selected_shards
from paris_assets.runs.summary import print_summary
from paris_assets.storage.root import Root
from paris_assets.storage.store import Store, open_store


def run_command(profile: Profile, url: str, request: Request, dry_run: bool) -> int:
    """Register the source and bring its partitions up to date; returns the exit status."""
    from paris_assets.definitions import asset_graph

    console, start = open_console(), time.monotonic()
    missing = missing_for(profile)
    if missing:
        raise ValueError(f"profile {profile.name} cannot run here:\n" + "\n".join(f"  - {line}" for line in missing))
    root = Root(url)
    check_binding(root, profile)
    store = Store(root, profile, asset_graph())
    selected_assets(store, request)
    registry = register(store)
    selected_shards(registry, request)
    if dry_run:
        _print_plan(store, registry, request, console)
        return 0
    bind(store, registry, console)
    todo = plan(store, request)
    told = report_finished(store, open_instance(store))
    if told:
        console.print(f"told Dagster of {told} finished partitions that it did not know")
    if not todo:
        seconds = time.monotonic() - start
        said = f"nothing to do: every selected partition under {root.url} is up to date ({seconds:.1f} s)"
        console.print(said, markup=False, soft_wrap=True)
        return 0
    with RunProgress(console) as progress:
        report = run(store, request, progress)
    print_summary(store, report, console)
    store.close()
    for blocked in report.blocked:
        console.print(f"not made {blocked} is missing or out of date", style="red", markup=False, soft_wrap=True)
    if report.failed:
        console.print("some partitions were not made; `paris run` tries them again", style="red")
    return 1 if report.failed else 0


def _print_plan(store: Store, registry: pl.DataFrame, request: Request, console: Console) -> None:
    known = set(store.shards())
    new = [shard for shard in registry["shard"] if shard not in known]
    if new:
        console.print(f"would register {len(new)} shards: {', '.join(new[:12])}{' ...' if len(new) > 12 else ''}")
    todo = plan(store, request) if known else []
    if not todo and not new:
        console.print("nothing to do: every selected partition is up to date")
    for wave, tasks in todo:
        console.print(f"wave {wave.number}:")
        for asset in wave.assets:
            shards = [task.shard for task in tasks if asset in task.assets]
            if shards:
                console.print(f"  {asset}: {', '.join(shards[:12])}{' ...' if len(shards) > 12 else ''}")
    named = {asset for _, tasks in todo for task in tasks for asset in task.assets}
    after = set().union(*(descendants(store.graph, asset) for asset in named)) - named
    if after:
        console.print(f"then, where these change: {', '.join(name for name in order(store.graph) if name in after)}")


def open_ui(url: str, port: str) -> int:
    """Open `dagster dev` on a root's home."""
    store = open_store(url)
    with open_instance(store):
        pass
    environment = {**os.environ, "PARIS_ROOT": store.root.url}
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    command = [str(Path(sys.executable).parent / "dagster"), "dev", "-w", str(workspace), "--port", port]
    return subprocess.call(command, env=environment)
