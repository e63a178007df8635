"""Rung 4: sums that stay in registers, in plain loops.

    c[i, j] += Σ_p a[i, p] · b[p, j]        i of ROWS rows, j of COLUMNS columns, p of a panel's terms

`parallel` loads and stores an element of C for every four multiplies, though the next visit to it comes
four terms later. Here a tile of C, ROWS × COLUMNS, is summed over all of a panel's terms, and meets C once.
Its rows are small arrays on the stack (`kernels.core.stack`), and one inner loop of constant length serves
all four: b[j] is loaded once and used four times. The compiler makes whole vectors of that loop; and as
nothing else can be a name for a stack array, it keeps them in registers while p runs. With AVX-512, a step
of float32 is 2 loads of B, 4 broadcasts of A and 8 fused multiply-adds: no sum is loaded, none stored.

Blocks and panels are those of `blocked`, but B is packed a strip at a time, COLUMNS wide, so that each
step's row of B lies behind the last one's. What is left over at the right and at the bottom goes by
`panel_product`, the loop of the rung below. C (M, N) of A (M, K) and B (K, N); 2·M·N·K FLOPs.

Measured on a Zen 5, float32: 344 GFLOP/s on two cores at 1024³, 1.6 times `parallel` (float64: 190, 1.8
times); 1.5 times on 250×199 · 199×301, 2.2 on 8192×64 · 64×64.

What hangs on the form, a packed strip on one core: these loops reach 235 GFLOP/s; with 16 columns 123, for
four sums do not fill a unit that answers after four cycles; with a loop for each row 24, for the compiler
unrolls such short loops before it could make vectors of them; with arrays from `np.empty` 8. Processors
with 16 vector registers hold these sums but not their operands too: 80 where three rows would reach 134.

Sources: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3),
2008, section 4; Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015, section 5.
"""

import numpy as np
from numba import prange

from kernels.core import jit, stack
from kernels.gemm import blocked, parallel
from kernels.gemm.blocked import BK, BM, BN, pack, panel_product

ROWS = 4  # written out below
COLUMNS = 32


def scratch(problem, direction):
    """Parts, and for each a panel of A and a strip of B."""
    p = problem
    parts = max(1, parallel.parts(p.batch, p.m, p.n))
    return parts, max(1, min(p.k, BK) * (min(p.m, BM) + COLUMNS))


@jit.fast
def tile(pa, pb, k, c, start, stride):
    """Add pa (ROWS, k) · pb (k, COLUMNS) to the tile of c at `start`, its rows `stride` apart."""
    sums0 = stack.empty(COLUMNS, c)
    sums1 = stack.empty(COLUMNS, c)
    sums2 = stack.empty(COLUMNS, c)
    sums3 = stack.empty(COLUMNS, c)
    for j in range(COLUMNS):
        sums0[j] = 0
        sums1[j] = 0
        sums2[j] = 0
        sums3[j] = 0
    a0, a1, a2, a3 = pa[:k], pa[k : 2 * k], pa[2 * k : 3 * k], pa[3 * k : 4 * k]
    for p in range(k):
        b = pb[p * COLUMNS : (p + 1) * COLUMNS]
        left0, left1, left2, left3 = a0[p], a1[p], a2[p], a3[p]
        for j in range(COLUMNS):
            sums0[j] += left0 * b[j]
            sums1[j] += left1 * b[j]
            sums2[j] += left2 * b[j]
            sums3[j] += left3 * b[j]
    c0 = c[start : start + COLUMNS]
    c1 = c[start + stride : start + stride + COLUMNS]
    c2 = c[start + 2 * stride : start + 2 * stride + COLUMNS]
    c3 = c[start + 3 * stride : start + 3 * stride + COLUMNS]
    for j in range(COLUMNS):
        c0[j] += sums0[j]
        c1[j] += sums1[j]
        c2[j] += sums2[j]
        c3[j] += sums3[j]


@jit.fast
def strip(pa, pb, m, width, k, c, start, stride):
    """Add pa (m, k) · pb (k, width) to the strip of c at `start`: whole tiles, and what is left."""
    whole = m - m % ROWS if width == COLUMNS else 0
    for i in range(0, whole, ROWS):
        tile(pa[i * k : (i + ROWS) * k], pb, k, c, start + i * stride, stride)
    if whole < m:
        rest = pa[whole * k : m * k]
        panel_product(rest, pb, m - whole, width, k, c, start + whole * stride, stride)


@jit.fast
def block(a, b, transpose_a, transpose_b, c, unit, panels):
    """Compute the block of C numbered `unit`, all batches counted through."""
    m, n = c.shape[1], c.shape[2]
    across = (n + BN - 1) // BN
    down = (m + BM - 1) // BM
    g = unit // (down * across)
    i0 = unit // across % down * BM
    j0 = unit % across * BN
    rows, columns = min(BM, m - i0), min(BN, n - j0)
    ga = g if a.shape[0] > 1 else 0
    gb = g if b.shape[0] > 1 else 0
    terms = a.shape[1] if transpose_a else a.shape[2]
    room = min(BM, m) * min(BK, terms)
    pa, pb = panels[:room], panels[room:]
    flat = c.reshape(c.size)
    start = (g * m + i0) * n + j0
    for i in range(rows):
        line = flat[start + i * n : start + i * n + columns]
        for j in range(columns):
            line[j] = 0
    for k0 in range(0, terms, BK):
        depth = min(BK, terms - k0)
        pack(a, ga, i0, k0, rows, depth, transpose_a, pa)
        for j in range(0, columns, COLUMNS):
            width = min(COLUMNS, columns - j)
            pack(b, gb, k0, j0 + j, depth, width, transpose_b, pb)
            strip(pa, pb, rows, width, depth, flat, start + j, n)


@jit.fast
def share(a, b, transpose_a, transpose_b, c, part, count, panels):
    """Compute every `count`-th block from `part` on."""
    for unit in range(part, blocked.units(c), count):
        block(a, b, transpose_a, transpose_b, c, unit, panels)


@jit.parallel
def matmul(a, b, transpose_a, transpose_b, c, scratch):
    """C = op(A) · op(B), batched; a row of `scratch` for each part."""
    for i in prange(scratch.shape[0]):
        share(a, b, transpose_a, transpose_b, c, np.int64(i), scratch.shape[0], scratch[i])
