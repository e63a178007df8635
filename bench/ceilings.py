"""What this machine could do at best, measured in the same run as what is compared with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, prange

from bench import clock

DEGREE = 12  # so short that the coefficients stay in registers and many chains overlap
BLOCK = 2048  # elements: two arrays of them stay in the first cache


@njit(fastmath={"contract"}, parallel=True, nogil=True)
def _fma(x, y, coefficients, repeats):
    """Evaluate a polynomial by Horner's rule at x: a multiply and an add a degree, all in registers."""
    for block in prange(x.shape[0]):
        xs, ys = x[block], y[block]
        for _ in range(repeats):
            for i in range(xs.shape[0]):
                t = xs[i]
                total = coefficients[0]
                for degree in range(1, DEGREE + 1):
                    total = total * t + coefficients[degree]
                ys[i] = total


@njit(parallel=True, nogil=True)
def _copy(x, y):
    for block in prange(x.shape[0]):
        xs, ys = x[block], y[block]
        for i in range(xs.shape[0]):
            ys[i] = xs[i]


def copying(nbytes: int, dtype: Any, threads: int) -> Callable[[], object]:
    """Return a call that copies half of so many bytes to the other half, over threads: the floor of a loop
    that reads and writes each of them once.
    """
    import numba

    long = np.ones((threads, max(1, nbytes // 2 // threads // np.dtype(dtype).itemsize)), dtype)
    other = np.empty_like(long)

    def copy() -> None:
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        _copy(long, other)
        numba.set_num_threads(before)

    return copy


def measure(dtype: Any, threads: int) -> dict[str, float]:
    """Return the peak of multiplies and adds in GFLOP/s, and of copying (read and write) in GB/s."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        x = np.full((threads, BLOCK), 0.5, dtype)
        y = np.empty_like(x)
        coefficients = np.ones(DEGREE + 1, dtype)
        flops = 2 * DEGREE * x.size * 100
        long = np.ones((threads, (64 << 20) // threads // x.itemsize), dtype)
        other = np.empty_like(long)
        calls: dict[str, Callable[[], object]] = {
            "gflops": lambda: _fma(x, y, coefficients, 100),
            "gbytes": lambda: _copy(long, other),
        }
        times = clock.medians({name: clock.Local(call) for name, call in calls.items()})
    finally:
        numba.set_num_threads(before)
    return {
        "gflops": flops / times["gflops"] / 1e9,
        "gbytes": 2 * long.nbytes / times["gbytes"] / 1e9,
    }
