"""What a person sees while a run works."""

from __future__ import annotations

import os
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from paris_assets.dag.records import ALL


def open_console() -> Console:
    """A console on a copy of stderr: Dagster captures the process's own while a step runs."""
    return Console(file=os.fdopen(os.dup(2), "w"), highlight=False)


class RunProgress:
    """One bar over the partitions to be made, and what is being made now. Plain lines where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console
        columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bar_task = self._bar.add_task("", total=0)

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def begin_wave(self, assets: tuple[str, ...], partitions: int) -> None:
        """A wave starts with so many partitions that may have to be made."""
        total = self._bar.tasks[0].total or 0
        self._bar.update(self._bar_task, total=total + partitions)
        if not self.console.is_terminal:
            self.console.print(f"{', '.join(assets)}: {partitions} partitions", soft_wrap=True)

    def listen(self, asset: str, shard: str, event: str) -> None:
        """An asset partition starts or ends."""
        where = asset if shard == ALL else f"{asset} · {shard}"
        if event == "start":
            self._bar.update(self._bar_task, description=where)
        else:
            self._bar.advance(self._bar_task)
