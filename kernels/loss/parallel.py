"""Rung 1: rows, or chunks of elements, over threads; their losses are then added in order by one.

A chunk is `CHUNK` elements whatever the number of threads, and each chunk's sum has a place of its
own in `losses`, so the total has the same bits with any number of them.

Measured on a Zen 5, float32 (the README's table): twice `naive` on two cores at 4096×1024.
"""

from numba import prange

from kernels.core import jit
from kernels.loss import naive

CHUNK = 8192


@jit.exact
def put(x, targets, row, ignore, smoothing, each):
    """each[row] = the loss of a row."""
    o, i = row // x.shape[2], row % x.shape[2]
    each[row] = naive.cross_entropy_row(x, targets, o, i, ignore, smoothing)


@jit.parallel
def cross_entropy(x, targets, ignore, smoothing, divisor, losses, y):
    """Fill y with the reduced loss, or with a loss a row where `losses` is empty."""
    each = losses if losses.size else y
    for row in prange(targets.size):
        put(x, targets, row, ignore, smoothing, each)
    if losses.size:
        naive.total(losses, divisor, y)


@jit.exact
def put_dx(dl, x, targets, row, ignore, smoothing, dx):
    """Fill one row of dx."""
    each = dl[row] if dl.size > 1 else dl[0]
    o, i = row // x.shape[2], row % x.shape[2]
    naive.cross_entropy_dx_row(each, x, targets, o, i, ignore, smoothing, dx)


@jit.parallel
def cross_entropy_dx(dl, x, targets, ignore, smoothing, dx):
    """Fill dx, its rows over threads."""
    for row in prange(targets.size):
        put_dx(dl, x, targets, row, ignore, smoothing, dx)


@jit.exact
def mse_chunk(y, target, chunk, losses, out):
    """Fill one chunk of out, or its place in `losses`."""
    low = chunk * CHUNK
    high = low + CHUNK
    if losses.size:
        losses[chunk] = naive.square_sum(y[low:high], target[low:high])
    else:
        naive.squares(y[low:high], target[low:high], out[low:high])


@jit.parallel
def mse(y, target, divisor, losses, out):
    """Fill out with the reduced loss, or with a loss an element where `losses` is empty."""
    chunks = (y.shape[0] + CHUNK - 1) // CHUNK
    for chunk in prange(chunks):
        mse_chunk(y, target, chunk, losses, out)
    if losses.size:
        naive.total(losses[:chunks], divisor, out)


@jit.exact
def mse_dx_chunk(dl, y, target, chunk, dx):
    """Fill one chunk of dx."""
    low = chunk * CHUNK
    high = low + CHUNK
    each = dl[low:high] if dl.size > 1 else dl
    naive.mse_dx(each, y[low:high], target[low:high], dx[low:high])


@jit.parallel
def mse_dx(dl, y, target, dx):
    """Fill dx, its chunks over threads."""
    for chunk in prange((dx.shape[0] + CHUNK - 1) // CHUNK):
        mse_dx_chunk(dl, y, target, chunk, dx)
