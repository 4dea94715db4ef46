"""Group normalisation and SiLU in one C function for training on CPU, compiled when first asked for.

In PyTorch the two take half of a bf16 channels_last training step of this network (group normalisation's backward
alone 44 % on two AVX512-BF16 cores); fused, an eighth. Without a C compiler training works too, only slower.
"""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SOURCE = Path(__file__).with_name("group_norm_silu.c")
CHANNELS = (16, 32, 64, 128)
# What -ffast-math allows; under that name it would also make the whole process take tiny numbers for zero.
REORDERED = ["-fassociative-math", "-freciprocal-math", "-fno-signed-zeros", "-fno-trapping-math", "-fno-math-errno"]


@cache
def compiled() -> ctypes.CDLL:
    """The compiled functions. Raises subprocess.CalledProcessError when the compiler fails."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "group_norm_silu.so"
        flags = ["-O3", "-march=native", "-mprefer-vector-width=512", *REORDERED]
        subprocess.run(["cc", *flags, "-shared", "-fPIC", str(SOURCE), "-o", str(library), "-lmvec", "-lm"], check=True)
        return ctypes.CDLL(str(library))


def _call(function: Any, tensors: list[Tensor], *numbers: int, eps: float | None = None) -> None:
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
    last = [] if eps is None else [ctypes.c_float(eps)]
    function(*pointers, *(ctypes.c_long(number) for number in numbers), *last)


class _GroupNormSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        batch, channels, height, width = x.shape
        y, mean = torch.empty_like(x), torch.empty(batch, channels)
        inverse_std = torch.empty_like(mean)
        shape = (batch, height * width, channels, groups)
        _call(compiled().forward, [x, y, weight, bias, mean, inverse_std], *shape, eps=eps)
        ctx.save_for_backward(x, weight, bias, mean, inverse_std)
        ctx.shape_and_groups = shape
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, bias, mean, inverse_std = ctx.saved_tensors
        dy = gradients[0].contiguous(memory_format=torch.channels_last)
        dx, dweight, dbias = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
        tensors = [dy, x, dx, weight, bias, mean, inverse_std, dweight, dbias]
        _call(compiled().backward, tensors, *ctx.shape_and_groups)
        return dx, dweight, dbias, None, None


class GroupNormSilu(nn.GroupNorm):
    """`silu(group_norm(x))`, for (B, C, H, W); bfloat16 runs in C, anything else in PyTorch."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        if input.dtype == torch.bfloat16:
            return _GroupNormSilu.apply(input, self.weight, self.bias, self.num_groups, self.eps)
        return nn.functional.silu(super().forward(input))


def fuse_group_norm_and_silu(network: nn.Module) -> bool:
    """Fuse every group norm of the network with the SiLU that follows it, in place; weights and their names stay.

    Returns False, and leaves the network alone, on a machine without a C compiler. Raises ValueError when a norm has a
    width that the C code does not know. Only for networks where a SiLU follows each group norm, as in this VAE.
    """
    if shutil.which("cc") is None:
        return False
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.GroupNorm):
            if module.num_channels not in CHANNELS:
                raise ValueError(f"{name} has {module.num_channels} channels, expected one of {CHANNELS}")
            module.__class__ = GroupNormSilu
        for child_name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, child_name, nn.Identity())
    return True
