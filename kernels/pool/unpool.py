"""Unpooling: each value back to the place it came from, zero elsewhere.

    x[n, c, indices[n, c, oh, ow]] = y[n, c, oh, ow]        dy[n, c, oh, ow] = dx[n, c, indices[n, c, oh, ow]]

y and indices (N, C, OH, OW), x (N, C, H, W), the indices flat within a plane: the caller has checked that they
lie in it, for a compiled loop writes wherever it is told. Where two name one place the later value stays.

Source: Zeiler, Taylor and Fergus, "Adaptive Deconvolutional Networks for Mid and High Level Feature Learning",
2011, section 2.2.
"""

import numpy as np
from numba import prange

from kernels.core import jit


@jit.exact
def unpool_plane(y, indices, plane, x):
    """Fill one plane of x."""
    size, out = x.shape[2] * x.shape[3], y.shape[2] * y.shape[3]
    flat = x.reshape(x.size)[plane * size : (plane + 1) * size]
    values, places = y.reshape(y.size), indices.reshape(indices.size)
    flat[:] = 0
    for i in range(plane * out, (plane + 1) * out):
        flat[np.uint64(places[i])] = values[i]


@jit.exact
def unpool_dx_plane(dx, indices, plane, dy):
    """Fill one plane of dy, the gradient of y: gather."""
    size, out = dx.shape[2] * dx.shape[3], dy.shape[2] * dy.shape[3]
    flat = dx.reshape(dx.size)[plane * size : (plane + 1) * size]
    values, places = dy.reshape(dy.size), indices.reshape(indices.size)
    for i in range(plane * out, (plane + 1) * out):
        values[i] = flat[np.uint64(places[i])]


@jit.exact
def max_unpool2d(y, indices, x):
    """Fill x, plane by plane."""
    for plane in range(x.shape[0] * x.shape[1]):
        unpool_plane(y, indices, plane, x)


@jit.exact
def max_unpool2d_dx(dx, indices, dy):
    """Fill dy, plane by plane."""
    for plane in range(dy.shape[0] * dy.shape[1]):
        unpool_dx_plane(dx, indices, plane, dy)


@jit.parallel
def parallel(y, indices, x):
    """Fill x, planes over threads."""
    for plane in prange(x.shape[0] * x.shape[1]):
        unpool_plane(y, indices, np.int64(plane), x)


@jit.parallel
def parallel_dx(dx, indices, dy):
    """Fill dy, planes over threads."""
    for plane in prange(dy.shape[0] * dy.shape[1]):
        unpool_dx_plane(dx, indices, np.int64(plane), dy)
