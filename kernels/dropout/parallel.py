"""Rung 1: counters over threads, in chunks; each element's word is its own, so nothing changes.

Measured on a Zen 5, float32 (the README's table): 2.1 times `naive` on two cores at 4096×1024.
"""

from numba import prange

from kernels.core import jit
from kernels.dropout.naive import four

CHUNK = 2048  # counters


@jit.exact
def share(x, chunk, seed, offset, threshold, scale, y):
    """Fill the elements of one chunk of counters."""
    for block in range(chunk * CHUNK, min((chunk + 1) * CHUNK, (y.shape[0] + 3) // 4)):
        four(x, block, seed, offset, threshold, scale, y)


@jit.parallel
def dropout(x, seed, offset, threshold, scale, y):
    """Fill y, its chunks over threads."""
    for chunk in prange((y.shape[0] + 4 * CHUNK - 1) // (4 * CHUNK)):
        share(x, chunk, seed, offset, threshold, scale, y)
