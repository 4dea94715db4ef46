"""Web image lists to training shards for decentralised diffusion experts."""

import ctypes
import os

# OpenMP threads that wait by spinning take the cores from decoders: six times slower on a busy machine. It has to be
# set before torch or onnxruntime is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Numbers of glibc's mallopt (malloc.h), by the environment variable that sets the same in processes started from here.
_MALLOPT = {
    "MALLOC_ARENA_MAX": (-8, 1),
    "MALLOC_MMAP_THRESHOLD_": (-3, 2**31 - 1),
    "MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1),
}


def _keep_large_blocks() -> None:
    """Let all threads share one heap that keeps freed blocks of any size, unless the user's variables say otherwise.

    By default glibc returns blocks above 32 MiB to the system, and each new one costs a page fault per 4 KiB: a fifth
    of the time of a network on the CPU. One heap, because those of other threads never hold blocks above 64 MiB; it has
    to be set before threads start.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for variable, (option, value) in _MALLOPT.items():
        if mallopt is not None and variable not in os.environ:
            os.environ[variable] = str(value)
            mallopt(option, value)


_keep_large_blocks()
