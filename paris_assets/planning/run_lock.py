"""One `paris run` per root at a time: a second one waits, and then goes on from what the first has made.

On one machine a lock file decides, which the system lets go of however a process ends. A remote root also has a lease:
an object that only one run can create, renewed while it works. One that is not renewed any more is taken over.
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
from contextlib import contextmanager
from pathlib import Path

from paris_assets.storage.location import Location
from paris_assets.storage.lock import exclusive

LEASE = "run.lock"
RENEW_S, EXPIRES_S, POLL_S = 30.0, 180.0, 5.0


@contextmanager
def our_turn(root: Location, home: Path, waiting: Callable[[str], None], lost: Callable[[str], None]) -> Iterator[None]:
    """Hold the root while the context is open.

    Args:
        home: the root's Dagster home on this machine, where the lock file is.
        waiting: called once with the name of another run, before waiting for it to end.
        lost: called with the name of a run that took the lease over because it could not be renewed; the main thread
            is interrupted then.
    """
    # Dagster's home may be deleted at any time, so the lock of a local root lies elsewhere.
    lock = home / "run.lock" if root.remote else Path(root.url) / ".scratch" / "run.lock"
    with exclusive(lock, _name(), waiting):
        if not root.remote:
            yield
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
        status = lock.stat()
        self._root, self._lost, self._token = root, lost, uuid.uuid4().hex
        self._lock = f"{platform.node()} {status.st_dev} {status.st_ino}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def acquire(self, waiting: Callable[[str], None]) -> None:
        told = contested = False
        while True:
            holder = self._holder()
            age = time.time() - float(holder.get("renewed", 0))
            if holder.get("token") == self._token:
                if not contested:
                    break
                contested = False
                time.sleep(POLL_S)  # another that judged the old lease as we did may still delete ours
            elif not holder:
                self._root.create(self._content(), LEASE)
            elif holder.get("lock") == self._lock or age > EXPIRES_S:
                # A run that held our lock file is gone, since we hold it now.
                self._root.delete(LEASE)
                contested = age > EXPIRES_S / 2
            else:
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
        if self._holder().get("token") == self._token:
            self._root.delete(LEASE)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                holder = self._holder()
                if holder.get("token") != self._token:
                    self._lost(str(holder.get("name", "nobody")))
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                self._root.put_bytes(self._content(), LEASE)
            except OSError:
                continue  # out of reach: whoever takes over meanwhile is found at the next look

    def _holder(self) -> dict[str, str | float]:
        try:
            found: dict[str, str | float] = json.loads(self._root.read(LEASE))
        except FileNotFoundError:
            return {}
        return found

    def _content(self) -> bytes:
        mine = {"name": _name(), "lock": self._lock, "token": self._token, "renewed": time.time()}
        return json.dumps(mine).encode()


def _name() -> str:
    return f"process {os.getpid()} on {platform.node()}"
