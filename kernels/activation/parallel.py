"""Rung 2: chunks of elements, or groups of rows, over threads.

A share is `CHUNK` elements whatever the number of threads, of rows some more; each is filled by a function of
`vectorised`. Two loops over threads serve all elementwise functions, told by a number which: a loop over
threads costs the compiler as much as all that stands in it.

What it costs on one thread, 4096×1024 float32: 1 to 10 % for the chunks' calls, and for rows, whose shares end with
a wait for what was streamed, 3 % (25 % in shares of 8192). The README has the times on two.
"""

import numpy as np
from numba import prange

from kernels.activation import vectorised as loops
from kernels.core import jit

CHUNK = 8192  # elements, at the least
SHARES = 64  # at most: a call on a thread of its own counts who holds its arrays, and two threads get in each other's way
SHARE = 4 * CHUNK  # of rows: what is streamed is waited for at the end of each


@jit.inlined
def chunk_of(size):
    """Elements of a share: whole `CHUNK`s."""
    return max(1, size // (SHARES * CHUNK)) * CHUNK


@jit.exact
def forward_share(kind, x, option, y, first, chunk):
    """Fill one chunk of y."""
    last = min(first + chunk, y.shape[0])
    if kind == 0:
        loops.relu(x, y, first, last)
    elif kind == 1:
        loops.leaky_relu(x, option, y, first, last)
    elif kind == 2:
        loops.exp(x, y, first, last)
    elif kind == 3:
        loops.sigmoid(x, y, first, last)
    elif kind == 4:
        loops.tanh(x, y, first, last)
    elif kind == 5:
        loops.silu(x, y, first, last)
    else:
        loops.gelu(x, option > 0, y, first, last)


@jit.exact
def backward_share(kind, dy, kept, option, dx, first, chunk):
    """Fill one chunk of dx."""
    last = min(first + chunk, dx.shape[0])
    if kind == 0:
        loops.relu_dx(dy, kept, dx, first, last)
    elif kind == 1:
        loops.leaky_relu_dx(dy, kept, option, dx, first, last)
    elif kind == 2:
        loops.exp_dx(dy, kept, dx, first, last)
    elif kind == 3:
        loops.sigmoid_dx(dy, kept, dx, first, last)
    elif kind == 4:
        loops.tanh_dx(dy, kept, dx, first, last)
    elif kind == 5:
        loops.silu_dx(dy, kept, dx, first, last)
    else:
        loops.gelu_dx(dy, kept, option > 0, dx, first, last)


@jit.parallel
def forward(kind, x, option, y):
    """Fill y, its chunks over threads."""
    chunk = chunk_of(y.shape[0])
    for share in prange((y.shape[0] + chunk - 1) // chunk):
        forward_share(kind, x, option, y, np.int64(share) * chunk, chunk)


@jit.parallel
def backward(kind, dy, kept, option, dx):
    """Fill dx, its chunks over threads."""
    chunk = chunk_of(dx.shape[0])
    for share in prange((dx.shape[0] + chunk - 1) // chunk):
        backward_share(kind, dy, kept, option, dx, np.int64(share) * chunk, chunk)


@jit.parallel
def softmax(x, y, groups, size):
    """Fill y, `size` of its groups of rows at a time, over threads."""
    for part in prange((groups + size - 1) // size):
        first = np.int64(part) * size
        loops.softmax(x, y, first, min(first + size, groups))


@jit.parallel
def softmax_dx(dy, y, dx, groups, size):
    """Fill dx, `size` of its groups of rows at a time, over threads."""
    for part in prange((groups + size - 1) // size):
        first = np.int64(part) * size
        loops.softmax_dx(dy, y, dx, first, min(first + size, groups))


@jit.parallel
def log_softmax(x, y, groups, size):
    """Fill y, `size` of its groups of rows at a time, over threads."""
    for part in prange((groups + size - 1) // size):
        first = np.int64(part) * size
        loops.log_softmax(x, y, first, min(first + size, groups))


@jit.parallel
def log_softmax_dx(dy, y, dx, groups, size):
    """Fill dx, `size` of its groups of rows at a time, over threads."""
    for part in prange((groups + size - 1) // size):
        first = np.int64(part) * size
        loops.log_softmax_dx(dy, y, dx, first, min(first + size, groups))
