"""Arithmetic lane by lane: the same on tiles, on single vectors and on plain numbers.

So a formula is written once. Called with a number it is a scalar formula, which the compiler may spread
over vectors by itself in a plain loop; called with a vector it computes that. As in `tile`, the bodies say
in NumPy what is meant. Tiles and vectors also take + − · / and the comparisons, whose answer `select`
understands; masks take & | ~.

Among vectors a number stands for a vector of it. Among numbers the narrowest float decides: a constant
never widens what it meets. (The operators of plain numbers are Python's own, which do widen: `constant`
gives a number the type of its neighbours.)
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels.core.simd import lowering as _lowering
from kernels.core.simd.values import MaskType, TileType

lowering: Any = _lowering  # typed by Numba


def fma(a: Any, b: Any, c: Any) -> Any:
    """Return a · b + c, rounded once."""
    return a * b + c


def select(mask: Any, a: Any, b: Any) -> Any:
    """Return a's lane where the mask is set, else b's."""
    return np.where(mask, a, b)


def maximum(a: Any, b: Any) -> Any:
    """Return the larger; NaN if either is."""
    return np.maximum(a, b)


def minimum(a: Any, b: Any) -> Any:
    """Return the smaller; NaN if either is."""
    return np.minimum(a, b)


def copysign(a: Any, b: Any) -> Any:
    """Return a's magnitude with b's sign."""
    return np.copysign(a, b)


def absolute(a: Any) -> Any:
    """Return |a|."""
    return np.abs(a)


def sqrt(a: Any) -> Any:
    """Return the square root."""
    return np.sqrt(a)


def rint(a: Any) -> Any:
    """Return the nearest whole number, of two the even one."""
    return np.rint(a)


def unordered(a: Any, b: Any) -> Any:
    """Return where either is NaN."""
    return np.isnan(a) | np.isnan(b)


def any_of(mask: Any) -> Any:
    """Return whether a mask is set anywhere."""
    return np.any(mask)


def constant(number: Any, like: Any) -> Any:
    """Return a number in the type of `like`: a number, or a vector of it."""
    return np.full_like(like, number)


@overload(fma)
def _fma(a, b, c):
    return lambda a, b, c: lowering.fma(a, b, c)


@overload(select)
def _select(mask, a, b):
    return lambda mask, a, b: lowering.select(mask, a, b)


@overload(maximum)
def _maximum(a, b):
    return lambda a, b: lowering.maximum(a, b)


@overload(minimum)
def _minimum(a, b):
    return lambda a, b: lowering.minimum(a, b)


@overload(copysign)
def _copysign(a, b):
    return lambda a, b: lowering.copysign(a, b)


@overload(absolute)
def _absolute(a):
    return lambda a: lowering.absolute(a)


@overload(sqrt)
def _sqrt(a):
    return lambda a: lowering.sqrt(a)


@overload(rint)
def _rint(a):
    return lambda a: lowering.rint(a)


@overload(unordered)
def _unordered(a, b):
    return lambda a, b: lowering.unordered(a, b)


@overload(any_of)
def _any_of(mask):
    return lambda mask: lowering.any_of(mask)


@overload(constant)
def _constant(number, like):
    return lambda number, like: lowering.constant(number, like)


def _tiles(a: Any, b: Any) -> bool:
    """Whether an operator is ours: a tile with its like, or with a number."""
    mine = isinstance(a, TileType) or isinstance(b, TileType)
    return mine and (a == b or isinstance(a, types.Number) or isinstance(b, types.Number))


def _operator(symbol: Any, function: Any) -> None:
    @overload(symbol)
    def _(a, b):
        return (lambda a, b: function(a, b)) if _tiles(a, b) else None


for _symbol, _function in (
    (operator.add, lowering.add),
    (operator.sub, lowering.subtract),
    (operator.mul, lowering.multiply),
    (operator.truediv, lowering.divide),
    (operator.lt, lowering.less),
    (operator.le, lowering.less_equal),
    (operator.gt, lowering.greater),
    (operator.ge, lowering.greater_equal),
    (operator.eq, lowering.equal),
    (operator.ne, lowering.unequal),
):
    _operator(_symbol, _function)


@overload(operator.neg)
def _negative(a):
    return (lambda a: lowering.negative(a)) if isinstance(a, TileType) else None


@overload(operator.and_)
def _both(a, b):
    return (lambda a, b: lowering.both(a, b)) if isinstance(a, MaskType) and a == b else None


@overload(operator.or_)
def _either(a, b):
    return (lambda a, b: lowering.either(a, b)) if isinstance(a, MaskType) and a == b else None


@overload(operator.invert)
def _flip(a):
    return (lambda a: lowering.flip(a)) if isinstance(a, MaskType) else None
