"""Sums over rows, for a bias's gradient, and of the parts of a split product.

    db[j] = Σ_i dy[i, j]

One thread a column (`naive.column_sums`) leaves a GPU idle where columns are few. Here a block takes 32 columns: its
threads are 32 × 8, so that a warp reads 32 neighbours, and eight warps take every eighth row each; their sums meet in
shared memory and are added in order. Where even so there are fewer blocks than multiprocessors, the rows are cut into
at most 8 parts, whose sums go to scratch (`add_parts`). Shapes alone decide, so the order of additions is always the
same. Reads each element once; no GPU has timed it yet.
"""

from functools import cache

import numpy as np

from kernels.core.cuda import gathering
from kernels.core.cuda.choices import PARTS
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import narrow, widen

COLUMNS, WARPS = 32, 8
WAVE = 128  # blocks that fill a GPU: large ones have about as many multiprocessors
ROWS = 256  # for a part, at least


def parts(rows, columns, itemsize):
    """Parts into which the rows are cut; sums of 16-bit elements would lose bits in scratch."""
    blocks = max(1, -(-columns // COLUMNS))
    return 1 if itemsize < 4 else max(1, min(PARTS, WAVE // blocks, rows // ROWS))


def scratch(rows, columns, itemsize):
    """Elements for the sums of all parts; 0 where there is one."""
    count = parts(rows, columns, itemsize)
    return count * columns if count > 1 else 0


@cache
def partial(dtype):
    """Make the kernel that sums in `dtype`."""
    ROOM = (WARPS, COLUMNS)
    ZERO = dtype(0)

    @kernel((COLUMNS, WARPS), lambda dy, db: (-(-db.shape[1] // COLUMNS), db.shape[0]))
    def column_sums(dy, db):
        """db (parts, N): the sums of each part of the rows of dy (M, N)."""
        sums = cuda.shared.array(ROOM, dtype)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        j = cuda.blockIdx.x * COLUMNS + x
        height = (dy.shape[0] + db.shape[0] - 1) // db.shape[0]
        first = cuda.blockIdx.y * height
        total = ZERO
        if j < dy.shape[1]:
            for i in range(first + y, min(first + height, dy.shape[0]), WARPS):
                total += widen(dy[i, j])
        sums[y, x] = total
        cuda.syncthreads()
        if y == 0 and j < dy.shape[1]:
            for other in range(1, WARPS):
                total += sums[other, x]
            db[cuda.blockIdx.y, j] = narrow(total, db)

    return column_sums


def add_parts(parts, c):
    """c[i] = Σ_p parts[p, i], in the order of p."""
    gathering.sums(parts.reshape(1, *parts.shape), c.reshape(1, c.size))


def column_sums(dy, db, scratch=None):
    """db[j] = Σ_i dy[i, j]."""
    run = partial(np.float64 if dy.dtype.itemsize == 8 else np.float32)
    rows, columns = dy.shape
    count = parts(rows, columns, dy.dtype.itemsize)
    if count == 1:
        run(dy, db.reshape(1, -1))
        return
    run(dy, scratch.reshape(count, -1))
    add_parts(scratch.reshape(count, -1), db)
