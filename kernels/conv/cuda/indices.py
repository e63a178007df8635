"""Arithmetic on indices that Numba's 64 signed bits would make long."""

import numpy as np

from kernels.core.cuda.compiler import inlined

_LOW = 0xFFFFFFFF


@inlined
def split(t, n):
    """Quotient and remainder of numbers below 2³²: a division of 64 bits takes several times as long."""
    quotient = np.int64(np.uint32(t) // np.uint32(n))
    return quotient, np.int64(t) - quotient * n


@inlined
def within(i, n):
    """Whether 0 ≤ i < n, for numbers of 32 bits, in one comparison without sign."""
    return np.uint32(i & _LOW) < np.uint32(n)
