"""Rows to a device and results back, so that a GPU has its next batch before it has finished the last.

Two threads feed a GPU (``device.Placement.in_flight``), on its one stream. While one waits for results, the other
stacks its rows, copies them into pinned memory and queues its work behind. Only one at a time queues work: the
intermediate values of two batches never exist side by side, so that what fits does not depend on how threads meet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Lock

import numpy as np
import torch
from torch import Tensor

Tensors = tuple[Tensor, ...]
_QUEUEING = Lock()


def computed(
    function: Callable[..., Tensors], device: torch.device, inputs: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Results of ``function`` on inputs that were copied to a device, without gradients.

    Args:
        function: queues work on the device; what it asks of a value there (``item``, a mask as an index) would wait.

    Returns:
        one array per tensor; bf16, which numpy has not, as float32.
    """
    with torch.inference_mode():
        tensors = [torch.from_numpy(array) for array in inputs]
        if device.type == "cuda":
            return _on_cuda(function, device, tensors)
        results = function(*(tensor.to(device) for tensor in tensors))
        return tuple(_known_to_numpy(result.cpu()).numpy() for result in results)


@cache
def numbers(values: tuple[float, ...], device: torch.device) -> Tensor:
    """(N,) float32 on a device, copied there once: each copy of numbers that are not pinned waits for all that a GPU
    has yet to do."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)


def _on_cuda(function: Callable[..., Tensors], device: torch.device, tensors: list[Tensor]) -> tuple[np.ndarray, ...]:
    pinned = [tensor.pin_memory() for tensor in tensors]
    with torch.cuda.device(device):
        with _QUEUEING:
            # Nothing holds the results: the batch behind takes their memory, which the one stream hands on in order.
            copies = [_copied(result) for result in function(*(each.to(device, non_blocking=True) for each in pinned))]
            # Waiting by sleep, as decoders need the core; and for this batch alone, not for the one queued behind it.
            done = torch.cuda.Event(blocking=True)
            done.record()
        done.synchronize()
    # Pinned memory is reused batch by batch, while results are kept for a whole shard.
    return tuple(_known_to_numpy(copy).numpy().copy() for copy in copies)


def _copied(result: Tensor) -> Tensor:
    """In pinned memory, once the device has come so far."""
    target = torch.empty(result.shape, dtype=result.dtype, pin_memory=True)
    return target.copy_(result, non_blocking=True)


def _known_to_numpy(values: Tensor) -> Tensor:
    return values.float() if values.dtype == torch.bfloat16 else values
