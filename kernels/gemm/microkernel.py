"""Rung 4: the register tile.

`parallel` still loads and stores an element of C for every eight multiplies, and its loops end in the
middle of vectors. Here C is cut into tiles that live in registers while k runs (`kernels.core.simd`
says why that fills the multiply units). What a tile reads is packed in the order in which it is read:

    panels of A   ROWS rows, k after k:      pa[k·ROWS + i]
    panels of B   a tile's columns, k after k:   pb[k·COLUMNS + j]

padded with zeros, so that every tile is whole while it computes and partial only where it meets C. Around
it stand Goto's loops: BK of k at a time, so that a panel of B (BK × COLUMNS) stays in the first-level
cache and a block of A in the second. B is packed once for all threads; then the row panels of C are
dealt out in `shares`, each with a block of A of its own. How a tile is computed does not depend on who
computes it: the bits are the same for any number of threads.

Measured on a Zen 5, float32: 364 GFLOP/s on two cores at 1024³, 2.8 times `parallel` and 82 % of what
the units can do; 2.1 times at 8192×64 · 64×64, where packing takes as long as multiplying.

Sources: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34(3), 2008;
Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015.
"""

from numba import prange

from kernels.core import jit, simd

ROWS = simd.ROWS
BK = 256
BM = 16 * ROWS  # rows of a block of A: with BK, at most 128 KB of float32
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
    """Elements of scratch: the packed panels of B, and a block of A for each share."""
    p = problem
    width = simd.columns_of(p.dtype)
    down, across = shares(p.m, p.n, width)
    depth = min(p.k, BK)
    return max(1, depth * (-(-p.n // width) * width + down * across * block_rows(p.m, down)))


@jit.fast
def tile(pa, ia, pb, ib, depth, c, start, stride, rows, width, fresh):
    """Add a panel of A times a panel of B to the tile of c at `start`; begin at zero where `fresh`."""
    whole = rows == simd.ROWS and width == simd.columns(c)
    if fresh:
        sums = simd.zero(c)
    elif whole:
        sums = simd.load(c, start, stride)
    else:
        sums = simd.load_part(c, start, stride, rows, width)
    step = simd.columns(c)
    for k in range(depth):
        sums = simd.multiply_add(sums, pa, ia + k * simd.ROWS, 1, pb, ib + k * step)
    if whole:
        simd.store(sums, c, start, stride)
    else:
        simd.store_part(sums, c, start, stride, rows, width)


@jit.fast
def pack_rows(source, g, transpose, i0, rows, k0, depth, panel):
    """Fill one panel of A: panel[k·ROWS + i] = op(source[g])[i0 + i, k0 + k], zero past `rows`."""
    if transpose:
        for k in range(depth):
            line = source[g, k0 + k, i0 : i0 + rows]
            target = panel[k * ROWS : (k + 1) * ROWS]
            for i in range(rows):
                target[i] = line[i]
    else:
        for i in range(rows):
            line = source[g, i0 + i, k0 : k0 + depth]
            target = panel[i : depth * ROWS]
            for k in range(depth):
                target[k * ROWS] = line[k]
    if rows < ROWS:
        for k in range(depth):
            for i in range(rows, ROWS):
                panel[k * ROWS + i] = 0


@jit.fast
def pack_columns(source, g, transpose, j0, width, k0, depth, panel):
    """Fill one panel of B: panel[k·COLUMNS + j] = op(source[g])[k0 + k, j0 + j], zero past `width`."""
    columns = simd.columns(panel)
    if transpose:
        for j in range(width):
            line = source[g, j0 + j, k0 : k0 + depth]
            target = panel[j : depth * columns]
            for k in range(depth):
                target[k * columns] = line[k]
    else:
        for k in range(depth):
            line = source[g, k0 + k, j0 : j0 + width]
            target = panel[k * columns : (k + 1) * columns]
            for j in range(width):
                target[j] = line[j]
    if width < columns:
        for k in range(depth):
            for j in range(width, columns):
                panel[k * columns + j] = 0


@jit.fast
def pack_share(b, g, transpose, n, k0, depth, part, parts, pb):
    """Pack every `parts`-th panel of B from `part` on."""
    columns = simd.columns(pb)
    for panel in range(part, (n + columns - 1) // columns, parts):
        j0 = panel * columns
        target = pb[panel * depth * columns : (panel + 1) * depth * columns]
        pack_columns(b, g, transpose, j0, min(columns, n - j0), k0, depth, target)


@jit.fast
def share(a, ga, transpose, flat, first, m, n, k0, depth, row0, row1, column0, column1, pa, pb):
    """Compute row panels [row0, row1) × column panels [column0, column1) of the C that begins at first."""
    columns = simd.columns(pb)
    room = pa.shape[0] // (depth * ROWS)
    for block in range(row0, row1, room):
        above = min(block + room, row1)
        for panel in range(block, above):
            target = pa[(panel - block) * depth * ROWS : (panel - block + 1) * depth * ROWS]
            i0 = panel * ROWS
            pack_rows(a, ga, transpose, i0, min(ROWS, m - i0), k0, depth, target)
        for q in range(column0, column1):
            width = min(columns, n - q * columns)
            for panel in range(block, above):
                i0 = panel * ROWS
                tile(
                    pa, (panel - block) * depth * ROWS, pb, q * depth * columns, depth,
                    flat, first + i0 * n + q * columns, n, min(ROWS, m - i0), width, k0 == 0,
                )  # fmt: skip


@jit.fast
def part_of(a, ga, transpose, flat, first, m, n, k0, depth, part, down, across, pa, pb):
    """Compute the share numbered `part` of down × across."""
    columns = simd.columns(pb)
    row_panels, column_panels = (m + ROWS - 1) // ROWS, (n + columns - 1) // columns
    i, j = part // across, part % across
    share(
        a, ga, transpose, flat, first, m, n, k0, depth,
        i * row_panels // down, (i + 1) * row_panels // down,
        j * column_panels // across, (j + 1) * column_panels // across, pa, pb,
    )  # fmt: skip


@jit.fast
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
    rows = block_rows_of(m, down)
    flat = c.reshape(c.size)
    if terms == 0:
        zero(c)
    for g in range(c.shape[0]):
        ga = g if a.shape[0] > 1 else 0
        gb = g if b.shape[0] > 1 else 0
        for k0 in range(0, terms, BK):
            depth = min(BK, terms - k0)
            room = (n + width - 1) // width * width * depth
            pb = scratch[:room]
            blocks = scratch[room:]
            for part in prange(SHARES):
                pack_share(b, gb, transpose_b, n, k0, depth, part, SHARES, pb)
            for part in prange(down * across):
                pa = blocks[part * rows * depth : (part + 1) * rows * depth]
                part_of(
                    a, ga, transpose_a, flat, g * m * n, m, n, k0, depth,
                    part, down, across, pa, pb,
                )  # fmt: skip
