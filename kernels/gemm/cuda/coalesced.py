"""Rung 1: the threads of a warp along a row of C.

    c[g, i, j] = Σ_k a[g, i, k] · b[g, k, j]        j = 32 neighbours for the 32 threads of a warp

The same loop in each thread as `naive`; only which thread takes which element is new. At each k a warp now reads 32
neighbours of one row of B, 128 bytes of float32 and all of them used, and one element of A for all of them, which is
broadcast: 4 sectors of 32 bytes and 1, where `naive` asks for 32 and 1. C is written in whole lines. A block is 8 rows
× 32 columns, so its warps read the same rows of B one after the other, from the first-level cache.

Where B is transposed its rows lie along k: there a warp reads 32 rows of B, as `naive` does of A, and it takes shared
memory (`shared`) to read them along and use them across. C (G, M, N); 2·G·M·N·K FLOPs, still two loads for each
multiply. No GPU has timed it yet.

Source: NVIDIA, "CUDA C++ Best Practices Guide", "Coalesced Access to Global Memory".
"""

from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.gemm.cuda.naive import c_point

ROWS, COLUMNS = 8, 32  # of C for a block


def blocks(shape):
    """Blocks that cover a batch of matrices; one axis, for the others end at 65,535."""
    g, m, n = shape
    return (g * -(-m // ROWS) * -(-n // COLUMNS),)


@kernel((COLUMNS, ROWS), lambda a, b, transpose_a, transpose_b, c: blocks(c.shape))
def matmul(a, b, transpose_a, transpose_b, c):
    """C = op(A) · op(B), batched."""
    m, n = c.shape[1], c.shape[2]
    down, across = (m + ROWS - 1) // ROWS, (n + COLUMNS - 1) // COLUMNS
    unit = cuda.blockIdx.x
    i = unit // across % down * ROWS + cuda.threadIdx.y
    j = unit % across * COLUMNS + cuda.threadIdx.x
    g = unit // (down * across)
    if i < m and j < n:
        c[g, i, j] = c_point(a, b, g, i, j, transpose_a, transpose_b)
