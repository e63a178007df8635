"""Rung 3: a tile of C for each block, a smaller one in the registers of each thread.

    acc[i, j] += a[g, i, k] · b[g, k, j]        i of TM rows, j of TN columns: one thread's

`shared` reads two elements of shared memory for each multiply. Here a block computes 128 × 128 of C and each of its
256 threads 8 × 8 of that, held in registers from the first k to the last (`tile`): 16 elements in 4 accesses of 16
bytes serve 64 multiplies. From device memory a block reads 128 + 128 elements for 128 · 128 multiplies, an eighth of
a byte each for float64, a sixteenth for float32. Reads are vectors too, where rows allow it (`panels`).

The shared tiles are double: while one is multiplied, the next is under way from memory into registers, and then goes
into the other; so one barrier for BK terms is enough. Blocks with numbers close together run at the same time, and
are given tiles that share rows and columns: GROUP tiles down, then the next column, for what the second-level cache
still holds.

A C of few tiles leaves most of a GPU idle. There the tiles are smaller (64 × 64), and k is split into at most 8
parts, whose sums go to scratch and are added in order by a second kernel; the shapes alone decide. C (G, M, N) of
A and B as in `kernels.gemm.naive`; 2·G·M·N·K FLOPs. No GPU has timed it yet.

Sources: as `tile`; P. Tillet et al., "Triton", MAPL 2019, for the order of tiles (its matmul tutorial calls it
grouped).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from kernels.core.cuda.choices import PARTS
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import Kernel, kernel
from kernels.core.cuda.operations import copy1, copy16
from kernels.gemm.cuda import panels, tile
from kernels.gemm.cuda.panels import aligned
from kernels.gemm.cuda.sums import WAVE, add_parts
from kernels.gemm.cuda.tile import PAD, Tile

GROUP = 8  # tiles down that are computed one after the other
TERMS = 64  # of k for a part, at least

LARGE = {4: tile.FLOAT32, 8: tile.FLOAT64}
SMALL = {4: tile.make(64, 64, 16, 8, 4, 4), 8: tile.make(64, 64, 8, 4, 4, 8)}


def tiles(size: Tile, batch: int, m: int, n: int) -> int:
    """Tiles of C, all batches together."""
    return batch * -(-m // size.BM) * -(-n // size.BN)


def sizes(batch: int, m: int, n: int, k: int, itemsize: int) -> tuple[Tile, int, int]:
    """Tile, parts of k, and terms of a part, for a product's shape."""
    size = LARGE[itemsize]
    if tiles(size, batch, m, n) < WAVE:
        size = SMALL[itemsize]
    count = tiles(size, batch, m, n)
    parts = max(1, min(PARTS, WAVE // count, k // TERMS)) if count else 1
    depth = max(1, -(-k // (parts * size.BK))) * size.BK
    return size, max(1, -(-k // depth)), depth


def scratch(problem: Any, direction: str) -> int:
    """Elements for the sums of all parts; 0 where k is not split."""
    p = problem
    _, parts, _ = sizes(p.batch, p.m, p.n, p.k, p.itemsize)
    return parts * p.batch * p.m * p.n if parts > 1 else 0


@cache
def product(size: Tile, transpose_a: bool, transpose_b: bool, wide: bool) -> Kernel:
    """Make the kernel for a tile and two transpositions, which are constants to it."""
    BM, BN, BK, TM, TN, VECTOR = size[:6]
    place, clear, multiply = size.place, size.clear, size.multiply
    row_of, column_of = size.row, size.column
    left = panels.make(not transpose_a, wide, BM, BK, VECTOR, size.THREADS)
    right = panels.make(transpose_b, wide, BN, BK, VECTOR, size.THREADS)
    fetch_a, store_a, fetch_b, store_b = left.fetch, left.store, right.fetch, right.store
    TILE_A, TILE_B = (2, BK, BM + PAD), (2, BK, BN + PAD)
    HELD_A, HELD_B = (left.vectors, VECTOR), (right.vectors, VECTOR)
    SUMS = (TM, TN)

    def grid(a, b, c, m, n, k, batch, step_a, step_b, depth, wide_c):
        """All tiles, of each matrix, of each part."""
        return (tiles(size, batch, m, n) * max(1, -(-k // depth)),)

    @kernel(size.THREADS, grid, resident=512 // size.THREADS if VECTOR == 4 else None)
    def register_tile(a, b, c, m, n, k, batch, step_a, step_b, depth, wide_c):
        """C or its parts, flat; step_a and step_b lead from one matrix of the batch to the next, or are 0."""
        sa = cuda.shared.array(TILE_A, a.dtype, alignment=16)
        sb = cuda.shared.array(TILE_B, a.dtype, alignment=16)
        kept = cuda.shared.array(3, np.int64)
        acc = cuda.local.array(SUMS, a.dtype)
        ra, rb = cuda.local.array(TM, a.dtype), cuda.local.array(TN, a.dtype)
        held_a, held_b = cuda.local.array(HELD_A, a.dtype), cuda.local.array(HELD_B, a.dtype)

        down, across = (m + BM - 1) // BM, (n + BN - 1) // BN
        unit = cuda.blockIdx.x
        matrix, unit = unit // (down * across), unit % (down * across)
        part, g = matrix // batch, matrix % batch
        band = unit // (GROUP * across) * GROUP
        height = min(GROUP, down - band)
        unit -= band * across
        i0, j0 = (band + unit % height) * BM, unit // height * BN
        base_a, base_b = g * step_a, g * step_b
        length_a, length_b = m if transpose_a else k, k if transpose_b else n
        first, last = part * depth, min(k, (part + 1) * depth)

        if cuda.threadIdx.x == 0:  # not needed before the end: six registers that the loop can use
            kept[0], kept[1], kept[2] = i0, j0, (matrix * m + i0) * n + j0
        clear(acc)
        row, column = place(cuda.threadIdx.x)
        fetch_a(a, base_a, i0, m, first, last, length_a, held_a)
        fetch_b(b, base_b, j0, n, first, last, length_b, held_b)
        store_a(held_a, sa, 0)
        store_b(held_b, sb, 0)
        cuda.syncthreads()
        stage = 0
        k0 = first
        while k0 < last:
            k0 += BK  # the next tile is under way while this one is multiplied
            fetch_a(a, base_a, i0, m, k0, last, length_a, held_a)
            fetch_b(b, base_b, j0, n, k0, last, length_b, held_b)
            multiply(sa, sb, stage, row, column, ra, rb, acc)
            stage = 1 - stage
            store_a(held_a, sa, stage)
            store_b(held_b, sb, stage)
            cuda.syncthreads()

        i0, j0, start = kept[0], kept[1], kept[2]
        for i in range(TM):
            r = row_of(row, i)
            if i0 + r < m:
                for j in range(0, TN, VECTOR):
                    s = column_of(column, j)
                    if wide_c:
                        if j0 + s < n:
                            copy16(acc, (i, j), c, start + r * n + s)
                    else:
                        for e in range(VECTOR):
                            if j0 + s + e < n:
                                copy1(acc, (i, j + e), c, start + r * n + s + e)

    return register_tile


def matmul(a, b, transpose_a, transpose_b, c, scratch=None):
    """C = op(A) · op(B), batched."""
    batch, m, n = c.shape
    k = a.shape[1] if transpose_a else a.shape[2]
    itemsize = np.dtype(c.dtype).itemsize
    size, parts, depth = sizes(batch, m, n, k, itemsize)
    step_a, step_b = (m * k if len(a) > 1 else 0), (k * n if len(b) > 1 else 0)
    flat = c.reshape(-1)
    sums = flat if parts == 1 else scratch
    wide_c = sums.pointer % 16 == 0 and n * itemsize % 16 == 0
    product(size, bool(transpose_a), bool(transpose_b), aligned(a) and aligned(b))(
        a.reshape(-1), b.reshape(-1), sums, m, n, k, batch, step_a, step_b, depth, wide_c
    )
    if parts > 1:
        add_parts(scratch.reshape(parts, -1), flat)
