"""Functions as machine code, by numba.

Compiled code is kept beside the module, or in numba's own folder of the user where that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """A function as machine code, kept on the disk where there is a place for it."""
    try:
        return cast(Function, njit(nogil=True, cache=True)(function))
    except RuntimeError:  # neither folder can be written: compiled in each process
        return cast(Function, njit(nogil=True)(function))


def compiled_sums(function: Function) -> Function:
    """As ``compiled``, for sums of floats in whichever order is fastest: their last bits depend on the kind of CPU."""
    options = {"nogil": True, "fastmath": {"reassoc", "contract"}}
    try:
        return cast(Function, njit(cache=True, **options)(function))
    except RuntimeError:
        return cast(Function, njit(**options)(function))


def inlined(function: Function) -> Function:
    """A part of compiled functions: its code stands where it is called, however long it is."""
    return cast(Function, njit(nogil=True, forceinline=True)(function))


def _typed_product(_: Any, total: Any, left: Any, right: Any) -> Any:
    def code(_: Any, builder: ir.IRBuilder, __: Any, values: Any) -> Any:
        return builder.add(values[0], builder.mul(values[1], values[2]))

    return types.int32(types.int32, types.int32, types.int32), code


def _typed_ones(_: Any, value: Any) -> Any:
    def code(_: Any, builder: ir.IRBuilder, __: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return value(value), code


# How many bits of a whole number are ones; numba has no np.bitwise_count.
ones: Any = intrinsic(_typed_ones)
# total + left * right of int32, whose lanes are twice as many as those of the int64 that numba takes by itself.
add_product: Any = intrinsic(_typed_product)
