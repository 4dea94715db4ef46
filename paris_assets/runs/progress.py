"""What a person sees while a run works, on a terminal, in a pipe and in a log file."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from paris_assets.dag.records import ALL
from paris_assets.errors import explained

EVERY_S, QUIET_S = 60.0, 5.0
FEW_SHARDS = 50
"""Up to so many partitions of a wave have a line each; of more, there is a line per minute."""
WIDTH = 160
"""Columns of tables where there is no terminal."""
Partition = tuple[str, str]


class RunConsole(Console):
    """A console on a copy of stderr: Dagster captures the process's own while a step runs. What is said on it is
    appended to ``log`` as well, where there is one."""

    def __init__(self, log: Console | None = None) -> None:
        super().__init__(file=os.fdopen(os.dup(2), "w"), highlight=False)
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = WIDTH  # rich takes 80 for a pipe, which breaks reasons in two
        self.log_only = log

    def print(self, *objects: Any, **how: Any) -> None:
        """Print here and to the log, but for what moves a bar. Sentences are wrapped by the terminal, not by us: a path
        in them stays whole."""
        how.setdefault("soft_wrap", all(isinstance(one, str) for one in objects))
        super().print(*objects, **how)
        if self.log_only is not None and not any(isinstance(one, Control) for one in objects):
            self.log_only.print(*objects, **how)
            self.log_only.file.flush()


def open_console(log_file: str | None = None) -> RunConsole:
    """The console of a run, with the log file that is asked for.

    Raises:
        FileError: the log file cannot be written.
    """
    if log_file is None:
        return RunConsole()
    with explained(log_file, "written"):
        return RunConsole(Console(file=Path(log_file).open("a", encoding="utf-8"), highlight=False, width=WIDTH))


class Estimate:
    """How long what is left will take, from the rows of each partition and the seconds per row measured so far.

    Args:
        rows: shard -> rows of the source; ``all`` -> rows of all of them.
        clock: seconds from any start.
    """

    def __init__(self, rows: Mapping[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._rows, self._clock = rows, clock
        self._since: dict[Partition, float] = {}
        # By asset: it is asked for at every event, of as many partitions as shards.
        self._left: dict[str, set[str]] = {}
        self._rows_left: dict[str, int] = defaultdict(int)
        self._seconds: dict[str, float] = defaultdict(float)
        self._measured: dict[str, int] = defaultdict(int)
        self._started, self.done = clock(), 0

    @property
    def total(self) -> int:
        """Partitions done and to be done."""
        return self.done + sum(map(len, self._left.values()))

    def expect(self, partitions: list[Partition], of: tuple[str, ...] = ()) -> None:
        """These are still to be made; of the assets ``of``, only these."""
        for asset in of:
            self._left.pop(asset, None)
            self._rows_left.pop(asset, None)
        for asset, shard in partitions:
            shards = self._left.setdefault(asset, set())
            if shard not in shards:
                shards.add(shard)
                self._rows_left[asset] += self._weight(shard)

    def begin(self, asset: str, shard: str) -> None:
        """A partition starts."""
        self._since[asset, shard] = self._clock()

    def end(self, asset: str, shard: str, made: bool) -> None:
        """A partition ends; it tells how long others take where it was ``made``, not left as it was."""
        spent = self._clock() - self._since.pop((asset, shard), self._clock())
        self.drop([(asset, shard)])
        self.done += 1
        if made:
            self._seconds[asset] += spent
            self._measured[asset] += self._weight(shard)

    def drop(self, partitions: list[Partition]) -> None:
        """These will not be made in this run."""
        for asset, shard in partitions:
            shards = self._left.get(asset, set())
            if shard in shards:
                shards.remove(shard)
                self._rows_left[asset] -= self._weight(shard)
                if not shards:
                    del self._left[asset]

    def _weight(self, shard: str) -> int:
        return max(1, self._rows.get(shard, 1))

    def left(self) -> tuple[float, bool]:
        """(seconds left, whether every asset that is left has been measured): several processes share the work as
        they did until now."""
        work = sum(
            self._seconds[asset] / self._measured[asset] * self._rows_left[asset]
            for asset in self._left
            if self._measured.get(asset)
        )
        spent = sum(self._seconds.values())
        pace = (self._clock() - self._started) / spent if spent else 1.0
        return work * pace, all(self._measured.get(asset) for asset in self._left)

    def __str__(self) -> str:
        if not self.done or not self._left:
            return ""
        seconds, certain = self.left()
        if not certain and seconds < 1:  # nothing of what is left has been measured
            return ""
        return f"{'about' if certain else 'at least'} {duration(seconds)} left"


def counted(count: int, word: str) -> str:
    """``1 shard`` or ``2 shards``."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 20 s`` or ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class RunProgress:
    """One bar over all partitions to be made, and what is being made now. Where there is no terminal, and in the log,
    a line per shard, or per minute where there are many.

    Args:
        rows: shard -> rows, see ``Estimate``.
        planned: (asset, shard) of what may have to be made.
    """

    def __init__(
        self, console: RunConsole, rows: Mapping[str, int] | None = None, planned: list[Partition] | None = None
    ) -> None:
        self.console, self.estimate = console, Estimate(rows or {})
        self.estimate.expect(planned or [])
        columns = (
            TextColumn("{task.description:<44}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bar_task = self._bar.add_task("", total=self.estimate.total, left="")
        self._start = self._last_line = time.monotonic()
        self._each_shard = True

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def begin_wave(self, assets: tuple[str, ...], partitions: list[Partition]) -> None:
        """A wave starts: of its assets, just these partitions may have to be made."""
        self.estimate.expect(partitions, assets)
        shards = {shard for _, shard in partitions}
        self._each_shard = len(shards) <= FEW_SHARDS
        what = "" if shards == {ALL} else f" of {len(shards)} shards" if len(shards) > 1 else f" of {shards.pop()}"
        self._line(f"{', '.join(assets)}: {counted(len(partitions), 'partition')}{what}")

    def listen(self, asset: str, shard: str, event: str) -> None:
        """An asset partition starts or ends."""
        if event == "start":
            self.estimate.begin(asset, shard)
            where = asset if shard == ALL else f"{asset} · {shard}"
            self._bar.update(self._bar_task, description=where)
        else:
            self.estimate.end(asset, shard, event == "made")
        # A step over all shards may take minutes without a word.
        most = QUIET_S if (event, shard) == ("start", ALL) else EVERY_S
        if time.monotonic() - self._last_line >= most:
            self._report(f"at {asset}" if shard == ALL else f"at {asset} of {shard}")
        done, total, left = self.estimate.done, self.estimate.total, str(self.estimate)
        self._bar.update(self._bar_task, completed=done, total=total, left=left)

    def end_task(self, shard: str, partitions: list[Partition]) -> None:
        """All that was to be made of a shard in this wave has ended, or will not be made."""
        self.estimate.drop(partitions)
        if self._each_shard and shard != ALL:
            self._report(f"shard {shard}")

    def _report(self, what: str) -> None:
        left = f", {self.estimate}" if str(self.estimate) else ""
        spent = duration(time.monotonic() - self._start)
        self._line(f"  {what}: {self.estimate.done} of {self.estimate.total} partitions, {spent} so far{left}")

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(text, markup=False, soft_wrap=True)
        elif self.console.log_only is not None:
            self.console.log_only.print(text, markup=False, soft_wrap=True)
