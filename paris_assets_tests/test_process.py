"""Our processes keep large blocks of memory instead of fetching them from the system each time; others are let be."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from paris_assets.process import child_environment

BLOCKS, PAGES = 10, 24_000  # of 4 KiB: a block of 94 MiB, more than the heap of a further thread can hold
FAULTS = f"""
import json, os, resource, threading
before = dict(os.environ)
%s
changed = {{name: value for name, value in os.environ.items() if before.get(name) != value}}
def work():
    for _ in range({BLOCKS}):
        bytearray({PAGES * 4096})
start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start, changed]))
"""
PREPARE = "from paris_assets.process import prepare_process; prepare_process()"
OURS = ("MALLOC_", "OMP_")

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")


def process(code: str, tmp_path: Path, **variables: str) -> tuple[int, dict[str, Any]]:
    """Page faults of a fresh process that makes and drops blocks, each filled with zeros, after some code; and the
    environment variables that this changed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-c", FAULTS % code]
    environment = {**clean, "PARIS_ROOT": str(tmp_path), **variables}
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    faults, changed = json.loads(done.stdout)
    return faults, changed


@glibc
def test_a_block_is_fetched_once_and_children_are_told(tmp_path: Path) -> None:
    faults, changed = process(PREPARE, tmp_path)
    assert faults < 1.5 * PAGES
    assert changed["OMP_WAIT_POLICY"] == "passive"
    # A child reads the variables when it starts, whatever it runs.
    assert process("pass", tmp_path, **changed)[0] < 1.5 * PAGES


@glibc
def test_variables_of_the_user_win(tmp_path: Path) -> None:
    own = {"MALLOC_MMAP_THRESHOLD_": "33554432", "OMP_WAIT_POLICY": "active"}
    faults, changed = process(PREPARE, tmp_path, **own)
    assert faults > 0.9 * BLOCKS * PAGES
    assert not own.keys() & changed.keys()


@pytest.mark.parametrize("module", ["paris_assets", "paris_assets.cli", "paris_assets.definitions"])
def test_an_import_changes_neither_environment_nor_heap(module: str, tmp_path: Path) -> None:
    faults, changed = process(f"import {module}", tmp_path)
    assert changed.keys() <= {"_RJEM_MALLOC_CONF"}  # polars sets that of its own allocator
    if platform.libc_ver()[0] == "glibc":
        assert faults > 0.9 * BLOCKS * PAGES


LIMITS = "[PIL.Image.MAX_IMAGE_PIXELS, PIL.PngImagePlugin.MAX_TEXT_CHUNK]"


def test_whoever_imports_the_decoder_keeps_the_limits_of_pillow() -> None:
    code = f"import PIL.Image, PIL.PngImagePlugin\nbefore = {LIMITS}\nimport paris_assets.images.decode\n"
    said = f"{code}print(before == {LIMITS}, None in before)"
    assert subprocess.run([sys.executable, "-c", said], check=True, capture_output=True).stdout == b"True False\n"


def test_children_get_what_the_user_has_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert child_environment()["OMP_WAIT_POLICY"] == "passive"
    assert "MALLOC_ARENA_MAX" not in child_environment()
