"""What linear adds to a product: a bias on each column, and relu.

    y[i, j] = max(y[i, j] + b[j], 0)        in place; the maximum where it is asked for

A block of 32 × 8 threads takes 32 columns and 32 rows: a warp reads and writes 32 neighbours, and a thread takes four
rows of its column, whose bias it reads once. Each element of y is read and written once more than by the product alone;
2·M·N elements of traffic, M·N additions. 16-bit elements are widened, and rounded again.
"""

from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import narrow, widen

COLUMNS, LINES = 32, 8
ROWS = 32  # of y for a block


def blocks(y, b, relu):
    """Blocks that cover y, on one axis."""
    m, n = y.shape
    return (-(-m // ROWS) * -(-n // COLUMNS),)


@kernel((COLUMNS, LINES), blocks)
def bias_relu(y, b, relu):
    """Add a bias to each row of y (M, N), then clip below at zero if asked: linear's epilogue."""
    m, n = y.shape
    across = (n + COLUMNS - 1) // COLUMNS
    unit = cuda.blockIdx.x
    i0 = unit // across * ROWS + cuda.threadIdx.y
    j = unit % across * COLUMNS + cuda.threadIdx.x
    if j < n:
        bias = widen(b[j])
        for i in range(i0, min(i0 + ROWS, m), LINES):
            value = widen(y[i, j]) + bias
            if relu and value < 0:
                value = widen(y.dtype.type(0))
            y[i, j] = narrow(value, y)
