from __future__ import annotations

import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException as OnnxError

from paris_assets.images.decode import Undecodable
from paris_assets.models.batches import BatchStats, OutOfMemory, batched, float16, run_padded
from paris_assets.models.decoding import decode


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(1, 40), size=st.integers(1, 16))
def test_every_row_keeps_its_own_result_and_every_batch_has_one_size(rows: int, size: int) -> None:
    seen: list[int] = []

    def double(batch: np.ndarray) -> tuple[np.ndarray]:
        seen.append(len(batch))
        return (batch * 2,)

    stats = BatchStats()
    (result,) = run_padded("double", double, size, stats, np.arange(rows))
    assert result.tolist() == [2 * row for row in range(rows)]
    assert set(seen) == {size}
    assert (stats.rows, stats.batches, stats.halved) == (rows, -(-rows // size), {})


def test_texts_are_padded_with_empty_ones() -> None:
    (lengths,) = run_padded("len", lambda texts: (np.array([len(t) for t in texts]),), 4, BatchStats(), ["a", "bb"])
    assert lengths.tolist() == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA out of memory. Tried to allocate"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OnnxError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 9"),
        MemoryError(),
    ],
    ids=["cuda", "cublas", "onnxruntime", "python"],
)
def test_out_of_memory_halves_the_batch_and_is_recorded(error: Exception) -> None:
    sizes: list[int] = []

    def greedy(batch: np.ndarray) -> tuple[np.ndarray]:
        sizes.append(len(batch))
        if len(batch) > 4:
            raise error
        return (batch + 1,)

    stats = BatchStats()
    (first,) = run_padded("greedy", greedy, 16, stats, np.arange(10))
    (second,) = run_padded("greedy", greedy, 16, stats, np.arange(3))
    assert first.tolist() == list(range(1, 11))
    assert second.tolist() == [1, 2, 3]
    assert stats.halved == {"greedy": 4}
    assert sizes == [16, 8, 4, 4, 4, 4]


def test_batches_side_by_side_are_counted_and_halved_together() -> None:
    stats, barrier = BatchStats(), threading.Barrier(4)

    def greedy(batch: np.ndarray) -> tuple[np.ndarray]:
        if len(batch) == 8:
            barrier.wait(10)  # all four are too large before one is halved
        if len(batch) > 2:
            raise MemoryError
        return (batch,)

    def run(_: int) -> None:
        run_padded("greedy", greedy, 8, stats, np.arange(8))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert (stats.rows, stats.batches, stats.halved) == (32, 16, {"greedy": 2})


def test_a_failed_batch_leaves_no_tensor_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    held: list[weakref.ref[torch.Tensor]] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(held[-1]() is None))

    def network(batch: np.ndarray) -> tuple[np.ndarray]:
        hidden = torch.zeros(1000)
        if len(batch) > 2:
            held.append(weakref.ref(hidden))
            error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            raise error  # named, so that frame and error refer to each other
        return (batch,)

    (result,) = run_padded("network", network, 8, BatchStats(), np.arange(8))
    assert result.tolist() == list(range(8))
    # Both times the tensor is gone before the cache is emptied, so its memory is given back, too.
    assert emptied == [True, True]


def test_other_failures_and_a_batch_of_one_that_does_not_fit_are_raised() -> None:
    def broken(_: np.ndarray) -> tuple[np.ndarray]:
        raise RuntimeError("shape mismatch")

    def huge(_: np.ndarray) -> tuple[np.ndarray]:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total of 3 GiB")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        run_padded("broken", broken, 4, BatchStats(), np.arange(2))
    said = r"huge runs out of memory with a batch of one \(CUDA out of memory\): use a device with more memory"
    with pytest.raises(OutOfMemory, match=said) as raised:
        run_padded("huge", huge, 4, BatchStats(), np.arange(2))
    # The innermost error is what a person is told of: it is this sentence.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_an_undecodable_image_is_named() -> None:
    with pytest.raises(Undecodable, match="image abc123 cannot be decoded"):
        decode("abc123", b"\xff\xd8\xff\xe0 truncated", None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 70_000.0])
def test_values_that_float16_cannot_hold_name_their_image(bad: float) -> None:
    values = np.ones((3, 2, 2), np.float32)
    values[1, 0, 1] = bad
    with pytest.raises(ValueError, match="vae: 1 images have values that are not finite in float16, first b"):
        float16(values, ["a", "b", "c"], "vae")


def test_batches_are_full_but_for_the_last() -> None:
    assert [len(batch) for batch in batched(range(10), 4)] == [4, 4, 2]
