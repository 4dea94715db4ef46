"""Locks between processes of one machine; the system lets go of them when a process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paris_assets.errors import explained


@contextmanager
def exclusive(path: Path, holder: str = "", waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lock file while the context is open; waits for whoever holds it.

    Args:
        path: the lock file, created when absent and left there. Only who holds it may remove it.
        holder: written into the file, to tell others who holds the lock.
        waiting: called with what the present holder wrote, once, before waiting.
    """
    while True:
        descriptor = _opened(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    waiting(os.pread(descriptor, 4096, 0).decode(errors="replace"))
                    waiting = None
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _still_there(path, descriptor):
                continue  # its holder has removed it, and others lock another
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode(), 0)
            yield
            return
        finally:
            os.close(descriptor)


def _opened(path: Path) -> int:
    with explained(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a new file, which says that whoever made it is alive, in whatever container or on whatever machine."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def taken(path: Path) -> bool:
    """Hold a file until this process ends, unless another one does; whether it is held now."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def free(path: Path) -> bool:
    """Whether nobody holds a file any more; False where that cannot be known."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def alive(process: int) -> bool:
    """Whether this machine, or this container, has a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def boot_id() -> str:
    """What no other running machine has, containers of this one being part of it; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
