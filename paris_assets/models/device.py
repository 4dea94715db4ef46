"""Where and in which precision a torch network runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from paris_assets.config import Model

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Placement(NamedTuple):
    """A device, a dtype and the precision's name in the manifest."""

    device: torch.device
    dtype: torch.dtype
    precision: str


def place(model: Model) -> Placement:
    """Resolve ``auto``: CUDA before CPU; bf16 where the hardware computes in it (a CPU that emulates it is slower
    than in fp32, and fp16 overflows in some VAEs), else fp32.

    Raises:
        ValueError: a CUDA device is asked for where there is none.
    """
    cuda = torch.cuda.is_available()
    device = torch.device(("cuda" if cuda else "cpu") if model.device == "auto" else model.device)
    if device.type == "cuda" and not cuda:
        raise ValueError(f"{model.implementation}: device {model.device!r} is not available here; set device: auto")
    precision = model.precision
    if precision == "auto":
        native = (
            torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else native_bf16_on_cpu()
        )
        precision = "bf16" if native else "fp32"
    return Placement(device, _DTYPES[precision], precision)


def ready(network: Any, placement: Placement) -> Any:
    """The network for inference on its device; convolutions in channels_last, where they are fastest."""
    network.requires_grad_(False).eval()
    return network.to(device=placement.device, memory_format=torch.channels_last)


def free_memory() -> None:
    """Give back what failed work left behind: tensors in reference circles, and blocks that torch keeps for reuse,
    which are of sizes that a smaller batch does not ask for."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def whole_rows(batch_size: int) -> Iterator[None]:
    """Threads that share a batch evenly: at most as many as now, and a divisor of ``batch_size``.

    torch's channels_last GroupNorm on the CPU adds up partial sums per thread. Where a thread's range ends inside an
    image, that image's last bits depend on its place in the batch and on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(next(count for count in range(before, 0, -1) if batch_size % count == 0))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def native_bf16_on_cpu() -> bool:
    """Whether this CPU computes in bf16 instead of emulating it."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
