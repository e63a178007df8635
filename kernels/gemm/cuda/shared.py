"""Rung 2: tiles of A and B in shared memory, read from device memory once for a whole block.

    c[g, i, j] = Σ_k0 Σ_k a[g, i, k0 + k] · b[g, k0 + k, j]        k of TILE terms that lie in shared memory

`coalesced` asks the caches for two elements for each multiply. Here a block of 16 × 16 threads computes as many
elements of C and brings the operands in tiles of 16 × 16: each thread reads one element of A's tile and one of B's, all
wait, and then each multiplies 16 terms from shared memory. So an element is read from device memory once for 16
multiplies, and always along the row in which it lies, whichever way the matrix is to be used: a transposed one is
turned on its way into shared memory. Its column there goes to 16 different banks because rows are one element longer
than the tile. Two barriers for 16 terms: none may multiply before all have written, none may write before all have
multiplied. What a tile hangs over is zero in both, and not stored.

C (G, M, N); 2·G·M·N·K FLOPs. A multiply still takes two loads, though of shared memory. No GPU has timed it yet.

Source: V. Volkov and J. Demmel, "Benchmarking GPUs to Tune Dense Linear Algebra", SC 2008, section 3.1; NVIDIA, "CUDA
C++ Programming Guide", "Shared Memory".
"""

from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel

TILE = 16
ROOM = (TILE, TILE + 1)  # a column's elements lie 17 words apart: each in a bank of its own


def blocks(a, b, transpose_a, transpose_b, c):
    """One for each tile of C."""
    g, m, n = c.shape
    return (g * -(-m // TILE) * -(-n // TILE),)


@kernel((TILE, TILE), blocks)
def matmul(a, b, transpose_a, transpose_b, c):
    """C = op(A) · op(B), batched."""
    sa = cuda.shared.array(ROOM, a.dtype)
    sb = cuda.shared.array(ROOM, b.dtype)
    m, n = c.shape[1], c.shape[2]
    terms = a.shape[1] if transpose_a else a.shape[2]
    down, across = (m + TILE - 1) // TILE, (n + TILE - 1) // TILE
    unit, x, y = cuda.blockIdx.x, cuda.threadIdx.x, cuda.threadIdx.y
    i0, j0, g = unit // across % down * TILE, unit % across * TILE, unit // (down * across)
    ga = g if a.shape[0] > 1 else 0
    gb = g if b.shape[0] > 1 else 0
    zero = a.dtype.type(0)
    total = zero
    for k0 in range(0, terms, TILE):
        if transpose_a:
            sa[x, y] = a[ga, k0 + y, i0 + x] if k0 + y < terms and i0 + x < m else zero
        else:
            sa[y, x] = a[ga, i0 + y, k0 + x] if i0 + y < m and k0 + x < terms else zero
        if transpose_b:
            sb[x, y] = b[gb, j0 + y, k0 + x] if j0 + y < n and k0 + x < terms else zero
        else:
            sb[y, x] = b[gb, k0 + y, j0 + x] if k0 + y < terms and j0 + x < n else zero
        cuda.syncthreads()
        for k in range(TILE):
            total += sa[y, k] * sb[k, x]
        cuda.syncthreads()
    if i0 + y < m and j0 + x < n:
        c[g, i0 + y, j0 + x] = total
