"""Which GPUs this process may use, and which one is its own. Loads no network library where a file tells."""

from __future__ import annotations

import os
from functools import cache
from itertools import takewhile
from pathlib import Path

from paris_assets.storage.lock import taken
from paris_assets.storage.private_folder import private_folder

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> list[str]:
    """GPUs by the names that ``CUDA_VISIBLE_DEVICES`` gives them, else by their numbers; as CUDA does, what follows a
    number below 0 is left out."""
    named = os.environ.get(VISIBLE)
    if named is None:
        return [str(number) for number in range(gpu_count())]
    return list(takewhile(lambda name: name and not name.startswith("-"), map(str.strip, named.split(","))))


def gpu_count() -> int:
    """GPUs of this machine; torch, which takes seconds to load, is asked only where no file of the driver tells."""
    found = sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia*"))
    if found or not any(Path(other).exists() for other in ("/dev/kfd", "/dev/dxg")):
        return found
    from torch import cuda

    return cuda.device_count()


@cache
def own_gpu() -> int:
    """Index of the GPU, among those visible, on which this process runs all its networks: the first that no other
    process of this user has taken so, or by turns where all are.

    A worker of `paris run` sees one alone. Runs that Dagster starts see all, as many at once as its pool ``gpu`` lets.
    """
    gpus = visible_gpus()
    if len(gpus) < 2:
        return 0
    folder = private_folder()
    free = (index for index, name in enumerate(gpus) if taken(folder / f"gpu-{name.replace('/', '_')}.lock"))
    return next(free, os.getpid() % len(gpus))
