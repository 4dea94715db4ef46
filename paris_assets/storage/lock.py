"""Locks between processes of one machine; the system lets go of them when a process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, holder: str = "", waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lock file while the context is open; waits for whoever holds it.

    Args:
        path: the lock file, created when absent and never removed (removing it would let a second one in).
        holder: written into the file, to tell others who holds the lock.
        waiting: called with what the present holder wrote, once, before waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting(os.pread(descriptor, 4096, 0).decode(errors="replace"))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        os.close(descriptor)
