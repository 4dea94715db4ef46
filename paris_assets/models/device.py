"""Where and in which precision a torch network runs."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from paris_assets.config import Model
from paris_assets.models.gpus import own_gpu
from paris_assets.models.transfer import Tensors, computed
from paris_assets.process import cores

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Of ONEDNN_MAX_CPU_ISA and its older name DNNL_MAX_CPU_ISA: instruction sets without bf16 products.
_WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}


class Placement(NamedTuple):
    """A device, a dtype and the precision's name in the manifest."""

    device: torch.device
    dtype: torch.dtype
    precision: str

    @property
    def in_flight(self) -> int:
        """Batches to run at once: on a CPU one per core, see ``threads.side_by_side``; on a GPU two, see ``transfer``;
        another device takes one."""
        return cores() if self.device.type == "cpu" else 2 if self.device.type == "cuda" else 1

    def compute(self, function: Callable[..., torch.Tensor], *inputs: np.ndarray) -> np.ndarray:
        """What ``function`` makes of inputs on the device; the way of every network's batches, see ``transfer``."""
        return self.compute_all(lambda *tensors: (function(*tensors),), *inputs)[0]

    def compute_all(self, function: Callable[..., Tensors], *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """As ``compute``, of several tensors."""
        return computed(function, self.device, inputs)


def place(model: Model) -> Placement:
    """Device and dtype of a network; ``auto`` as ``best_device`` and ``best_precision`` resolve it here, and ``cuda``
    is this process's own GPU.

    Raises:
        ValueError: a CUDA device is asked for where there is none.
    """
    device = torch.device(best_device() if model.device == "auto" else model.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{model.implementation}: device {model.device!r} is not available here; set device: cpu")
    if device.type == "cuda":
        # What is to be fp32 is: cuDNN would round the inputs of its convolutions to 10 bits unasked.
        torch.backends.cudnn.allow_tf32 = False
        device = torch.device("cuda", own_gpu() if device.index is None else device.index)
    precision = best_precision(device.type) if model.precision == "auto" else model.precision
    return Placement(device, _DTYPES[precision], precision)


def best_device() -> str:
    """CUDA before CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def best_precision(device: str) -> str:
    """bf16 where the hardware computes in it (a CPU that emulates it is slower than in fp32, and fp16 overflows in some
    VAEs), else fp32."""
    return "bf16" if native_bf16(device) else "fp32"


def native_bf16(device: str) -> bool:
    """Whether a device of this type computes in bf16 instead of emulating it."""
    if device.startswith("cuda"):
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return native_bf16_on_cpu()


def native_bf16_on_cpu() -> bool:
    """Whether this CPU computes in bf16; one that is told to act as an older one (``ATEN_CPU_CAPABILITY``,
    ``ONEDNN_MAX_CPU_ISA``) does as that one would."""
    if _isa_limit().upper() in _WITHOUT_BF16 or torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"):
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def lacking(device: str, precision: str) -> str | None:
    """What is needed to compute on a device in a precision natively, and what this machine has; None where it can."""
    try:
        place = torch.device(device)
    except RuntimeError:
        return f"torch knows no device {device!r}, and this machine has {best_device()}"
    gpus, wanted = torch.cuda.device_count(), (place.index or 0) + 1
    if place.type == "cuda" and wanted > gpus:
        return f"device {device} needs {wanted} GPU{'s' if wanted > 1 else ''}, and this machine has {gpus or 'none'}"
    if precision != "bf16" or native_bf16(place.type):
        return None
    if place.type == "cuda":
        return (
            f"precision bf16 needs a GPU that computes in it, and this machine has {torch.cuda.get_device_name(place)}"
        )
    limit = f", limited to {_isa_limit()}" if _isa_limit() else ""
    has = f"{torch.backends.cpu.get_cpu_capability()}{limit}"
    return f"precision bf16 needs a CPU that computes in it (AVX512-BF16 or AMX), and this machine has {has}"


def _isa_limit() -> str:
    return os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""


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
