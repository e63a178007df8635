"""What the operations mean, in NumPy: a tile of rows × vectors is an array (rows, vectors, LANES).

Strides, phases and numbers of vectors are constants in compiled code. A window's size comes as a tuple of as many
numbers, whatever they are: it is part of the type, and a function is compiled for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core.simd.width import lanes_of


def _read(a: np.ndarray, start: int, lanes: int) -> np.ndarray:
    count = lanes_of(a.dtype)
    there = [lanes >> lane & 1 for lane in range(count)]
    return np.array([a[start + lane] if there[lane] else 0 for lane in range(count)], a.dtype)


def _columns(x: np.ndarray, start: int, lanes: Any, taps: int, stride: int) -> list[np.ndarray]:
    """A row of x as each tap across sees it."""
    if stride == 1:
        return [_read(x, start + s, lanes[s]) for s in range(taps)]
    wide = lanes_of(x.dtype)
    vectors = 2 + -(-(taps - 2) // wide)
    row = [_read(x, start + i * wide, lanes[i]) for i in range(vectors)]
    return [np.concatenate(row)[s : s + 2 * wide : 2] for s in range(taps)]


def taps(window: Any, w: Any, start: int, step: int) -> Any:
    """Return len(window)² vectors, all lanes equal: w[start], w[start + step], …"""
    each = np.array([w[start + t * step] for t in range(len(window) ** 2)])
    return np.repeat(each, lanes_of(w.dtype)).reshape(len(window), len(window), -1)


def sums_for(weights: Any, number: float, stride: int) -> Any:
    """Return the rows of sums that are under way at once, begun with one number."""
    rows = -(-len(weights) // stride)
    return np.full((rows, 1, weights.shape[2]), number, weights.dtype)


def rows_in(tile: Any) -> int:
    """Rows of a tile."""
    return len(tile)


def lanes_for(weights: Any, numbers: np.ndarray, start: int) -> Any:
    """Return what `take_row` wants as lanes: an integer for each tap across, and one more."""
    return tuple(int(each) for each in numbers[start : start + weights.shape[1] + 1])


def take_row(
    sums: Any, weights: Any, x: np.ndarray, start: int, lanes: Any, down: int, phase: int, across: int
) -> Any:  # fmt: skip
    """Add a row of an image to the sums that read it: the m-th from below takes tap r = down · m + phase.

    Parameters
    ----------
    sums, weights : tiles
        As `sums_for` and `taps` gave them.
    x : array
        The image.
    start : int
        Where the first tap of the first lane reads.
    lanes : tuple of int
        For each tap across, the lanes that are inside; with across = 2, for each vector of the row from `start`
        on: two, and as many as hold the elements by which taps 2, 3, … reach further.
    down, across : {1, 2}
        Strides.
    phase : int
        The row's number modulo `down`.
    """
    sums = sums.copy()
    for s, row in enumerate(_columns(x, start, lanes, weights.shape[1], across)):
        for m in range(len(sums)):
            if down * m + phase < len(weights):
                sums[-1 - m, 0] += row * weights[down * m + phase, s]
    return sums


def spread_row(sums: Any, weights: Any, dy: np.ndarray, start: int, lanes: Any) -> Any:
    """Add a row of dy to what its windows, two apart, had read: even columns in vector 0, odd ones in 1.

    Tap (r, s) goes to row r; taps s = 2·i and 2·i + 1 take dy from i to the left of `start`.
    """
    sums = sums.copy()
    for s in range(weights.shape[1]):
        row = _read(dy, start - s // 2, lanes[s // 2])
        for r in range(len(weights)):
            sums[r, s % 2] += row * weights[r, s]
    return sums


def product_row(
    sums: Any, dy: Any, x: np.ndarray, start: int, lanes: Any, down: int, phase: int, across: int
) -> Any:  # fmt: skip
    """Add the products of a row of x with the rows of dy whose windows read it: `take_row`, for the weights.

    sums[r, s] gets, with r = down · m + phase, the m-th row of dy from below times what tap s sees.
    """
    sums = sums.copy()
    for s, row in enumerate(_columns(x, start, lanes, sums.shape[1], across)):
        for m in range(len(dy)):
            if down * m + phase < len(sums):
                sums[down * m + phase, s] += row * dy[-1 - m, 0]
    return sums


def bare(a: np.ndarray) -> Any:
    """Return a contiguous array as one row, to be read and written by the operations here, and indexed.

    Compiled, it is an address: arrays that go through calls are counted in and out (50 ns each), even where
    the calls are inlined, once these are many. Who calls keeps the array alive.
    """
    return a.reshape(-1)


def ask(a: Any, start: int) -> None:
    """Bring the cache line of a[start] nearer, if there is one: it will be wanted soon. Changes nothing."""


def at_least(value: Any, floor: float) -> Any:
    """Return the value where it is not below `floor`, else that; NaN stays."""
    return np.where(value < floor, value.dtype.type(floor), value)


def zeros(like: Any, rows: Any, vectors: Any) -> Any:
    """Return a tile of zeros: len(rows) × len(vectors)."""
    return np.zeros((len(rows), len(vectors), lanes_of(like.dtype)), like.dtype)


def row_of_one(number: float, like: Any) -> Any:
    """Return a tile of one vector, all lanes one number."""
    return np.full((1, 1, lanes_of(like.dtype)), number, like.dtype)


def roll(tile: Any, fresh: Any) -> Any:
    """Move the rows up by those of `fresh`, which come in below."""
    fresh = fresh.reshape(-1, *tile.shape[1:])
    return np.concatenate([tile[len(fresh) :], fresh])


def part(tile: Any, number: int) -> Any:
    """Return one vector of a tile, counted along its rows."""
    return tile.reshape(-1, tile.shape[2])[number]


def put_all(tile: Any, a: np.ndarray, start: int) -> None:
    """Write all vectors of a tile, one behind the other."""
    a[start : start + tile.size] = tile.reshape(-1)


def vector_at(a: np.ndarray, start: int, lanes: int) -> Any:
    """Return a[start : start + LANES], zero in the lanes that are not wanted."""
    return _read(a, start, lanes)


def put_vector_at(value: Any, a: np.ndarray, start: int, lanes: int) -> None:
    """Write the lanes that are wanted."""
    for lane, each in enumerate(value.reshape(-1)):
        if lanes >> lane & 1:
            a[start + lane] = each
