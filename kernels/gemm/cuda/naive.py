"""Rung 0: the formula, one thread an element of C.

    c[g, i, j] = Σ_k a[g, i, k] · b[g, k, j]

The shapes, the FLOPs and the very function of one element are the CPU's (`kernels.gemm.naive`): only who computes
which element is new. There a loop visits them in turn; here thread t computes element t and none other, in blocks of
256, in whatever order the device takes them. Each thread reads its row of A and its column of B from memory: K loads
of each for one result, 2 FLOPs for every 8 bytes asked for.
"""

from kernels.core.cuda.compiler import cuda, device
from kernels.core.cuda.launch import each, kernel
from kernels.gemm import naive

THREADS = 256

c_point = device(naive.c_point)


def by_column(a, b, transpose_a, transpose_b, c):
    """Enough blocks for a thread an element."""
    return each(c, THREADS)


@kernel(THREADS, by_column)
def matmul(a, b, transpose_a, transpose_b, c):
    """C = op(A) · op(B), batched."""
    m, n = c.shape[1], c.shape[2]
    t = cuda.grid(1)
    if (
        t < c.size
    ):  # neighbours in a column of C: they read A's rows far apart, which `coalesced` mends
        i, j, g = t % m, t // m % n, t // (m * n)
        c[g, i, j] = c_point(a, b, g, i, j, transpose_a, transpose_b)
