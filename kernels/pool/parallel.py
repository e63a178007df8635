"""Rung 2: the planes of `rows` over threads; no plane reads or writes another's.

Measured on a Zen 5, float32 (the README's table): 2.6 times `rows` on two cores for the maximum of
8×64×112×112, 3×3 stride 2; 1.2 times for its gradient, half of which was checking the indices.
"""

from numba import prange

from kernels.core import jit
from kernels.pool import rows


@jit.parallel
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y):
    """Fill y, and indices unless it is empty, planes over threads."""
    for plane in prange(y.shape[0] * y.shape[1]):
        n, c = plane // y.shape[1], plane % y.shape[1]
        rows.max_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y)


@jit.parallel
def max_dx(dy, indices, kernel, stride, padding, dilation, window, dx):
    """Fill dx, planes over threads."""
    for plane in prange(dx.shape[0] * dx.shape[1]):
        n, c = plane // dx.shape[1], plane % dx.shape[1]
        rows.max_dx_plane(dy, indices, n, c, kernel, stride, padding, dilation, window, dx)


@jit.parallel
def avg_pool2d(x, kernel, stride, padding, dilation, limits, include, y):
    """Fill y, planes over threads."""
    for plane in prange(y.shape[0] * y.shape[1]):
        n, c = plane // y.shape[1], plane % y.shape[1]
        rows.avg_plane(x, n, c, kernel, stride, padding, dilation, limits, include, y)


@jit.parallel
def avg_dx(dy, kernel, stride, padding, dilation, limits, include, dx):
    """Fill dx, planes over threads."""
    for plane in prange(dx.shape[0] * dx.shape[1]):
        n, c = plane // dx.shape[1], plane % dx.shape[1]
        rows.avg_dx_plane(dy, n, c, kernel, stride, padding, dilation, limits, include, dx)
