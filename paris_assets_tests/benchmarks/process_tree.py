"""What the processes of a run use, as /proc tells."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def descendants(process: int) -> list[int]:
    """Numbers of the processes that a process has started, and of theirs."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found, waiting = list[int](), list(children[process])
    while waiting:
        found.append(waiting.pop())
        waiting += children[found[-1]]
    return found


def processor_seconds(process: int) -> float:
    """What a process and all that it has started have spent, those that have ended among them."""
    fields = [_fields(one) for one in (process, *descendants(process))]
    return sum(int(value) for found in fields for value in found[11:15]) / TICKS


def command_line(process: int) -> str:
    """Its arguments; empty where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _fields(process: int) -> list[str]:
    """Those of /proc/PID/stat from the state on; none where it has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
