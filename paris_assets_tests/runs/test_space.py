"""What `paris doctor` says of GPUs, on a machine that says it has some."""

from __future__ import annotations

import pytest
import torch

from paris_assets.profiles import load_profile
from paris_assets.runs.space import gpu_lines


@pytest.mark.parametrize(
    ("gpus", "bf16", "said"),
    [
        (1, True, []),
        (4, True, ["`paris run` uses one of 4 GPUs, and all with --workers 4 or --ray"]),
        (
            1,
            False,
            ["no GPU computes in bf16 here, so that precision auto is fp32; fp16, where values fit, is several"],
        ),
    ],
)
def test_gpus_are_told_with_what_uses_all_of_them(
    monkeypatch: pytest.MonkeyPatch, gpus: int, bf16: bool, said: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: ((16 + number) << 30, 24 << 30))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    lines = gpu_lines(load_profile("paris"))
    assert lines[:gpus] == [f"GPU {number}: {16 + number}.0 of 24.0 GiB free" for number in range(gpus)]
    assert len(lines) == gpus + len(said)
    assert all(line.startswith(beginning) for line, beginning in zip(lines[gpus:], said, strict=True))
