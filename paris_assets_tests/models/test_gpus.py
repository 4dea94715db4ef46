"""Which GPUs a process sees, and that those who see several take different ones: on machines that have none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paris_assets.models import gpus

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("named", "found", "visible"),
    [
        ("3,5", 8, ["3", "5"]), (None, 2, ["0", "1"]), (None, 0, []), ("", 2, []), ("-1", 2, []), ("1,-1,0", 2, ["1"]),
        ("GPU-8932f937, GPU-1", 8, ["GPU-8932f937", "GPU-1"]),
    ],
)  # fmt: skip
def test_gpus_are_those_that_the_environment_names_or_all(
    monkeypatch: pytest.MonkeyPatch, named: str | None, found: int, visible: list[str]
) -> None:
    monkeypatch.setattr(gpus, "gpu_count", lambda: found)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    if named is not None:
        monkeypatch.setenv(gpus.VISIBLE, named)
    assert gpus.visible_gpus() == visible


def test_processes_that_see_several_gpus_take_different_ones(tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT)}
    take = "from paris_assets.models.gpus import own_gpu; print(own_gpu(), own_gpu(), flush=True); input()"
    started = []
    for expected in ("0 0", "1 1"):
        taker = subprocess.Popen(
            [sys.executable, "-c", take], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(taker)
        assert taker.stdout is not None
        assert taker.stdout.readline().strip() == expected
    started[0].communicate("\n")
    after = subprocess.run([sys.executable, "-c", take], env=environment, input="\n", capture_output=True, text=True)
    assert after.stdout.strip() == "0 0", "a process that ended has let go of its GPU"
    started[1].communicate("\n")
