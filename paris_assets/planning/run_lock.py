"""One `paris run` per root at a time: a second one waits, and then goes on from what the first has made.

On one machine a lock file decides, which the system lets go of however a process ends. A remote root also has a lease:
an object that only one run can create, renewed while it works. One whose renewals have not been seen for a while is
taken over. No clock but that of the one who waits is asked, and no host name, which containers may share.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from paris_assets.errors import UserError
from paris_assets.storage.location import Location
from paris_assets.storage.lock import boot_id, exclusive
from paris_assets.storage.object_store import Stamp

LEASE = "run.lock"
RENEW_S, EXPIRES_S, POLL_S = 30.0, 180.0, 5.0


@contextmanager
def hold_root(
    root: Location, home: Path, waiting: Callable[[str], None], lost: Callable[[str], None]
) -> Iterator[None]:
    """Hold the root while the context is open.

    Args:
        home: the root's Dagster home on this machine, where the lock file is.
        waiting: called once with the name of another run, before waiting for it to end.
        lost: called with the name of a run that took the lease over because it could not be renewed; the main thread
            is interrupted then.
    """
    # Dagster's home may be deleted at any time, so the lock of a local root lies elsewhere.
    lock = home / "run.lock" if root.remote else Path(root.url) / ".scratch" / "run.lock"
    there = lock.parents[1].exists()
    with exclusive(lock, _name(), waiting):
        if not root.remote:
            try:
                yield
            except UserError:
                _remove_unused(lock, there)
                raise
            return
        lease = _Lease(root, lock, lost)
        lease.acquire(waiting)
        try:
            yield
        finally:
            lease.release()


class _Lease:
    """The object that says who works on a remote root."""

    def __init__(self, root: Location, lock: Path, lost: Callable[[str], None]) -> None:
        self._root, self._lost = root, lost
        self._mine: dict[str, Any] = {
            "name": _name(),
            "lock": _lock_file(lock),
            "token": uuid.uuid4().hex,
            "renewals": 0,
        }
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def acquire(self, waiting: Callable[[str], None]) -> None:
        seen, since, told = None, 0.0, False
        while True:
            stamp, holder = self._look()
            if holder.get("token") == self._mine["token"]:
                break
            if holder != seen:
                seen, since = holder, time.monotonic()
            expired = time.monotonic() - since > EXPIRES_S
            # A run that held our lock file is gone, since we hold it now.
            if not holder or expired or holder.get("lock") == self._mine["lock"]:
                self._root.put_if(self._content(), LEASE, stamp)
                # A store without conditional requests lets another, who judged as we did, replace what we wrote.
                time.sleep(POLL_S if expired else 0)
                continue
            if not told:
                waiting(str(holder.get("name")))
                told = True
            time.sleep(POLL_S)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            # As a shell starts what it puts in the background; but losing the lease has to stop the run.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._thread.start()

    def release(self) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):  # out of reach: who holds our lock file next, or waits, takes it over
            if self._look()[1].get("token") == self._mine["token"]:
                self._root.delete(LEASE)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                stamp, holder = self._look()
                if holder.get("token") != self._mine["token"]:
                    self._lost(str(holder.get("name", "nobody")))
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                self._mine["renewals"] += 1
                self._root.put_if(self._content(), LEASE, stamp)
            except OSError:
                continue  # out of reach: whoever takes over meanwhile is found at the next look

    def _look(self) -> tuple[Stamp | None, dict[str, Any]]:
        """What is written if the lease is still that of the stamp then."""
        stamp = self._root.stamp(LEASE)
        try:
            return stamp, json.loads(self._root.read(LEASE))
        except FileNotFoundError:
            return stamp, {}

    def _content(self) -> bytes:
        return json.dumps(self._mine).encode()


def _remove_unused(lock: Path, there: bool) -> None:
    """What holding a root has made, where the run was refused before it wrote anything.

    Args:
        there: whether the root's folder was there before.
    """
    folder, root = lock.parent, lock.parents[1]
    with suppress(OSError):  # somebody puts something there meanwhile
        if [*root.iterdir(), *folder.iterdir()] == [folder, lock]:
            lock.unlink()
            folder.rmdir()
            if not there:
                root.rmdir()


def _lock_file(path: Path) -> str:
    """What no other lock file has, in whatever container of whatever machine; no two runs hold one at a time."""
    status = path.stat()
    return f"{boot_id() or uuid.uuid4().hex} {status.st_dev} {status.st_ino}"


def _name() -> str:
    """For people only."""
    return f"process {os.getpid()} on {platform.node()}"
