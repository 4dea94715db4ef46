"""Settings of glibc and OpenMP for processes that are ours: the command line, its workers and the children of both.

Importing the package changes nothing: whoever imports it owns the process.
"""

from __future__ import annotations

import ctypes
import os

# glibc returns blocks above 32 MiB to the system by default, and each new one costs a page fault per 4 KiB: a fifth of
# the time of a network on the CPU. Freed blocks of any size are kept instead, in one heap for all threads, because
# those of other threads never hold blocks above 64 MiB. Each variable sets the same as the number of mallopt
# (malloc.h), which is for a process that runs already.
_MALLOPT = {
    "MALLOC_ARENA_MAX": (-8, 1),
    "MALLOC_MMAP_THRESHOLD_": (-3, 2**31 - 1),
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1),
}
# OpenMP threads that wait by spinning take the cores from decoders: six times slower on a busy machine.
_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", **{name: str(value) for name, (_, value) in _MALLOPT.items()}}


def cores() -> int:
    """How many cores this process may use, of a run's processes each its share: OMP_NUM_THREADS, else its affinity."""
    bound = os.environ.get("OMP_NUM_THREADS", "")
    if bound.isdigit() and int(bound):
        return int(bound)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def child_environment() -> dict[str, str]:
    """Variables for a process started from here; those that the user has set are left out."""
    return {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}


def prepare_process() -> None:
    """Set up this process, and through its environment the ones that it starts; the user's own variables win.

    It has to be called before other threads start and before torch, faiss or onnxruntime are loaded.
    """
    lacking = child_environment()
    os.environ.update(lacking)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, (option, value) in _MALLOPT.items():
        if mallopt is not None and name in lacking:
            mallopt(option, value)
