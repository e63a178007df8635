"""The register tile: ROWS × columns sums, and what a loop does with them.

The bodies are the specification, in NumPy; compiled code takes the vectors of `lowering`. Arrays are
one-dimensional, and places in them are given as a start and the distance between rows, which is never
checked: whoever calls has counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from kernels.core.simd import lowering as _lowering
from kernels.core.simd.width import ROWS, columns_of, lanes_of

lowering: Any = _lowering  # typed by Numba


def columns(array: np.ndarray) -> int:
    """Columns of the tile for this array's dtype."""
    return columns_of(array.dtype)


def zero(like: np.ndarray) -> np.ndarray:
    """Return a tile of zeros, of the array's dtype."""
    return np.zeros((ROWS, columns(like)), like.dtype)


def zero_of(like: np.ndarray, rows: int, vectors: int) -> np.ndarray:
    """Return a tile of zeros of another shape: rows × vectors, both constants, at most ROWS rows."""
    return np.zeros((rows, vectors * lanes_of(like.dtype)), like.dtype)


def alike(values: np.ndarray, start: int, rows: int, vectors: int) -> Any:
    """Return a tile of rows × vectors, both constants, whose rows are all the values from `start` on."""
    tile = zero_of(values, rows, vectors)
    return tile + values[start : start + tile.shape[1]]


def row_of(values: np.ndarray, start: int) -> Any:
    """Return a tile whose rows are all values[start : start + columns]."""
    return zero(values) + values[start : start + columns(values)]


def rows_of(values: np.ndarray, start: int) -> Any:
    """Return a tile whose row i is values[start + i] throughout."""
    return zero(values) + values[start : start + ROWS, None]


def relu(tile: Any) -> Any:
    """Clip below at zero; NaN stays."""
    return np.where(tile < 0, tile.dtype.type(0), tile)


def load(c: np.ndarray, start: int, stride: int) -> np.ndarray:
    """Return the tile whose rows begin at start, start + stride, …"""
    return load_part(c, start, stride, ROWS, columns(c))


def load_part(c: np.ndarray, start: int, stride: int, rows: int, width: int) -> np.ndarray:
    """Return a tile of which only rows × width are read; the rest is zero."""
    tile = zero(c)
    for i in range(rows):
        tile[i, :width] = c[start + i * stride : start + i * stride + width]
    return tile


def multiply_add(tile: Any, a: np.ndarray, ia: int, step: int, b: np.ndarray, ib: int) -> Any:
    """Add the outer product of a[ia], a[ia + step], … (ROWS of them) and b[ib : ib + columns]."""
    return tile + np.outer([a[ia + i * step] for i in range(len(tile))], b[ib : ib + tile.shape[1]])


def multiply_add_at(tile: Any, a: np.ndarray, places: Any, ia: int, b: np.ndarray, ib: int) -> Any:
    """Add the outer product of a[places[i] + ia] for each row i and b[ib : ib + columns]."""
    lefts = [a[place + ia] for place in places[: len(tile)]]
    return tile + np.outer(lefts, b[ib : ib + tile.shape[1]])


def places_of(numbers: np.ndarray, start: int) -> tuple[int, ...]:
    """Return numbers[start : start + ROWS] as a tuple, which stays in registers."""
    return tuple(int(number) for number in numbers[start : start + ROWS])


def prefetch(array: np.ndarray, start: int, count: int) -> None:
    """Bring array[start : start + count] nearer: it will be read soon. Changes nothing."""


def store(tile: Any, c: np.ndarray, start: int, stride: int) -> None:
    """Write the tile's rows to start, start + stride, …"""
    store_part(tile, c, start, stride, *tile.shape)


def store_part(tile: Any, c: np.ndarray, start: int, stride: int, rows: int, width: int) -> None:
    """Write rows × width of the tile; nothing else is touched."""
    for i in range(rows):
        c[start + i * stride : start + i * stride + width] = tile[i, :width]


def store_columns(tile: Any, c: np.ndarray, start: int, stride: int) -> None:
    """Write the tile transposed: column j to start + j·stride and on. Turned round in registers."""
    store_columns_part(tile, c, start, stride, 0, ROWS, columns(c))


def store_columns_part(
    tile: Any, c: np.ndarray, start: int, stride: int, low: int, high: int, width: int
) -> None:
    """Write rows [low, high) of the first `width` columns: element (i, j) to start + j·stride + i."""
    for j in range(width):
        c[start + j * stride + low : start + j * stride + high] = tile[low:high, j]


@overload(columns)
def _columns(array):
    count = columns_of(str(array.dtype))
    return lambda array: count


@overload(zero)
def _zero(like):
    return lambda like: lowering.zero(like)


@overload(zero_of, prefer_literal=True)
def _zero_of(like, rows, vectors):
    return lambda like, rows, vectors: lowering.zero_of(like, rows, vectors)


@overload(alike, prefer_literal=True)
def _alike(values, start, rows, vectors):
    return lambda values, start, rows, vectors: lowering.alike(values, start, rows, vectors)


@overload(row_of)
def _row_of(values, start):
    return lambda values, start: lowering.row_of(values, start)


@overload(rows_of)
def _rows_of(values, start):
    return lambda values, start: lowering.rows_of(values, start)


@overload(relu)
def _relu(tile):
    return lambda tile: lowering.relu(tile)


@overload(load)
def _load(c, start, stride):
    return lambda c, start, stride: lowering.load(c, start, stride)


@overload(load_part)
def _load_part(c, start, stride, rows, width):
    return lambda c, start, stride, rows, width: lowering.load_part(c, start, stride, rows, width)


@overload(multiply_add)
def _multiply_add(tile, a, ia, step, b, ib):
    return lambda tile, a, ia, step, b, ib: lowering.multiply_add(tile, a, ia, step, b, ib)


@overload(multiply_add_at)
def _multiply_add_at(tile, a, places, ia, b, ib):
    return lambda tile, a, places, ia, b, ib: lowering.multiply_add_at(tile, a, places, ia, b, ib)


@overload(places_of)
def _places_of(numbers, start):
    return lambda numbers, start: lowering.places_of(numbers, start)


@overload(prefetch)
def _prefetch(array, start, count):
    return lambda array, start, count: lowering.prefetch(array, start, count)


@overload(store)
def _store(tile, c, start, stride):
    return lambda tile, c, start, stride: lowering.store(tile, c, start, stride)


@overload(store_part)
def _store_part(tile, c, start, stride, rows, width):
    return lambda tile, c, start, stride, rows, width: lowering.store_part(
        tile, c, start, stride, rows, width
    )


@overload(store_columns)
def _store_columns(tile, c, start, stride):
    return lambda tile, c, start, stride: lowering.store_columns(tile, c, start, stride)


@overload(store_columns_part)
def _store_columns_part(tile, c, start, stride, low, high, width):
    return lambda tile, c, start, stride, low, high, width: lowering.store_columns_part(
        tile, c, start, stride, low, high, width
    )
