"""Arithmetic lane by lane. Each operation takes tiles, single vectors or plain numbers.

Among tiles (all of one type) a number stands for a tile of it; among numbers alone the narrowest float
decides, so that a constant never widens what it meets. Nothing here assumes that NaN and infinity do not
happen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels.core.simd.values import MaskType, TileType, function, splat, suffix, vector_of


def _common(*args: Any) -> Any:
    """Type that the operation runs in: the tiles' own, or the narrowest float's."""
    tiles = {each for each in args if isinstance(each, TileType)}
    if len(tiles) == 1:
        return tiles.pop()
    if tiles or not all(isinstance(each, types.Number) for each in args):
        raise TypingError(f"expected tiles of one type, or numbers, got {args}")
    return types.float32 if types.float32 in args else types.float64


def _mask_of(kind: Any) -> Any:
    """Type of what a comparison gives."""
    if not isinstance(kind, TileType):
        return types.boolean
    return MaskType(kind.rows, kind.vectors, vector_of(kind.dtype).count)


def _count(kind: Any) -> int:
    return kind.count if isinstance(kind, TileType | MaskType) else 1


def _parts(context: Any, builder: Any, kind: Any, given: Any, value: Any) -> list[Any]:
    """Take a value apart into LLVM's vectors; a number becomes as many as there are, all the same."""
    if isinstance(given, TileType | MaskType):
        return [builder.extract_value(value, number) for number in range(given.count)]
    if given == types.boolean:
        return [value] * _count(kind)
    if isinstance(kind, TileType):
        number = context.cast(builder, value, given, kind.dtype)
        return [splat(builder, number, vector_of(kind.dtype))] * kind.count
    return [context.cast(builder, value, given, kind)]


def _whole(context: Any, builder: Any, kind: Any, parts: list[Any]) -> Any:
    """Put LLVM's vectors together again."""
    if not isinstance(kind, TileType | MaskType):
        return parts[0]
    value = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for number, part in enumerate(parts):
        value = builder.insert_value(value, part, number)
    return value


def _typed(operation: Callable, args: tuple[Any, ...], kind: Any = None, result: Any = None) -> Any:
    """Return what an intrinsic returns: its signature, and the code that applies `operation` to each part."""
    kind = _common(*args) if kind is None else kind
    result = kind if result is None else result

    def build(context, builder, signature, values):
        parts = [
            _parts(context, builder, kind, given, value)
            for given, value in zip(signature.args, values)
        ]
        made = [operation(builder, *each) for each in zip(*parts)]
        return _whole(context, builder, result, made)

    return result(*args), build


def _call(name: str) -> Callable:
    """Return an operation that is one of LLVM's own functions."""

    def operation(builder, *parts):
        kind = parts[0].type
        spelled = suffix(kind) if isinstance(kind, ir.VectorType) else _scalar_suffix(kind)
        return builder.call(
            function(builder, f"llvm.{name}.{spelled}", kind, [kind] * len(parts)), parts
        )

    return operation


def _scalar_suffix(kind: Any) -> str:
    return "f32" if kind == ir.FloatType() else "f64"


def _one(operation: Callable, doc: str) -> Any:
    def typed(typing, a):
        return _typed(operation, (a,))

    typed.__doc__ = doc
    return intrinsic(typed)


def _two(operation: Callable, doc: str) -> Any:
    def typed(typing, a, b):
        return _typed(operation, (a, b))

    typed.__doc__ = doc
    return intrinsic(typed)


def _comparison(spelled: str, unordered: bool = False) -> Any:
    def operation(builder, a, b):
        compare = builder.fcmp_unordered if unordered else builder.fcmp_ordered
        return compare(spelled, a, b)

    def typed(typing, a, b):
        kind = _common(a, b)
        return _typed(operation, (a, b), kind, _mask_of(kind))

    typed.__doc__ = f"Where a {spelled} b."
    return intrinsic(typed)


def largest(builder, a, b):
    """One instruction gives b where either is NaN; a second look puts a's NaN back."""
    larger = builder.select(builder.fcmp_ordered(">", a, b), a, b)
    return builder.select(builder.fcmp_unordered("uno", a, a), a, larger)


def least(builder, a, b):
    """As `largest`."""
    smaller = builder.select(builder.fcmp_ordered("<", a, b), a, b)
    return builder.select(builder.fcmp_unordered("uno", a, a), a, smaller)


add = _two(lambda builder, a, b: builder.fadd(a, b), "a + b.")
subtract = _two(lambda builder, a, b: builder.fsub(a, b), "a − b.")
multiply = _two(lambda builder, a, b: builder.fmul(a, b), "a · b.")
divide = _two(lambda builder, a, b: builder.fdiv(a, b), "a / b.")
maximum = _two(largest, "The larger; NaN if either is.")
minimum = _two(least, "The smaller; NaN if either is.")
copysign = _two(_call("copysign"), "a's magnitude with b's sign.")
negative = _one(lambda builder, a: builder.fneg(a), "−a.")
absolute = _one(_call("fabs"), "|a|.")
sqrt = _one(_call("sqrt"), "Square root.")
rint = _one(_call("rint"), "Nearest whole number, of two the even one.")
less = _comparison("<")
less_equal = _comparison("<=")
greater = _comparison(">")
greater_equal = _comparison(">=")
equal = _comparison("==")
unordered = _comparison("uno", unordered=True)
unequal = _comparison("!=", unordered=True)


@intrinsic
def fma(typing, a, b, c):
    """a · b + c, rounded once."""
    return _typed(_call("fma"), (a, b, c))


@intrinsic
def select(typing, mask, a, b):
    """A's lane where the mask is set, else b's."""
    kind = _common(a, b)
    return _typed(lambda builder, m, x, y: builder.select(m, x, y), (mask, a, b), kind)


@intrinsic
def constant(typing, number, like):
    """A number in the type of `like`."""
    kind = _common(like)
    return _typed(lambda builder, x, y: x, (number, like), kind)


@intrinsic
def both(typing, a, b):
    """Where both masks are set."""
    return _typed(lambda builder, x, y: builder.and_(x, y), (a, b), a)


@intrinsic
def either(typing, a, b):
    """Where one of the masks is set."""
    return _typed(lambda builder, x, y: builder.or_(x, y), (a, b), a)


@intrinsic
def flip(typing, a):
    """Where the mask is not set."""
    return _typed(lambda builder, x: builder.not_(x), (a,), a)


@intrinsic
def any_of(typing, mask):
    """Whether any bit is set."""
    if mask == types.boolean:
        return mask(mask), lambda context, builder, signature, args: args[0]

    def build(context, builder, signature, args):
        parts = [builder.extract_value(args[0], number) for number in range(mask.count)]
        total = parts[0]
        for part in parts[1:]:
            total = builder.or_(total, part)
        bits = ir.IntType(mask.lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(total, bits), bits(0))

    return types.boolean(mask), build
