"""What a warp does together on its tensor core: fragments loaded from shared memory, and multiplied.

All 32 threads of a warp call these with the same array and at the same time; each holds a part of each operand, its
fragment, in a register array of 32-bit words (``uint32``: two elements of 16 bits, the first in the low half, or one of
float32). Which thread holds what is laid down by the PTX ISA ("Warp-level matrix instructions"), and written out
again in the bodies below: the simulator's threads meet there, put their fragments together into matrices, and take
them apart again, so a kernel that loads an element into the wrong place computes what is wrong there too.

Compute capability 8.0 and up. A kernel sees bfloat16 as uint16, its bits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.core.cuda.operations import offset, operation

LANES = 32
PATIENCE = 120.0  # seconds that a simulated thread waits for the rest of its warp

_lane = np.arange(LANES)[:, None]
_group, _in_group = _lane >> 2, _lane % 4  # groupID and threadID_in_group of the PTX ISA


class _Warp:
    """Where 32 simulated threads meet: the last to come does the work of all."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(LANES, self._work)
        self.calls: list[tuple[Callable, Any]] = [(_Warp, None)] * LANES
        self.error: Exception | None = None

    def _work(self) -> None:
        works = {work for work, _ in self.calls}
        try:
            if len(works) > 1:
                raise RuntimeError(f"one warp is at several operations: {works}")
            works.pop()([given for _, given in self.calls])
        except Exception as error:
            self.error = error


def _together(work: Callable, given: Any) -> None:
    """Wait for the warp's other threads; one of them calls `work` with what all gave, by lane."""
    thread: Any = threading.current_thread()
    index, lane = divmod(thread.thread_id, LANES)
    warps = thread._manager.__dict__.setdefault("warps", {})
    warp = warps.get(index) or warps.setdefault(index, _Warp())
    warp.calls[lane] = (work, given)
    warp.barrier.wait(PATIENCE)
    if warp.error is not None:
        raise RuntimeError(str(warp.error)) from warp.error


def _row(array: Any, i: Any, count: int) -> np.ndarray:
    """View `count` elements of the last axis, from array[i] on."""
    start = i[-1] if isinstance(i, tuple) else i
    line = array[i[:-1]] if isinstance(i, tuple) else array
    line = line[start : start + count]
    if len(line) < count:
        raise IndexError(f"{count} elements from {i} on are not all in an array of {array.shape}")
    return line


