"""The one way of batches onto a device and back, which every network takes, and what happens where memory runs out."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paris_assets.models import batches, device, transfer
from paris_assets.models.batches import BatchStats
from paris_assets.models.device import Placement
from paris_assets.models.registry import KNOWN
from paris_assets_tests.models.every_network import EVERY, ROWS, Sample

CPU = Placement(torch.device("cpu"), torch.float32, "fp32")
FITS = 3
WITHOUT_ATTENTION = ("efficientnet-lite0", "imagenet", "degradation", "small-copy-detector", "sscd", "autoencoder-kl")
ATTENDING = [sample for sample in EVERY if not sample.name.startswith(WITHOUT_ATTENTION)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on which no more than ``FITS`` rows fit."""

    def refusing(function: Callable[..., Any], place: torch.device, inputs: tuple[np.ndarray, ...]) -> Any:
        def full(*tensors: torch.Tensor) -> Any:
            results = function(*tensors)
            if len(tensors[0]) > FITS:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 3")
            return results

        return transfer.computed(full, place, inputs)

    monkeypatch.setattr(device, "computed", refusing)


def test_every_network_that_torch_runs_is_among_them() -> None:
    assert {sample.implementation for sample in EVERY} == {name for name, entry in KNOWN.items() if not entry.runs_as}


@pytest.mark.extended
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("sample", EVERY, ids=lambda sample: sample.name)
def test_out_of_memory_halves_the_batch_of_every_network_and_changes_no_more_than_rounding(
    sample: Sample, folder: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    network, stats = sample.load(folder, device="cpu"), BatchStats()
    whole = sample.results(network)
    request.getfixturevalue("small_device")
    with caplog.at_level(logging.WARNING, "paris_assets"):
        halves = sample.results(network, stats)
    assert stats.halved == {network.name: ROWS // 2}
    said = [record.getMessage() for record in caplog.records if record.name == batches.__name__]
    assert said == [f"{network.name} ran out of memory with batches of {ROWS}: it goes on with {ROWS // 2}"]
    for expected, found in zip(whole, halves, strict=True):
        if expected.dtype.kind == "U":
            assert found.tolist() == expected.tolist()
        else:
            np.testing.assert_allclose(found, expected, atol=1e-3 * (float(np.nanstd(expected)) or 1.0))


@pytest.mark.parametrize("sample", ATTENDING, ids=lambda sample: sample.name)
def test_attention_is_torchs_fused_one(sample: Sample, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, fused = list[int](), torch.nn.functional.scaled_dot_product_attention

    def counted(*arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(1)
        return fused(*arguments, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    sample.results(sample.load(folder, device="cpu"))
    assert calls


def test_inputs_come_as_tensors_without_gradients_and_results_as_arrays() -> None:
    def seen(rows: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert torch.is_inference_mode_enabled()
        assert (rows.dtype, noise.dtype) == (torch.uint8, torch.float32)
        return rows.to(torch.bfloat16) / 3, rows + 1, (rows[:, None] * noise.half())

    rows, noise = np.arange(4, dtype=np.uint8), np.full((4, 2), 0.5, np.float32)
    thirds, more, product = CPU.compute_all(seen, rows, noise)
    assert (thirds.dtype, more.dtype, product.dtype) == (np.float32, np.uint8, np.float16)
    assert np.array_equal(thirds, (torch.arange(4).bfloat16() / 3).float().numpy())
    assert more.tolist() == [1, 2, 3, 4]
    assert np.array_equal(CPU.compute(lambda values: values * 2, rows), rows * 2)
    assert not torch.is_inference_mode_enabled()


def test_while_a_batch_is_waited_for_the_next_one_can_be_queued_and_have_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a processor in the place of the GPU: what is held, and by whom, is the same."""
    made, waited = list[weakref.ref[torch.Tensor]](), list[bool]()

    class Recorded:
        def __init__(self, blocking: bool) -> None:
            assert blocking

        def record(self) -> None:
            assert transfer._QUEUEING.locked()

        def synchronize(self) -> None:
            waited.append(transfer._QUEUEING.locked() or made[0]() is not None)

    def doubled(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result = rows * 2
        made.append(weakref.ref(result))
        return (result,)

    monkeypatch.setattr(torch.Tensor, "pin_memory", torch.Tensor.clone)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "Event", Recorded)
    monkeypatch.setattr(transfer, "_copied", torch.Tensor.clone)
    (found,) = transfer._on_cuda(doubled, torch.device("cpu"), [torch.arange(3)])
    assert found.tolist() == [0, 2, 4]
    assert waited == [False]


def test_constants_of_a_device_are_made_once_and_can_be_trained_through() -> None:
    with torch.inference_mode():
        first = transfer.numbers((0.25, 0.5), torch.device("cpu"))
    assert transfer.numbers((0.25, 0.5), torch.device("cpu")) is first
    weight = torch.ones(2, requires_grad=True)
    (weight * first).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [0.25, 0.5]


def test_a_gpu_has_two_batches_in_flight_and_a_cpu_one_per_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    flights = [
        Placement(torch.device(name), torch.float32, "fp32").in_flight for name in ("cpu", "cuda", "cuda:1", "xpu")
    ]
    assert flights == [7, 2, 2, 1]
