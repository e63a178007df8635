"""Rung 3: the pieces of `vectors` over threads.

A set is one thread's from its statistics to its last element, so nothing is merged between threads; sums down
the columns of rows are each piece's own, and added in the order of the pieces. How many pieces there are hangs
on the sizes alone.

Measured on a Zen 4, float32, two cores: the README's table.
"""

import numpy as np
from numba import prange

from kernels.core import jit
from kernels.normalization.pieces import (
    NO,
    YES,
    batch_gradients,
    batch_sets,
    bias_piece,
    bias_pieces,
    channel_pieces,
    group_gradients,
    group_sets,
    group_totals,
    pieces,
)


@jit.parallel
def group_norm(x, weight, bias, groups, centred, eps, mean, rstd, y):
    """Fill y, and mean and rstd (N · groups,), pieces over threads."""
    count = pieces(x, groups, NO)
    for piece in prange(count):
        group_sets(x, weight, bias, groups, centred, eps, np.int64(piece), count, mean, rstd, y)


@jit.parallel
def batch_norm(x, weight, bias, training, momentum, eps, running_mean, running_var, mean, rstd, y):
    """Fill y, and in training mean and rstd (C,), and move the running statistics; channels over threads."""
    count = channel_pieces(x)
    for piece in prange(count):
        batch_sets(
            x, weight, bias, training, momentum, eps, running_mean, running_var,
            np.int64(piece), count, mean, rstd, y,
        )  # fmt: skip


@jit.parallel
def group_dx(dy, x, mean, rstd, weight, groups, centred, dw, db, dx, totals):
    """Fill dx; and dw and db (C,) unless they are empty; pieces over threads."""
    summing = dw.size + db.size > 0
    count = pieces(x, groups, summing)
    for piece in prange(count):
        group_gradients(
            dy, x, mean, rstd, weight, groups, centred, np.int64(piece), count, totals,
            summing, YES, dx,
        )  # fmt: skip
    if summing:
        group_totals(totals, x, dw, db)


@jit.parallel
def group_dw(dy, x, mean, rstd, groups, db, dw, totals):
    """Fill dw (C,); and db unless it is empty; pieces over threads."""
    count = pieces(x, groups, YES)
    for piece in prange(count):  # dw and dy stand for the weight and dx, which are not used
        group_gradients(
            dy, x, mean, rstd, dw, groups, YES, np.int64(piece), count, totals,
            YES, NO, dy,
        )  # fmt: skip
    group_totals(totals, x, dw, db)


@jit.parallel
def batch_dx(dy, x, mean, rstd, weight, training, dw, db, dx):
    """Fill dx; and dw and db (C,) unless they are empty; channels over threads."""
    count = channel_pieces(x)
    for piece in prange(count):
        batch_gradients(
            dy, x, mean, rstd, weight, training, np.int64(piece), count, dw, db, YES, dx
        )


@jit.parallel
def batch_dw(dy, x, mean, rstd, db, dw):
    """Fill dw (C,); and db unless it is empty; channels over threads."""
    count = channel_pieces(x)
    for piece in prange(count):
        batch_gradients(
            dy, x, mean, rstd, dw, NO, np.int64(piece), count, dw, db,
            NO, dy,
        )  # fmt: skip


@jit.parallel
def bias_sums(dy, db, totals):
    """Fill db (C,), pieces over threads."""
    count = bias_pieces(dy)
    for piece in prange(count):
        bias_piece(dy, np.int64(piece), count, totals, db)
    if dy.shape[2] == 1:
        group_totals(totals, dy, db[:0], db)
