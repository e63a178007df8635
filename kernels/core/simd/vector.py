"""Single vectors: LANES neighbours in memory, on their way in and out, and blocks of them turned round.

As in `tile`, the bodies say in NumPy what is meant. What is computed with vectors stands in `elementwise`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from kernels.core.simd import lowering as _lowering
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


def vector_part(a: np.ndarray, start: int, count: int) -> Any:
    """Return a vector of which only the first `count` lanes are read; the rest is zero."""
    value = np.zeros(lanes(a), a.dtype)
    count = max(0, min(count, lanes(a)))
    value[:count] = a[start : start + count]
    return value


def put_vector_part(value: Any, a: np.ndarray, start: int, count: int) -> None:
    """Write the first `count` lanes; nothing else is touched."""
    count = max(0, min(count, lanes(a)))
    a[start : start + count] = value[:count]


def vector_between(a: np.ndarray, start: int, low: int, high: int, fill: float) -> Any:
    """Return a vector of which only the lanes [low, high) are read; the others are `fill`."""
    value = splat(fill, a)
    low, high = max(0, low), min(high, lanes(a))
    if low < high:
        value[low:high] = a[start + low : start + high]
    return value


def vector_apart(a: np.ndarray, start: int, step: int, low: int, high: int, fill: float) -> Any:
    """Return a[start], a[start + step], …: of which only the lanes [low, high) are read."""
    value = splat(fill, a)
    for lane in range(max(0, low), min(high, lanes(a))):
        value[lane] = a[start + lane * step]
    return value


def put_vector_apart(value: Any, a: np.ndarray, start: int, step: int, low: int, high: int) -> None:
    """Write the lanes [low, high) of those that belong to a[start], a[start + step], …"""
    for lane in range(max(0, low), min(high, lanes(a))):
        a[start + lane * step] = value[lane]


def put_vector_between(value: Any, a: np.ndarray, start: int, low: int, high: int) -> None:
    """Write the lanes [low, high); nothing else is touched."""
    low, high = max(0, low), min(high, lanes(a))
    if low < high:
        a[start + low : start + high] = value[low:high]


def splat(number: float, like: np.ndarray) -> Any:
    """Return a vector of the array's dtype, all of whose lanes are `number`."""
    return np.full(lanes(like), number, like.dtype)


def sum_of(value: Any) -> Any:
    """Return the sum of all lanes: half added to half until one is left."""
    return _folded(value, np.add)


def largest_of(value: Any) -> Any:
    """Return the largest lane; NaN if there is one."""
    return _folded(value, np.maximum)


def _folded(value: Any, fold: Any) -> Any:
    while len(value) > 1:
        value = fold(value[: len(value) // 2], value[len(value) // 2 :])
    return value[0]


def deinterleave(low: Any, high: Any) -> tuple[Any, Any]:
    """Return the even and the odd places of two vectors in the order of memory."""
    pair = np.concatenate([low, high])
    return pair[::2].copy(), pair[1::2].copy()


def shifted(low: Any, high: Any, by: int) -> Any:
    """Return the LANES from `by`, a constant, on of two vectors in the order of memory.

    A negative `by` counts from the second: −1 is the last of `low`, then `high` without its last.
    """
    by = by % len(low) if by < 0 else by
    return np.concatenate([low, high])[by : by + len(low)]


def interleave(even: Any, odd: Any) -> tuple[Any, Any]:
    """Undo `deinterleave`: two vectors in the order of memory."""
    pair = np.stack([even, odd], 1).reshape(2, -1)
    return pair[0], pair[1]


def numbers(a: np.ndarray, start: int, count: int, base: int, step: int, like: np.ndarray) -> Any:
    """Return the integers a[start + lane] − (base + lane · step) as floats of `like`'s dtype.

    Only the first `count` are read; the others are 0 − (base + lane · step). For integers of 8 or 16 bits base
    and step must fit 32.
    """
    whole = np.zeros(lanes(like), np.int64)
    count = max(0, min(count, len(whole)))
    whole[:count] = a[start : start + count]
    with np.errstate(over="ignore"):
        return (whole - (base + step * np.arange(len(whole)))).astype(like.dtype)


def put_integers(value: Any, a: np.ndarray, start: int, count: int, base: int, step: int) -> None:
    """Write the first `count` lanes, whole numbers, plus base + lane · step, to an array of integers."""
    count = max(0, min(count, len(value)))
    a[start : start + count] = value[:count].astype(np.int64) + base + step * np.arange(count)


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


@overload(vector_part)
def _vector_part(a, start, count):
    return lambda a, start, count: lowering.vector_part(a, start, count)


@overload(put_vector_part)
def _put_vector_part(value, a, start, count):
    return lambda value, a, start, count: lowering.put_vector_part(value, a, start, count)


@overload(splat)
def _splat(number, like):
    return lambda number, like: lowering.splat(number, like)


@overload(sum_of)
def _sum_of(value):
    return lambda value: lowering.reduced(value, "sum")


@overload(largest_of)
def _largest_of(value):
    return lambda value: lowering.reduced(value, "max")


@overload(deinterleave)
def _deinterleave(low, high):
    return lambda low, high: lowering.deinterleave(low, high)


@overload(shifted, prefer_literal=True)
def _shifted(low, high, by):
    return lambda low, high, by: lowering.shifted(low, high, by)


@overload(vector_between)
def _vector_between(a, start, low, high, fill):
    return lambda a, start, low, high, fill: lowering.vector_between(a, start, low, high, fill)


@overload(vector_apart)
def _vector_apart(a, start, step, low, high, fill):
    return lambda a, start, step, low, high, fill: lowering.vector_apart(
        a, start, step, low, high, fill
    )


@overload(put_vector_apart)
def _put_vector_apart(value, a, start, step, low, high):
    return lambda value, a, start, step, low, high: lowering.put_vector_apart(
        value, a, start, step, low, high
    )


@overload(put_vector_between)
def _put_vector_between(value, a, start, low, high):
    return lambda value, a, start, low, high: lowering.put_vector_between(
        value, a, start, low, high
    )


@overload(interleave)
def _interleave(even, odd):
    return lambda even, odd: lowering.interleave(even, odd)


@overload(numbers)
def _numbers(a, start, count, base, step, like):
    return lambda a, start, count, base, step, like: lowering.numbers(
        a, start, count, base, step, like
    )


@overload(put_integers)
def _put_integers(value, a, start, count, base, step):
    return lambda value, a, start, count, base, step: lowering.put_integers(
        value, a, start, count, base, step
    )


@overload(transpose)
def _transpose(source, start, stride, rows, width, target, place, step, keep):
    return lambda source, start, stride, rows, width, target, place, step, keep: lowering.transpose(
        source, start, stride, rows, width, target, place, step, keep
    )
