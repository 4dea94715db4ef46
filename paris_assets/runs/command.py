"""What `paris run` and `paris dev` do, with their words to the user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from paris_assets.config import Profile
from paris_assets.runs.doctor import missing_for
from paris_assets.runs.execution import open_instance
from paris_assets.runs.plan import Task, Wave, descendants, order
from paris_assets.runs.progress import RunProgress, open_console
from paris_assets.runs.registration import bind_profile, register, registered_rows
from paris_assets.runs.run import Request, plan, run
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
    bind_profile(root, profile)
    root.remove_abandoned_scratch()
    store = Store(root, profile, asset_graph())
    new = register(store)
    if new:
        console.print(f"registered {len(new)} shards, {registered_rows(store)} rows in all, from {profile.source.path}")
    todo = plan(store, request)
    if dry_run:
        _print_plan(store, todo, console)
        return 0
    if not todo:
        console.print(
            f"nothing to do: every partition under {root.url} is up to date ({time.monotonic() - start:.1f} s)"
        )
        return 0
    with RunProgress(console) as progress:
        report = run(store, request, progress)
    print_summary(store, report, console)
    for blocked in report.blocked:
        console.print(f"[red]not made[/red] {blocked}: an input is missing")
    if report.failed:
        console.print("[red]some partitions failed[/red]; `paris run` tries them again")
    return 1 if report.failed else 0


def _print_plan(store: Store, todo: list[tuple[Wave, list[Task]]], console: Console) -> None:
    if not todo:
        console.print("nothing to do: every partition is up to date")
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
