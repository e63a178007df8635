"""Rung 0: the formula, one output at a time.

    c[g, i, j] = Σ_k a[g, i, k] · b[g, k, j]

A is (G, M, K), or (G, K, M) where it is to be read transposed; B (G, K, N) or (G, N, K); C (G, M, N).
A batch extent of 1 in A or B serves all of C's. 2·G·M·N·K FLOPs; at least (MK + KN + MN)·G elements
moved, though this order reads B's columns with a stride of N: a new cache line for every multiply
once a line no longer survives until its neighbour is wanted.
"""

from kernels.core import jit


@jit.fast
def c_point(a, b, g, i, j, transpose_a, transpose_b):
    """Compute one element of C: a row of A against a column of B."""
    ga = g if a.shape[0] > 1 else 0
    gb = g if b.shape[0] > 1 else 0
    terms = a.shape[1] if transpose_a else a.shape[2]
    total = a.dtype.type(0)
    for k in range(terms):
        left = a[ga, k, i] if transpose_a else a[ga, i, k]
        right = b[gb, j, k] if transpose_b else b[gb, k, j]
        total += left * right
    return total


@jit.fast
def matmul(a, b, transpose_a, transpose_b, c):
    """C = op(A) · op(B), batched."""
    for g in range(c.shape[0]):
        for i in range(c.shape[1]):
            for j in range(c.shape[2]):
                c[g, i, j] = c_point(a, b, g, i, j, transpose_a, transpose_b)


@jit.fast
def bias_relu(y, b, relu):
    """Add a bias to each row of y (M, N), then clip below at zero if asked: linear's epilogue."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            value = y[i, j] + b[j]
            y[i, j] = y.dtype.type(0) if relu and value < 0 else value


@jit.fast
def column_sums(dy, db):
    """db[j] = Σ_i dy[i, j]: the gradient of a bias."""
    for j in range(db.shape[0]):
        total = dy.dtype.type(0)
        for i in range(dy.shape[0]):
            total += dy[i, j]
        db[j] = total
