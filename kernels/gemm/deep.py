"""Rung 6: deep products, whose threads never meet.

A weight's gradient sums over every row of a batch, or every step of a sequence: k is in the thousands where C is
a few hundred square. `microkernel` packs BK of k at a time for all threads, which wait for one another twice a
block: 25 times for a k of 6,400. Here C is split into one piece a thread, and each packs for itself what it reads,
the same panels of B more than once, and goes through all of k alone. One region for each matrix.

Measured on a Zen 4, float32, two threads: 1024 × 6400 · 6400 × 256 at 187 GFLOP/s, 1.07 times `microkernel`, and
1.1 to 1.2 times where C is smaller; more on a busy machine, where every meeting waits for the slower thread.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd, threads
from kernels.gemm.microkernel import BK, BM, ROWS, lines, share, turn, zero

COLUMNS = 8  # panels of B that a piece packs at a time: with BK, 256 KB


def pieces(m, n, width):
    """Pieces of C down and across: one a thread, by rows where there are enough of them."""
    row_panels, column_panels = -(-m // ROWS), -(-n // width)
    most = threads.most()
    down = max(1, min(most, row_panels // 4))
    return down, max(1, min(most // down, column_panels))


def scratch(problem, direction):
    """Pieces, and elements for each: packed panels of B, and a block of A where that is transposed."""
    p = problem
    width = simd.columns_of(p.dtype)
    down, across = pieces(p.m, p.n, width)
    columns = min(COLUMNS, -(-p.n // width)) * width
    block = min(BM, -(-p.m // ROWS) * ROWS) if p.transpose_a else 0
    return down * across, max(1, min(p.k, BK) * (columns + block))


@jit.exact
def piece(
    a,
    base_a,
    transpose_a,
    b,
    base_b,
    transpose_b,
    flat,
    first,
    m,
    n,
    terms,
    part,
    down,
    across,
    room,
):
    """Compute one piece of down × across of the C that begins at `first`, over all of k."""
    width = simd.columns(room)
    row_panels, column_panels = (m + ROWS - 1) // ROWS, (n + width - 1) // width
    i, j = part // across, part % across
    row0, row1 = i * row_panels // down, (i + 1) * row_panels // down
    column0, column1 = j * column_panels // across, (j + 1) * column_panels // across
    for left in range(column0, column1, COLUMNS):
        right = min(left + COLUMNS, column1)
        for k0 in range(0, terms, BK):
            depth = min(BK, terms - k0)
            pb, pa = room[: (right - left) * depth * width], room[(right - left) * depth * width :]
            j0 = left * width
            if transpose_b:
                for panel in range(left, right):
                    target = pb[(panel - left) * depth * width : (panel - left + 1) * depth * width]
                    across = min(width, n - panel * width)
                    turn(
                        b, base_b + panel * width * terms + k0, terms, across, depth, target, width
                    )
            else:
                columns = min(right * width, n) - j0
                lines(b, base_b + k0 * n + j0, n, columns, depth, pb, width)
            share(
                a,
                base_a,
                transpose_a,
                flat,
                first,
                m,
                n,
                terms,
                k0,
                depth,
                row0,
                row1,
                left,
                right,
                left,
                pa,
                pb,
            )


@jit.parallel
def matmul(a, b, transpose_a, transpose_b, c, scratch):
    """C = op(A) · op(B), one matrix after the other, each in one region."""
    m, n = c.shape[1], c.shape[2]
    terms = a.shape[1] if transpose_a else a.shape[2]
    down = min(scratch.shape[0], max(1, (m + ROWS - 1) // ROWS // 4))  # as `pieces` had it
    flat, flat_a, flat_b = c.reshape(c.size), a.reshape(a.size), b.reshape(b.size)
    if terms == 0:
        zero(c)
    for g in range(c.shape[0]):
        base_a = g * m * terms if a.shape[0] > 1 else 0
        base_b = g * terms * n if b.shape[0] > 1 else 0
        for i in prange(scratch.shape[0]):
            part = np.int64(i)
            piece(
                flat_a, base_a, transpose_a, flat_b, base_b, transpose_b, flat, g * m * n, m, n, terms, part,
                down, scratch.shape[0] // down, scratch[part],
            )  # fmt: skip
