"""Worker processes, each with a GPU of its own."""

import os
import signal
from multiprocessing import forkserver, resource_tracker

import pytest

from paris_assets.runs import processes
from paris_assets.runs.processes import take_gpu


@pytest.mark.parametrize(
    ("named", "found", "taken"),
    [("3,5", 8, ["3", "5", "3"]), (None, 2, ["0", "1", "0"]), (None, 0, [None] * 3), ("", 2, [""] * 3)],
    ids=["named", "all", "none", "hidden"],
)
def test_workers_share_the_gpus_out(
    monkeypatch: pytest.MonkeyPatch, named: str | None, found: int, taken: list[str | None]
) -> None:
    monkeypatch.setattr(processes, "gpu_count", lambda: found)
    for number, expected in enumerate(taken):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if named is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        take_gpu(number)
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == expected


def test_ctrl_c_reaches_no_process_that_workers_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[set[int]] = []

    def start() -> None:
        resource_tracker.ensure_running()  # as the real one does first
        held.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))

    monkeypatch.setattr(forkserver, "ensure_running", start)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    processes.start_fork_server(2)
    assert signal.SIGINT in held[0]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
