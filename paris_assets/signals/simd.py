"""Vectors of small whole numbers for compiled passes, where LLVM makes slow ones of a loop, or none.

Shorts are 16 numbers of 16 bits, words 8 of 32: one register of AVX2 each; other CPUs take several for it. Loads and
stores are of whole vectors and look at no bounds: callers see to it that these end within a contiguous array.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic, models, register_model

LANES = 16  # of shorts

_BYTE, _SHORT, _WORD, _PLACE = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES, _SHORTS, _WORDS = ir.VectorType(_BYTE, LANES), ir.VectorType(_SHORT, LANES), ir.VectorType(_WORD, LANES // 2)
_NATIVE_PAIRS = "llvm.x86.avx2.pmadd.wd"
_ELEMENTS = {types.uint8: _BYTE, types.int16: _SHORT}

Shorts = Words = Any  # in annotations of compiled functions
Builder = Value = Any  # of llvmlite, which states no types
Emit = Callable[..., Value]


class _Vector(types.Type):
    """A type of numba that LLVM keeps in registers."""

    def __init__(self, name: str, lanes: ir.VectorType) -> None:
        super().__init__(name)
        self.lanes = lanes


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Vector) -> None:
        super().__init__(manager, kind, kind.lanes)


SHORTS, WORDS = _Vector("Shorts", _SHORTS), _Vector("Words", _WORDS)
_BYTES_IN, _SHORTS_IN = (types.Array(element, 1, "C") for element in _ELEMENTS)


def _operation(result: types.Type, **parameters: types.Type) -> Callable[[Emit], Any]:
    """An intrinsic whose code is `emit(builder, context, *values)`; of an array it is given the address."""

    def declared(emit: Emit) -> Any:
        def code(context: Any, builder: Builder, signature: Any, values: Sequence[Value]) -> Value:
            given = [
                context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, values, strict=True)
            ]
            return emit(builder, context, *given)

        def typed(_: Any, *given: types.Type) -> Any:
            kinds = (_accepted(kind, wanted) for kind, wanted in zip(given, parameters.values(), strict=True))
            return result(*kinds), code

        names = ["context", *parameters]
        kinds = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        typed.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
        typed.__name__ = emit.__name__
        return intrinsic(typed)

    return declared


def _accepted(given: types.Type, wanted: types.Type) -> types.Type:
    """The type that a value is taken as: any array that differs in being read-only alone, or what is wanted."""
    if not isinstance(wanted, types.Array):
        return wanted
    if isinstance(given, types.Array) and (given.dtype, given.ndim, given.layout) == (wanted.dtype, 1, "C"):
        return given
    raise TypingError(f"{given} is no {wanted}")


def _constant(kind: ir.Type, values: Sequence[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(kind, len(values)), [ir.Constant(kind, value) for value in values])


def _shuffled(builder: Builder, first: Value, second: Value, places: Sequence[int]) -> Value:
    return builder.shuffle_vector(first, second, _constant(_WORD, places))


def _loaded(builder: Builder, array: Value, element: ir.Type, place: Value, lanes: int) -> Value:
    vector = ir.VectorType(element, lanes)
    address = builder.gep(array, [place], source_etype=element)
    return builder.load(builder.bitcast(address, vector.as_pointer()), typ=vector, align=1)


def _stored(builder: Builder, array: Value, element: ir.Type, place: Value, vector: Value) -> None:
    address = builder.gep(array, [place], source_etype=element)
    builder.store(vector, builder.bitcast(address, vector.type.as_pointer()), align=1)


def _repeated(builder: Builder, kind: ir.VectorType, values: Sequence[Value]) -> Value:
    """The values in turn, in every lane."""
    vector = ir.Constant(kind, ir.Undefined)
    for lane, value in enumerate(values):
        vector = builder.insert_element(vector, value, _WORD(lane))
    return _shuffled(builder, vector, vector, [lane % len(values) for lane in range(kind.count)])


@_operation(WORDS)
def no_words(builder: Builder, context: Any) -> Value:
    """Eight zeros."""
    return ir.Constant(_WORDS, None)


@_operation(SHORTS, array=_BYTES_IN, place=types.intp)
def shorts_of_bytes(builder: Builder, context: Any, array: Value, place: Value) -> Value:
    """The 16 numbers from a place of a (N,) uint8 on."""
    return builder.zext(_loaded(builder, array, _BYTE, place, LANES), _SHORTS)


@_operation(SHORTS, array=_SHORTS_IN, place=types.intp)
def shorts(builder: Builder, context: Any, array: Value, place: Value) -> Value:
    """The 16 numbers from a place of a (N,) int16 on."""
    return _loaded(builder, array, _SHORT, place, LANES)


@_operation(SHORTS, left=SHORTS, right=SHORTS)
def plus(builder: Builder, context: Any, left: Value, right: Value) -> Value:
    """Sums."""
    return builder.add(left, right)


@_operation(SHORTS, left=SHORTS, right=SHORTS)
def minus(builder: Builder, context: Any, left: Value, right: Value) -> Value:
    """Differences."""
    return builder.sub(left, right)


@_operation(SHORTS, values=SHORTS)
def magnitudes(builder: Builder, context: Any, values: Value) -> Value:
    """Absolute values."""
    return builder.select(builder.icmp_signed("<", values, ir.Constant(_SHORTS, None)), builder.neg(values), values)


@_operation(WORDS, total=WORDS, left=SHORTS, right=SHORTS)
def add_pairs(builder: Builder, context: Any, total: Value, left: Value, right: Value) -> Value:
    """total + the summed products of each two neighbours."""
    native = "+avx2" in context.codegen().magic_tuple()[2]
    return builder.add(total, (_native_pairs if native else _any_pairs)(builder, left, right))


def _native_pairs(builder: Builder, left: Value, right: Value) -> Value:
    kind = ir.FunctionType(_WORDS, [_SHORTS, _SHORTS])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, _NATIVE_PAIRS), [left, right])


def _any_pairs(builder: Builder, left: Value, right: Value) -> Value:
    """The same for CPUs that have no instruction for it."""

    def every_second(vector: Value, first: int) -> Value:
        return builder.sext(_shuffled(builder, vector, vector, range(first, LANES, 2)), _WORDS)

    products = [builder.mul(every_second(left, first), every_second(right, first)) for first in (0, 1)]
    return builder.add(*products)


@_operation(types.int32, words=WORDS)
def total(builder: Builder, context: Any, words: Value) -> Value:
    """The sum of all eight."""
    while words.type.count > 1:
        half = words.type.count // 2
        upper = _shuffled(builder, words, words, range(half, 2 * half))
        words = builder.add(_shuffled(builder, words, words, range(half)), upper)
    return builder.extract_element(words, _WORD(0))


@_operation(types.UniTuple(types.int32, 4), first=WORDS, second=WORDS, third=WORDS, fourth=WORDS)
def totals(builder: Builder, context: Any, *words: Value) -> Value:
    """The sums of four vectors."""

    def neighbours(left: Value, right: Value) -> Value:
        even, odd = (_shuffled(builder, left, right, [i + k for i in (0, 2, 8, 10, 4, 6, 12, 14)]) for k in (0, 1))
        return builder.add(even, odd)

    pairs = neighbours(neighbours(*words[:2]), neighbours(*words[2:]))  # of each, first of the lower halves
    lower, upper = (_shuffled(builder, pairs, pairs, range(start, start + 4)) for start in (0, 4))
    sums = builder.add(lower, upper)
    each = [builder.extract_element(sums, _WORD(i)) for i in range(4)]
    return context.make_tuple(builder, types.UniTuple(types.int32, 4), each)


@_operation(WORDS, high=WORDS, low=WORDS, bits=types.int32)
def joined(builder: Builder, context: Any, high: Value, low: Value, bits: Value) -> Value:
    """high x 2^bits + low."""
    return builder.add(builder.shl(high, _repeated(builder, _WORDS, [bits])), low)


@_operation(WORDS, value=types.int32)
def words(builder: Builder, context: Any, value: Value) -> Value:
    """Eight times one number."""
    return _repeated(builder, _WORDS, [value])


@_operation(SHORTS, first=types.int16, second=types.int16)
def pairs(builder: Builder, context: Any, first: Value, second: Value) -> Value:
    """Eight times two numbers."""
    return _repeated(builder, _SHORTS, [first, second])


@_operation(types.UniTuple(SHORTS, 2), array=_BYTES_IN, place=types.intp)
def colour_pairs(builder: Builder, context: Any, array: Value, place: Value) -> Value:
    """R and G, and G and B, of the 8 pixels from a place of a (N,) uint8 on; four more numbers are loaded."""
    first, second = (_loaded(builder, array, _BYTE, builder.add(place, _PLACE(start)), LANES) for start in (0, 12))
    both, nothing = _shuffled(builder, first, second, range(32)), ir.Constant(ir.VectorType(_BYTE, 32), None)

    def channels(first: int) -> Value:
        chosen = [part + 3 * pixel + first + i for part in (0, 16) for pixel in range(4) for i in (0, 1)]
        with_zeros = [place for number in chosen for place in (number, 32)]
        return builder.bitcast(_shuffled(builder, both, nothing, with_zeros), _SHORTS)

    return context.make_tuple(builder, types.UniTuple(SHORTS, 2), [channels(0), channels(1)])


@_operation(types.none, array=_BYTES_IN, place=types.intp, first=WORDS, second=WORDS, bits=types.int32)
def store_bytes(builder: Builder, context: Any, array: Value, place: Value, *rest: Value) -> Value:
    """Sets 16 numbers of a (N,) uint8, from a place on, to those of two vectors over 2^bits, which are 0 to 255."""
    first, second, bits = rest
    shifts = _repeated(builder, _WORDS, [bits])
    shifted = _shuffled(builder, builder.lshr(first, shifts), builder.lshr(second, shifts), range(LANES))
    _stored(builder, array, _BYTE, place, builder.trunc(shifted, _BYTES))
    return context.get_dummy_value()


@_operation(SHORTS, array=_SHORTS_IN, first=types.intp, second=types.intp, third=types.intp, fourth=types.intp)
def quads(builder: Builder, context: Any, array: Value, *places: Value) -> Value:
    """Four numbers each from four places of a (N,) int16 on."""
    four = ir.Constant(ir.VectorType(_PLACE, 4), ir.Undefined)
    for lane, place in enumerate(places):
        address = builder.gep(array, [place], source_etype=_SHORT)
        loaded = builder.load(builder.bitcast(address, _PLACE.as_pointer()), typ=_PLACE, align=1)
        four = builder.insert_element(four, loaded, _WORD(lane))
    return builder.bitcast(four, _SHORTS)


@_operation(WORDS, first=WORDS, second=WORDS)
def neighbour_sums(builder: Builder, context: Any, first: Value, second: Value) -> Value:
    """The sums of each two neighbours of 16 numbers."""
    return builder.add(*(_shuffled(builder, first, second, range(start, LANES, 2)) for start in (0, 1)))
