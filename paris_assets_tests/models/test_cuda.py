"""On a machine with a GPU: every network computes there what it computes on a CPU, by the same way as in a run.

Not run so far: no GPU could be had. `python -m pytest paris_assets_tests/models/test_cuda.py` on such a machine.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from paris_assets.models import transfer
from paris_assets.models.batches import BatchStats, only, run_padded
from paris_assets.models.device import Placement, native_bf16
from paris_assets.models.threads import side_by_side
from paris_assets_tests.models.every_network import EVERY, Sample

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]
GPU = torch.device("cuda", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.mark.parametrize("sample", EVERY, ids=lambda sample: sample.name)
def test_a_gpu_computes_what_a_cpu_does(sample: Sample, folder: Path) -> None:
    expected, found = (sample.results(sample.load(folder, device=device)) for device in ("cpu", "cuda"))
    for there, here in zip(found, expected, strict=True):
        if here.dtype.kind == "U":
            assert there.tolist() == here.tolist()
            continue
        assert there.dtype == here.dtype
        np.testing.assert_allclose(there, here, rtol=1e-3, atol=2e-3 * (float(np.nanstd(here)) or 1.0))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("sample", EVERY, ids=lambda sample: sample.name)
def test_half_precision_on_a_gpu_is_near_fp32(sample: Sample, precision: str, folder: Path) -> None:
    if precision == "bf16" and not native_bf16("cuda"):
        pytest.skip("this GPU does not compute in bf16")
    exact = sample.results(sample.load(folder, device="cpu"))
    half = sample.results(sample.load(folder, device="cuda", precision=precision))
    for there, here in zip(half, exact, strict=True):
        if here.dtype.kind != "U":  # which words are the likeliest may change
            assert np.nanmean(np.abs(there - here)) < 0.1 * np.nanstd(here) + 1e-3
            assert np.array_equal(np.isnan(there), np.isnan(here))


@pytest.mark.parametrize("sample", EVERY, ids=lambda sample: sample.name)
def test_two_batches_in_flight_give_the_bits_of_one(sample: Sample, folder: Path) -> None:
    network = sample.load(folder, device="cuda")
    assert network.in_flight == 2
    alone = sample.results(network)
    for found in side_by_side([network], lambda _: sample.results(network), range(6)):
        for one, other in zip(found, alone, strict=True):
            assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@pytest.mark.parametrize(
    "sample", [sample for sample in EVERY if sample.name != "blip-2"], ids=lambda sample: sample.name
)
def test_nothing_is_waited_for_but_results(sample: Sample, folder: Path) -> None:
    """BLIP-2 alone has to look at every token."""
    network = sample.load(folder, device="cuda")
    expected = sample.results(network)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = sample.results(network)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def test_a_batch_is_waited_for_alone() -> None:
    """While one thread waits for its results, another queues work: it is not waited for."""
    place = Placement(GPU, torch.float32, "fp32")
    matrix, queued = torch.randn(8192, 8192, device=GPU), threading.Event()

    def short(rows: torch.Tensor) -> torch.Tensor:
        return rows + 1

    def long(rows: torch.Tensor) -> torch.Tensor:
        work = matrix
        for _ in range(50):
            work = work @ matrix / 100
        queued.set()
        return rows + work[0, 0] * 0

    rows = np.zeros(4, np.float32)
    place.compute(long, rows)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(place.compute, long, rows)
        queued.wait(30)
        second = pool.submit(place.compute, short, rows)
        assert np.isfinite(first.result()).all()
        assert second.result().tolist() == [1.0] * 4
    assert not transfer._QUEUEING.locked()


def test_memory_that_really_runs_out_halves_the_batch() -> None:
    free, _ = torch.cuda.mem_get_info(GPU)
    place, each, stats = Placement(GPU, torch.float32, "fp32"), int(free * 0.4) // 4, BatchStats()

    def hungry(rows: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(rows), each, device=rows.device)[:, 0] + rows

    (found,) = run_padded(
        "hungry", only(lambda rows: place.compute(hungry, rows)), 8, stats, np.arange(8, dtype=np.float32)
    )
    assert found.tolist() == [1.0 + row for row in range(8)]
    assert stats.halved == {"hungry": 2}


def test_fp32_is_fp32() -> None:
    """Convolutions, too, which cuDNN would compute with 10 bits."""
    EVERY[0].load(Path(), device="cuda")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
