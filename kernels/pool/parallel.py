"""Rung 2: the planes of `rows` over threads; no plane reads or writes another's.

Measured on a Zen 4, float32: in the README's table.
"""

import numpy as np
from numba import prange

from kernels.core import jit
from kernels.pool import rows


@jit.parallel
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y):
    """Fill y, and indices unless it is empty, planes over threads."""
    for plane in prange(y.shape[0] * y.shape[1]):
        n, c = np.int64(plane) // y.shape[1], np.int64(plane) % y.shape[1]
        rows.max_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y)


@jit.parallel
def max_dx(dy, indices, kernel, stride, padding, dilation, window, lost, dx):
    """Fill dx and lost, planes over threads."""
    for plane in prange(dx.shape[0] * dx.shape[1]):
        n, c = np.int64(plane) // dx.shape[1], np.int64(plane) % dx.shape[1]
        lost[n, c] = rows.max_dx_plane(
            dy, indices, n, c, kernel, stride, padding, dilation, window, dx
        )


@jit.parallel
def avg_pool2d(x, kernel, stride, padding, dilation, limits, include, y):
    """Fill y, planes over threads."""
    for plane in prange(y.shape[0] * y.shape[1]):
        n, c = np.int64(plane) // y.shape[1], np.int64(plane) % y.shape[1]
        rows.avg_plane(x, n, c, kernel, stride, padding, dilation, limits, include, y)


@jit.parallel
def avg_dx(dy, kernel, stride, padding, dilation, limits, include, dx):
    """Fill dx, planes over threads."""
    for plane in prange(dx.shape[0] * dx.shape[1]):
        n, c = np.int64(plane) // dx.shape[1], np.int64(plane) % dx.shape[1]
        rows.avg_dx_plane(dy, n, c, kernel, stride, padding, dilation, limits, include, dx)


@jit.parallel
def lp_pool2d(x, kernel, stride, padding, dilation, limits, p, y):
    """Fill y, planes over threads."""
    for plane in prange(y.shape[0] * y.shape[1]):
        n, c = np.int64(plane) // y.shape[1], np.int64(plane) % y.shape[1]
        rows.lp_plane(x, n, c, kernel, stride, padding, dilation, limits, p, y)


@jit.parallel
def lp_dx(dy, x, y, kernel, stride, padding, dilation, limits, p, dx):
    """Fill dx, planes over threads."""
    for plane in prange(dx.shape[0] * dx.shape[1]):
        n, c = np.int64(plane) // dx.shape[1], np.int64(plane) % dx.shape[1]
        rows.lp_dx_plane(dy, x, y, n, c, kernel, stride, padding, dilation, limits, p, dx)