def _matrices(source: Any, i: Any) -> np.ndarray:
    """One of the rows of 16 bytes that `ldmatrix` reads, as 16-bit elements."""
    row = _row(source, i, 16 // source.itemsize)
    if offset(source, i) % 16:
        raise RuntimeError(f"ldmatrix reads rows on 16-byte boundaries, and {i} is on none")
    return np.ascontiguousarray(row).view(np.uint16)


def _load(given: list[Any]) -> None:
    rows = np.stack([row for row, _, _ in given]).reshape(4, 8, 8)
    # thread T gets elements 2·(T % 4) and 2·(T % 4) + 1 of row T // 4, of each matrix
    words = np.ascontiguousarray(rows).view(np.uint32).reshape(4, LANES)
    for lane, (_, target, j) in enumerate(given):
        _row(target, j, 4)[:] = words[:, lane]


def _load_transposed(given: list[Any]) -> None:
    rows = np.stack([row for row, _, _ in given]).reshape(4, 8, 8).swapaxes(1, 2)
    turned = [(row, *rest) for row, (_, *rest) in zip(rows.reshape(LANES, 8), given)]
    _load(turned)


@operation
def ldmatrix(source, i, target, j):
    """Load four matrices of 8 rows × 16 bytes into words target[j], …, target[j + 3] (last axis).

    Each thread says where one row starts in shared memory, source[i], on a 16-byte boundary: those of the first
    matrix come from lanes 0 to 7, of the second from 8 to 15, and so on. Thread T receives word T % 4 of row T // 4 of
    each: two neighbours of 16 bits, or one element of 32.
    """
    _together(_load, (_matrices(source, i), target, j))


@operation
def ldmatrix_transposed(source, i, target, j):
    """Load as `ldmatrix`, each matrix of 8 × 8 16-bit elements transposed.

    Thread T receives rows 2·(T % 4) and 2·(T % 4) + 1 of column T // 4.
    """
    _together(_load_transposed, (_matrices(source, i), target, j))


@operation
def tf32(x):
    """Round a float32, or the word with its bits, to TF32's 10 bits of mantissa: to nearest, ties away from zero.

    The result is a word. `mma` is undefined for others.
    """
    bits = int(np.float32(x).view(np.uint32)) if isinstance(x, np.floating) else int(x)
    if bits & 0x7F800000 == 0x7F800000:
        return np.uint32(0x7FFFFFFF if bits & 0x7FFFFF else bits)
    return np.uint32((bits + 0x1000) & 0xFFFFE000)


def _layouts(half: bool) -> tuple[tuple, tuple]:
    """Row and column of each thread's elements of A and of B: PTX ISA, mma.m16n8k16 and mma.m16n8k8 (.tf32)."""
    g, t = _group, _in_group
    i, j = np.arange(8 if half else 4), np.arange(4 if half else 2)
    if half:
        upper = (i < 2) | ((i >= 4) & (i < 6))
        a = np.where(upper, g, g + 8), t * 2 + (i & 1) + np.where(i < 4, 0, 8)
        b = t * 2 + (j & 1) + np.where(j < 2, 0, 8), np.broadcast_to(g, (LANES, 4))
    else:
        a = np.where((i == 0) | (i == 2), g, g + 8), np.where(i < 2, t, t + 4)
        b = np.where(j == 0, t, t + 4), np.broadcast_to(g, (LANES, 2))
    return a, b


_of_c = _group + np.array([0, 0, 8, 8]), _in_group * 2 + np.array([0, 1, 0, 1])


def _values(kind: str, words: np.ndarray) -> np.ndarray:
    """Elements that words hold, exactly."""
    if kind == "float16":
        return words.view(np.float16).astype(np.float64)
    if kind == "uint16":
        return (words.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    finite = words & 0x7F800000 != 0x7F800000
    if (words[finite] & 0x1FFF).any():
        raise RuntimeError("mma was given a float32 that is not rounded to TF32")
    return words.view(np.float32).astype(np.float64)


def _multiply(given: list[Any]) -> None:
    kind = given[0][0]
    half = kind != "float32"
    of_a, of_b = _layouts(half)
    a, b = np.empty((16, 16 if half else 8)), np.empty((16 if half else 8, 8))
    c = np.empty((16, 8))
    a[of_a] = _values(kind, np.stack([lane[1] for lane in given]))
    b[of_b] = _values(kind, np.stack([lane[2] for lane in given]))
    c[_of_c] = np.stack([lane[3] for lane in given])
    with np.errstate(invalid="ignore", over="ignore"):
        d = (a @ b + c).astype(np.float32)[_of_c]
    for lane, each in enumerate(given):
        each[3][:] = d[lane]


@operation
def mma(like, a, i, b, j, c, k):
    """C += A · B for one warp: 16 × 8 sums in float32, over 16 products of 16 bits, or 8 of TF32.

    Parameters
    ----------
    like : array
        Of the matrices' dtype, which says what the words are: float16, uint16 (bfloat16's bits), or float32 (TF32,
        which `tf32` rounds to).
    a, b : register arrays of uint32
        Four words of A's fragment from a[i] on (last axis), two of B's from b[j] on.
    c : register array of float32
        Four sums from c[k] on: rows T // 4 and T // 4 + 8 (the last two), columns 2·(T % 4) and one more, in thread T.
    """
    words = _row(a, i, 4).copy(), _row(b, j, 2).copy()
    _together(_multiply, (like.dtype.name, *words, _row(c, k, 4)))
