"""Single vectors: LANES neighbours in memory, computed with as one, and blocks of them turned round.

As in `tile`, the bodies say in NumPy what is meant. Vectors take + and −.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numba.extending import overload

from kernels.core.simd import lowering as _lowering
from kernels.core.simd.values import TileType
from kernels.core.simd.width import lanes_of

lowering: Any = _lowering  # typed by Numba


def lanes(array: np.ndarray) -> int:
    """Elements of one vector of this array's dtype."""
    return lanes_of(array.dtype)


def vector(a: np.ndarray, start: int) -> Any:
    """Return a[start : start + LANES]."""
    return a[start : start + lanes(a)].copy()


def put_vector(value: Any, a: np.ndarray, start: int) -> None:
    """Write a vector to a[start : start + LANES]."""
    a[start : start + lanes(a)] = value


def scale(a: Any, number: float) -> Any:
    """Return a · number."""
    return a * a.dtype.type(number)


def scale_add(a: Any, number: float, b: Any) -> Any:
    """Return a · number + b, rounded once."""
    return a * a.dtype.type(number) + b


def transpose(
    source: np.ndarray,
    start: int,
    stride: int,
    rows: int,
    width: int,
    target: np.ndarray,
    place: int,
    step: int,
    keep: int,
) -> None:
    """Transpose a block of at most LANES × LANES in registers.

    Element (i, j) of the rows at start, start + stride, … goes to place + j·step + i. Only rows × width
    are read; `width` rows of `keep` are written, zero beyond `rows`.
    """
    for j in range(width):
        for i in range(keep):
            inside = i < rows
            target[place + j * step + i] = source[start + i * stride + j] if inside else 0


@overload(lanes)
def _lanes(array):
    count = lanes_of(str(array.dtype))
    return lambda array: count


@overload(vector)
def _vector(a, start):
    return lambda a, start: lowering.vector(a, start)


@overload(put_vector)
def _put_vector(value, a, start):
    return lambda value, a, start: lowering.put_vector(value, a, start)


@overload(scale)
def _scale(a, number):
    return lambda a, number: lowering.scale(a, number)


@overload(scale_add)
def _scale_add(a, number, b):
    return lambda a, number, b: lowering.scale_add(a, number, b)


@overload(operator.add)
def _add(a, b):
    if isinstance(a, TileType) and a == b:
        return lambda a, b: lowering.add(a, b)
    return None


@overload(operator.sub)
def _subtract(a, b):
    if isinstance(a, TileType) and a == b:
        return lambda a, b: lowering.subtract(a, b)
    return None


@overload(transpose)
def _transpose(source, start, stride, rows, width, target, place, step, keep):
    return lambda source, start, stride, rows, width, target, place, step, keep: lowering.transpose(
        source, start, stride, rows, width, target, place, step, keep
    )
