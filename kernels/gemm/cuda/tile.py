"""The inner part of a block tile: what `register_tile` and convolution's implicit product have in common.

    acc[i, j] += sa[stage, k, row i] · sb[stage, k, column j]        for the BK terms that lie in shared memory

A block computes BM × BN of C; a warp 4·TM × 8·TN of that, its lanes 4 × 8; a thread TM × TN, in groups of V × V, V
being the elements in 16 bytes. A group's rows and columns are neighbours; the next group is 4·V rows down, 8·V columns
across. So a thread reads its share of A and B in accesses of 16 bytes, eight lanes side by side read 128 bytes in a
row (no two in one bank), and the other lanes read the very same words, which are broadcast. For float32 and 8 × 8
that is 4 loads for 64 fused multiply-adds.

Whoever fills the shared arrays declares them, (stages, BK, BM + PAD) and (stages, BK, BN + PAD) with `alignment=16`,
and puts zeros into both where k is past the end. The arrays that are registers (`acc`, `ra`, `rb`) belong to the
kernel: all of their indices are constants once the loops are unrolled, and only because these functions are inlined.

Sources: V. Volkov and J. Demmel, "Benchmarking GPUs to Tune Dense Linear Algebra", SC 2008, section 5, for sums held
in registers; NVIDIA's CUTLASS, "Efficient GEMM in CUDA", for the tiles of block, warp and thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kernels.core.cuda.compiler import inlined
from kernels.core.cuda.operations import copy16

DOWN, ACROSS = 4, 8  # lanes of a warp


class Tile(NamedTuple):
    """Extents, and functions that have them as constants; see `make`.

    Numba reads no attribute of a tuple of functions inside a kernel: take what a kernel needs into names of the
    function around it, ``BM, multiply = tile.BM, tile.multiply``.
    """

    BM: int
    BN: int
    BK: int
    TM: int
    TN: int
    VECTOR: int  # elements in 16 bytes
    THREADS: int
    place: Callable
    clear: Callable
    multiply: Callable
    row: Callable
    column: Callable


# Elements that end each row of a shared array. Where a warp writes 16 rows of C by 2 groups of k (`panels`), the
# second group falls into the banks that the first leaves free; and every row starts on 16 bytes.
PAD = 4


def make(BM: int, BN: int, BK: int, TM: int, TN: int, itemsize: int) -> Tile:
    """Make the functions for a tile.

    Parameters
    ----------
    BM, BN, BK : int
        Rows and columns of C for a block; terms of k that are in shared memory at a time: 8, 16 or 32.
    TM, TN : int
        Rows and columns for a thread: multiples of VECTOR. 4·TM divides BM, 8·TN divides BN.
    itemsize : int
        Bytes an element: 4 or 8.

    Returns
    -------
    Tile
        ``place(t)``: the first row and column, within the tile, of what thread t computes.
        ``clear(acc)``: acc (TM, TN) = 0.
        ``multiply(sa, sb, stage, row, column, ra, rb, acc)``: the sum above. `row` and `column` are those of
        `place`; ra (TM,) and rb (TN,) are registers for what it reads.
        ``row(row, i)``, ``column(column, j)``: where acc[i, j] lies in the tile. VECTOR columns from a multiple of
        VECTOR on are neighbours.
    """
    VECTOR = 16 // itemsize
    assert BK in (8, 16, 32)
    assert BM % (DOWN * TM) == BN % (ACROSS * TN) == TM % VECTOR == TN % VECTOR == 0
    WARPS_ACROSS = BN // (ACROSS * TN)
    WARP_ROWS, WARP_COLUMNS = DOWN * TM, ACROSS * TN

    @inlined
    def place(t):
        """First row and column of thread t."""
        lane, warp = t % 32, t // 32
        row = warp // WARPS_ACROSS * WARP_ROWS + lane // ACROSS * VECTOR
        column = warp % WARPS_ACROSS * WARP_COLUMNS + lane % ACROSS * VECTOR
        return np.int32(row), np.int32(column)  # half the registers of what Numba counts in

    @inlined
    def clear(acc):
        """Set every sum to zero."""
        for i in range(TM):
            for j in range(TN):
                acc[i, j] = 0

    @inlined
    def term(sa, sb, stage, k, row, column, ra, rb, acc):
        """Add term k of both tiles."""
        for i in range(0, TM, VECTOR):
            copy16(sa, (stage, k, row + i * DOWN), ra, i)
        for j in range(0, TN, VECTOR):
            copy16(sb, (stage, k, column + j * ACROSS), rb, j)
        for i in range(TM):
            for j in range(TN):
                acc[i, j] += ra[i] * rb[j]

    @inlined
    def multiply(sa, sb, stage, row, column, ra, rb, acc):
        """Add the BK terms of a stage: eight written out, for the compiler leaves so long a body in a loop."""
        for k in range(0, BK, 8):
            term(sa, sb, stage, k, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 1, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 2, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 3, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 4, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 5, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 6, row, column, ra, rb, acc)
            term(sa, sb, stage, k + 7, row, column, ra, rb, acc)

    @inlined
    def row_of(row, i):
        """Row in the tile of acc[i, :]."""
        return row + i // VECTOR * (VECTOR * DOWN) + i % VECTOR

    @inlined
    def column_of(column, j):
        """Column in the tile of acc[:, j]."""
        return column + j // VECTOR * (VECTOR * ACROSS) + j % VECTOR

    threads = BM // TM * (BN // TN)
    return Tile(BM, BN, BK, TM, TN, VECTOR, threads, place, clear, multiply, row_of, column_of)


FLOAT32 = make(128, 128, 8, 8, 8, 4)
FLOAT64 = make(128, 128, 8, 8, 8, 8)
