"""Rung 2: the planes of `reordered` over threads.

Every direction is split over what it writes: y over (image, filter), dx over (image, channel), dw
over (filter, channel), db over filters. Nothing is shared, nothing is added up across threads, and so
the bits do not depend on how many there are.

Measured on a Zen 5, float32 (the README's table): twice `reordered` on two cores, in every direction.
"""

from numba import prange

from kernels.conv import reordered
from kernels.core import jit


@jit.fast
def db_sum(dy, k, db):
    """db[k] = Σ dy[:, k], image after image, each plane as one row."""
    total = dy.dtype.type(0)
    for n in range(dy.shape[0]):
        plane = dy[n, k]
        row = plane.reshape(plane.size)
        for o in range(row.shape[0]):
            total += row[o]
    db[k] = total


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, its planes over threads."""
    for plane in prange(y.shape[0] * y.shape[1]):
        n, k = plane // y.shape[1], plane % y.shape[1]
        reordered.y_plane(x, w, b, n, k, stride, padding, dilation, groups, relu, y)


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, its planes over threads."""
    for plane in prange(dx.shape[0] * dx.shape[1]):
        n, c = plane // dx.shape[1], plane % dx.shape[1]
        reordered.dx_plane(dy, w, n, c, stride, padding, dilation, groups, dx)


@jit.parallel
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, its (filter, channel) pairs over threads."""
    for pair in prange(dw.shape[0] * dw.shape[1]):
        k, c = pair // dw.shape[1], pair % dw.shape[1]
        reordered.dw_filter(dy, x, k, c, stride, padding, dilation, groups, dw)


@jit.parallel
def db(dy, db):
    """Fill db, its filters over threads."""
    for k in prange(db.shape[0]):
        db_sum(dy, k, db)
