"""Rung 0: the formula, one thread an element of C.

    c[g, i, j] = Σ_k a[g, i, k] · b[g, k, j]

The shapes, the FLOPs and the very function of one element are the CPU's (`kernels.gemm.naive`): only who computes
which element is new. There a loop visits them in turn; here thread t computes element t and none other, in blocks of
256, in whatever order the device takes them. Each thread reads its row of A and its column of B from memory: K loads
of each for one result, 2 FLOPs for every 8 bytes asked for.

Neighbouring threads are neighbours in a column of C. So at each k a warp of 32 asks for 32 elements of A from as many
rows, K apart: 32 sectors of 32 bytes for 128 bytes that are used. `coalesced` mends that.
"""

from kernels.core.cuda.compiler import cuda, device
from kernels.core.cuda.launch import each, kernel
from kernels.core.cuda.operations import narrow, widen
from kernels.gemm import naive

THREADS = 256

c_point = device(naive.c_point)


@kernel(THREADS, lambda a, b, transpose_a, transpose_b, c: each(c, THREADS))
def matmul(a, b, transpose_a, transpose_b, c):
    """C = op(A) · op(B), batched."""
    m, n = c.shape[1], c.shape[2]
    t = cuda.grid(1)
    if t < c.size:
        i, j, g = t % m, t // m % n, t // (m * n)
        c[g, i, j] = c_point(a, b, g, i, j, transpose_a, transpose_b)


@kernel(THREADS, lambda dy, db: each(db, THREADS))
def column_sums(dy, db):
    """db[j] = Σ_i dy[i, j], one thread a column: the gradient of a bias."""
    j = cuda.grid(1)
    if j < db.size:
        total = widen(dy.dtype.type(0))
        for i in range(dy.shape[0]):
            total += widen(dy[i, j])
        db[j] = narrow(total, db)
