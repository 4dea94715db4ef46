"""Large blocks of memory are used again, in every thread, instead of being fetched from the system each time."""

import os
import platform
import subprocess
import sys

import pytest

BLOCKS, PAGES = 10, 24_000  # of 4 KiB: a block of 94 MiB, more than the heap of a further thread can hold
FAULTS = f"""
import paris_assets, resource, threading
def work():
    for _ in range({BLOCKS}):
        bytearray({PAGES * 4096})
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")


def faults(**variables: str) -> int:
    """Page faults of a fresh process that makes and drops blocks, each filled with zeros."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS]
    return int(subprocess.run(command, env={**clean, **variables}, capture_output=True, check=True, text=True).stdout)


def test_a_block_is_fetched_once() -> None:
    assert faults() < 1.5 * PAGES


def test_variables_of_the_user_win() -> None:
    assert faults(MALLOC_MMAP_THRESHOLD_="33554432") > 0.9 * BLOCKS * PAGES
