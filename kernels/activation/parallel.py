"""Rung 1: elements in chunks, rows one by one, over threads.

A chunk is `CHUNK` elements whatever the number of threads; each is filled by the loop of `naive`.

Measured on a Zen 5, float32 (the README's table): two cores, 4096×1024: twice `naive` where an
exponential takes the time, 1.3 to 1.7 times where memory does (relu and the gradients).
"""

from numba import prange

from kernels.activation import naive
from kernels.core import jit

CHUNK = 8192


@jit.parallel
def relu(x, y):
    """Fill y, its chunks over threads."""
    for chunk in prange((y.shape[0] + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        naive.relu(x[low : low + CHUNK], y[low : low + CHUNK])


@jit.parallel
def relu_dx(dy, x, dx):
    """Fill dx, its chunks over threads."""
    for chunk in prange((dx.shape[0] + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        high = low + CHUNK
        naive.relu_dx(dy[low:high], x[low:high], dx[low:high])


@jit.parallel
def sigmoid(x, y):
    """Fill y, its chunks over threads."""
    for chunk in prange((y.shape[0] + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        naive.sigmoid(x[low : low + CHUNK], y[low : low + CHUNK])


@jit.parallel
def sigmoid_dx(dy, y, dx):
    """Fill dx, its chunks over threads."""
    for chunk in prange((dx.shape[0] + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        high = low + CHUNK
        naive.sigmoid_dx(dy[low:high], y[low:high], dx[low:high])


@jit.parallel
def tanh(x, y):
    """Fill y, its chunks over threads."""
    for chunk in prange((y.shape[0] + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        naive.tanh(x[low : low + CHUNK], y[low : low + CHUNK])


@jit.parallel
def tanh_dx(dy, y, dx):
    """Fill dx, its chunks over threads."""
    for chunk in prange((dx.shape[0] + CHUNK - 1) // CHUNK):
        low = chunk * CHUNK
        high = low + CHUNK
        naive.tanh_dx(dy[low:high], y[low:high], dx[low:high])


@jit.parallel
def softmax(x, y):
    """Fill y, its rows over threads."""
    for row in prange(y.shape[0] * y.shape[2]):
        naive.softmax_row(x, row // y.shape[2], row % y.shape[2], y)


@jit.parallel
def softmax_dx(dy, y, dx):
    """Fill dx, its rows over threads."""
    for row in prange(dx.shape[0] * dx.shape[2]):
        naive.softmax_dx_row(dy, y, row // dx.shape[2], row % dx.shape[2], dx)


@jit.parallel
def log_softmax(x, y):
    """Fill y, its rows over threads."""
    for row in prange(y.shape[0] * y.shape[2]):
        naive.log_softmax_row(x, row // y.shape[2], row % y.shape[2], y)


@jit.parallel
def log_softmax_dx(dy, y, dx):
    """Fill dx, its rows over threads."""
    for row in prange(dx.shape[0] * dx.shape[2]):
        naive.log_softmax_dx_row(dy, y, row // dx.shape[2], row % dx.shape[2], dx)
