"""Rung 0: one counter, four random words, four elements.

    y[i] = x[i] / (1 − p) if u[i] ≥ p·2³² else 0

u[i] is word i mod 4 of Philox4x32-10 at counter (⌊i / 4⌋, offset) under the key `seed`. A counter-based
generator has no state to pass on: any element's word can be computed alone, so the mask is the same
whatever the threads, the dtype or the device, and the gradient makes it again instead of storing it.
15 integer operations an element; x and y moved once.

Source: Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011,
section 3.3; Srivastava et al., "Dropout", JMLR 15, 2014.
"""

import numpy as np

from kernels.core import jit

M0 = np.uint64(0xD2511F53)
M1 = np.uint64(0xCD9E8D57)
W0 = np.uint64(0x9E3779B9)
W1 = np.uint64(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


@jit.exact
def philox(c0, c1, c2, c3, k0, k1):
    """Ten rounds of Philox4x32; words of 32 bits in, and out, as uint64."""
    for _ in range(10):
        a = M0 * c0
        b = M1 * c2
        c0, c1, c2, c3 = (b >> SHIFT) ^ c1 ^ k0, b & LOW, (a >> SHIFT) ^ c3 ^ k1, a & LOW
        k0 = (k0 + W0) & LOW
        k1 = (k1 + W1) & LOW
    return c0, c1, c2, c3


@jit.exact
def four(x, block, seed, offset, threshold, scale, y):
    """Fill the (at most four) elements of y that one counter serves."""
    counter = np.uint64(block)
    words = philox(
        counter & LOW, counter >> SHIFT, offset & LOW, offset >> SHIFT, seed & LOW, seed >> SHIFT
    )
    start = block * 4
    for i in range(min(4, y.shape[0] - start)):
        kept = words[i] >= threshold
        y[start + i] = x[start + i] * scale if kept else y.dtype.type(0)


@jit.exact
def dropout(x, seed, offset, threshold, scale, y):
    """Fill y; `threshold` is p·2³² rounded up, `scale` 1 / (1 − p)."""
    for block in range((y.shape[0] + 3) // 4):
        four(x, block, seed, offset, threshold, scale, y)
