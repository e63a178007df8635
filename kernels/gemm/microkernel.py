"""Rung 5: the register tile.

`register` leaves the tile to the compiler, and what is no whole tile to the rung below; each block of C packs
B anew. Here the tile is spelled out in vectors (`kernels.core.simd` says why it fills the multiply units), as
large as this machine's registers allow, and what it reads is packed in the order in which it is read:

    panels of B   a tile's columns, k after k:   pb[k·COLUMNS + j]

padded with zeros, so that every tile is whole while it computes and partial only where it meets C. A's
elements are broadcast one by one, so its rows are read where they lie; only a transposed A is packed (ROWS
side by side, for its terms lie a row apart). Around it stand Goto's loops: BK of k at a time, so that a panel
of B (BK × COLUMNS) stays in the first-level cache and a block of A in the second. B is packed once for all
threads; then the row panels of C are dealt out in `shares`, each with a block of A of its own. How a tile is
computed does not depend on who computes it: the bits are the same for any number of threads.

Measured on a Zen 5, float32 (the README's table): 455 GFLOP/s on two cores at 1024³, 1.3 times `register`
and 84 % of the 540 that the tile reaches on packed data; 1.4 times at 8192×64 · 64×64; twice `register` where B
is read transposed.

Sources: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008;
Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd

ROWS = simd.ROWS
BK = 512
BM = 8 * ROWS  # rows of a block of A: with BK, at most 128 KB of float32
SHARES = 32  # pieces of C at most: more than threads, so that an uneven machine evens out


def shares(m, n, width):
    """Pieces of C down and across: by rows, and by columns too where there are few rows."""
    row_panels, column_panels = (m + ROWS - 1) // ROWS, (n + width - 1) // width
    down = max(1, min(SHARES, row_panels))
    if down >= SHARES // 2:
        return down, 1
    return down, max(1, min(column_panels, SHARES // 2 // down))


shares_of = jit.exact(shares)  # for compiled code


def block_rows(m, down):
    """Rows of a share's block of A: at most BM."""
    share = ((m + ROWS - 1) // ROWS + down - 1) // down
    return min(BM, max(1, share) * ROWS)


block_rows_of = jit.exact(block_rows)


def scratch(problem, direction):
    """Elements of scratch: the packed panels of B, and where A is transposed a block of it for each share."""
    p = problem
    width = simd.columns_of(p.dtype)
    down, across = shares(p.m, p.n, width)
    block = down * across * block_rows(p.m, down) if p.transpose_a else 0
    return max(1, min(p.k, BK) * (-(-p.n // width) * width + block))


@jit.inlined
def tile(a, places, ia, step, pb, ib, depth, c, start, stride, rows, width, fresh):
    """Add ROWS rows of A times a panel of B to the tile of c at `start`; begin at zero where `fresh`.

    Term k of row i is a[places[i] + ia + k·step].
    """
    whole = rows == simd.ROWS and width == simd.columns(c)
    if fresh:
        sums = simd.zero(c)
    elif whole:
        sums = simd.load(c, start, stride)
    else:
        sums = simd.load_part(c, start, stride, rows, width)
    columns = simd.columns(c)
    for k in range(depth):
        sums = simd.multiply_add_at(sums, a, places, ia + k * step, pb, ib + k * columns)
    if whole:
        simd.store(sums, c, start, stride)
    else:
        simd.store_part(sums, c, start, stride, rows, width)


@jit.inlined
def turn(source, start, apart, rows, depth, panel, wide):
    """panel[k·wide + i] = source[start + i·apart + k], zero from `rows` on: turned round in registers."""
    lanes = simd.lanes(panel)
    for part in range(0, wide, lanes):
        high = min(lanes, rows - part)
        first = start + part * apart if high > 0 else start
        for k in range(0, depth, lanes):
            simd.transpose(
                source, first + k, apart, high, min(lanes, depth - k),
                panel, k * wide + part, wide, min(lanes, wide - part),
            )  # fmt: skip


@jit.inlined
def copy(source, start, apart, rows, depth, panel, wide):
    """panel[k·wide + i] = source[start + k·apart + i], zero from `rows` on."""
    for k in range(depth):
        line = source[start + k * apart : start + k * apart + rows]
        target = panel[k * wide : (k + 1) * wide]
        for i in range(rows):
            target[i] = line[i]
        for i in range(rows, wide):
            target[i] = 0


@jit.exact
def lines(source, start, apart, columns, depth, panels, wide):
    """The same for neighbouring panels, a line of all of them at a time: it lies in one piece in memory.

    Panel by panel, lines a power of two apart fall into the same few sets of the first cache.
    """
    step = simd.lanes(panels)
    for k in range(depth):
        for panel in range(0, columns, wide):
            first, to = start + k * apart + panel, (panel // wide * depth + k) * wide
            for i in range(0, wide, step):
                width = min(step, wide - i)  # a panel may be narrower than a vector
                part = simd.vector_part(source, first + i, min(width, columns - panel - i))
                simd.put_vector_part(part, panels, to + i, width)


@jit.exact
def pack_share(b, base, transpose, n, k, k0, depth, part, parts, pb):
    """Pack every `parts`-th panel of B from `part` on; B is the k × n matrix at b[base], or its transpose."""
    columns = simd.columns(pb)
    for panel in range(part, (n + columns - 1) // columns, parts):
        j0 = panel * columns
        width = min(columns, n - j0)
        target = pb[panel * depth * columns : (panel + 1) * depth * columns]
        if transpose:
            turn(b, base + j0 * k + k0, k, width, depth, target, columns)
        else:
            copy(b, base + k0 * n + j0, n, width, depth, target, columns)


@jit.exact
def share(
    a,
    base,
    transpose,
    flat,
    first,
    m,
    n,
    k,
    k0,
    depth,
    row0,
    row1,
    column0,
    column1,
    leftmost,
    pa,
    pb,
):
    """Compute row panels [row0, row1) × column panels [column0, column1) of the C that begins at first.

    pb begins with column panel `leftmost`.
    """
    columns = simd.columns(pb)
    numbers = np.empty(ROWS, np.int64)
    room = BM // ROWS if not transpose else max(1, pa.shape[0] // (depth * ROWS))
    for block in range(row0, row1, room):
        above = min(block + room, row1)
        if transpose:
            i0 = block * ROWS
            lines(a, base + k0 * m + i0, m, min(above * ROWS, m) - i0, depth, pa, ROWS)
        for q in range(column0, column1):
            width = min(columns, n - q * columns)
            for panel in range(block, above):
                i0 = panel * ROWS
                rows, start = min(ROWS, m - i0), first + i0 * n + q * columns
                if k0 > 0:  # the sums so far of the tile after this
                    for i in range(min(ROWS, m - i0 - ROWS)):
                        simd.prefetch(flat, start + (ROWS + i) * n, width)
                if transpose:
                    for i in range(ROWS):
                        numbers[i] = i
                    tile(
                        pa, simd.places_of(numbers, 0), (panel - block) * depth * ROWS, ROWS,
                        pb, (q - leftmost) * depth * columns, depth, flat, start, n, rows, width, k0 == 0,
                    )  # fmt: skip
                else:  # A as it lies; rows past the last are the last once more, and not written
                    for i in range(ROWS):
                        numbers[i] = min(i, rows - 1) * k
                    tile(
                        a, simd.places_of(numbers, 0), base + i0 * k + k0, 1,
                        pb, (q - leftmost) * depth * columns, depth, flat, start, n, rows, width, k0 == 0,
                    )  # fmt: skip


@jit.exact
def part_of(a, base, transpose, flat, first, m, n, k, k0, depth, part, down, across, pa, pb):
    """Compute the share numbered `part` of down × across."""
    columns = simd.columns(pb)
    row_panels, column_panels = (m + ROWS - 1) // ROWS, (n + columns - 1) // columns
    i, j = part // across, part % across
    share(
        a, base, transpose, flat, first, m, n, k, k0, depth,
        i * row_panels // down, (i + 1) * row_panels // down,
        j * column_panels // across, (j + 1) * column_panels // across, 0, pa, pb,
    )  # fmt: skip


@jit.exact
def zero(c):
    """C = 0: what a product over no k is."""
    flat = c.reshape(c.size)
    for i in range(flat.shape[0]):
        flat[i] = 0


@jit.parallel
def matmul(a, b, transpose_a, transpose_b, c, scratch):
    """C = op(A) · op(B), one matrix after the other, each over threads."""
    m, n = c.shape[1], c.shape[2]
    terms = a.shape[1] if transpose_a else a.shape[2]
    width = simd.columns(scratch)
    down, across = shares_of(m, n, width)
    rows = block_rows_of(m, down) if transpose_a else 0
    flat, flat_a, flat_b = c.reshape(c.size), a.reshape(a.size), b.reshape(b.size)
    if terms == 0:
        zero(c)
    for g in range(c.shape[0]):
        base_a = g * m * terms if a.shape[0] > 1 else 0
        base_b = g * terms * n if b.shape[0] > 1 else 0
        for k0 in range(0, terms, BK):
            depth = min(BK, terms - k0)
            room = (n + width - 1) // width * width * depth
            pb = scratch[:room]
            blocks = scratch[room:]
            for i in prange(SHARES):
                part = np.int64(i)
                pack_share(flat_b, base_b, transpose_b, n, terms, k0, depth, part, SHARES, pb)
            for i in prange(down * across):
                part = np.int64(i)
                part_of(
                    flat_a, base_a, transpose_a, flat, g * m * n, m, n, terms, k0, depth, part, down,
                    across, blocks[part * rows * depth : (part + 1) * rows * depth], pb,
                )  # fmt: skip
