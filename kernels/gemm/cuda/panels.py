"""How a tile of a matrix comes into shared memory: from memory into registers, and from there, later, as sa[k, i].

Which of two ways depends on how the matrix lies. *Along*: its rows run along k (A as it is, B transposed); a vector
is V terms of one row, and goes to V rows of the shared array. A warp takes 16 rows × 2 vectors, which is whole
sectors of 32 bytes of memory and, by the pad, 32 banks of shared memory. *Across*: its rows run across k (B as it
is, A transposed); a vector is V columns of one term, and is stored as it came.

`wide` says that every vector of the matrix starts on 16 bytes (`aligned`): then it is one access, for it lies either
wholly inside or wholly outside. Else it is V guarded accesses. What lies outside is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.operations import copy1, copy16
from kernels.core.device_array import DeviceArray


class Panel(NamedTuple):
    """What moves one operand's tiles, `vectors` vectors for each thread; see `make`."""

    vectors: int
    fetch: Callable
    store: Callable


def aligned(x: DeviceArray) -> bool:
    """Whether every row of C-contiguous matrices is whole vectors, on 16-byte boundaries."""
    return x.pointer % 16 == 0 and x.shape[-1] * x.dtype.itemsize % 16 == 0


def make(along: bool, wide: bool, EXTENT: int, BK: int, VECTOR: int, THREADS: int) -> Panel:
    """Make the functions for tiles of EXTENT rows (of A; of B columns) × BK.

    Returns
    -------
    Panel
        ``fetch(source, base, first, rows, k0, last, step, held)`` reads the tile whose first row is `first` of
        `rows`, terms k0 to `last`, of the matrix that begins at source[base] and whose rows are `step` long, into
        registers held (vectors, VECTOR).
        ``store(held, shared, stage)`` writes them to shared (stages, BK, EXTENT + PAD).
    """
    VECTORS = EXTENT * BK // VECTOR // THREADS
    assert VECTORS * VECTOR * THREADS == EXTENT * BK
    ROW = EXTENT // VECTOR  # vectors in a row that runs across

    @inlined
    def fetch_along(source, base, first, rows, k0, last, step, held):
        """Read vectors of terms."""
        t = cuda.threadIdx.x
        for v in range(VECTORS):
            unit = t + v * THREADS
            i, k = first + unit // 2 % EXTENT, k0 + (unit // (2 * EXTENT) * 2 + unit % 2) * VECTOR
            for e in range(VECTOR):
                held[v, e] = 0
            place = base + min(i, rows - 1) * step + k
            if wide:
                if k < last:
                    copy16(source, place, held, (v, 0))
            else:
                inside = np.int32(min(last - k, VECTOR))
                for e in range(VECTOR):
                    if e < inside:
                        copy1(source, place + e, held, (v, e))

    @inlined
    def store_along(held, shared, stage):
        """Write each term of a vector to its own row."""
        t = cuda.threadIdx.x
        for v in range(VECTORS):
            unit = t + v * THREADS
            i, k = unit // 2 % EXTENT, (unit // (2 * EXTENT) * 2 + unit % 2) * VECTOR
            for e in range(VECTOR):
                copy1(held, (v, e), shared, (stage, k + e, i))

    @inlined
    def fetch_across(source, base, first, rows, k0, last, step, held):
        """Read vectors of rows (of A; of B columns)."""
        t = cuda.threadIdx.x
        for v in range(VECTORS):
            unit = t + v * THREADS
            i, k = first + unit % ROW * VECTOR, k0 + unit // ROW
            for e in range(VECTOR):
                held[v, e] = 0
            if wide:
                place = base + k * step + min(i, rows - VECTOR)
                if k < last:
                    copy16(source, place, held, (v, 0))
            elif k < last:
                inside = np.int32(min(rows - i, VECTOR))
                for e in range(VECTOR):
                    if e < inside:
                        copy1(source, base + k * step + i + e, held, (v, e))

    @inlined
    def store_across(held, shared, stage):
        """Write vectors as they came."""
        t = cuda.threadIdx.x
        for v in range(VECTORS):
            unit = t + v * THREADS
            copy16(held, (v, 0), shared, (stage, unit // ROW, unit % ROW * VECTOR))

    if along:
        return Panel(VECTORS, fetch_along, store_along)
    return Panel(VECTORS, fetch_across, store_across)
