"""Maxima with the places where they were.

As in `band`, each row's taps are folded across, then the rows down; with every value goes its tap's number,
as a float in a register of its own. The first of equal values wins and the last of NaNs, row by row of the
window: within a row by the order of the taps, between rows by the order of the rows, so folding one row at a
time changes nothing. A number counts from the window's corner: the tap, or by how much the plane's flat
index grows; that of the corner is added as it is stored.
"""

import numpy as np

from kernels.core import jit, simd
from kernels.pool.register.band import BAND, taps_of


@jit.inlined
def winner(value, code, best, won):
    """Keep the better of the earlier `best` and a later value, and its number."""
    better = (value > best) | (value != value)
    return simd.select(better, value, best), simd.select(better, code, won)


@jit.inlined
def across(xs, row, column, width, kernel, stride, dilation, code, first):
    """Return the winners of one row of taps and their numbers; `first` numbers the first that exists."""
    best = taps_of(xs, row, column, width, stride, -np.inf)
    won = first
    for s in range(1, kernel):
        value = taps_of(xs, row, column + s * dilation, width, stride, -np.inf)
        best, won = winner(value, simd.splat(s * code, xs), best, won)
    return best, won


@jit.exact
def winner_planes(x, first, last, kernel, stride, padding, dilation, indices, window, y, scratch):
    """Fill the planes [first, last) of y and of indices."""
    lanes = simd.lanes(x)
    size, out = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    xs, ys, kept = x.reshape(x.size), y.reshape(y.size), indices.reshape(indices.size)
    wide = (out[1] + lanes - 1) // lanes * lanes
    firsts, half = scratch[:wide], (scratch.size - wide) // 2
    rows, codes = scratch[wide : wide + half], scratch[wide + half :]
    down, right = (kernel[1], 1) if window else (dilation[0] * size[1], dilation[1])
    step = 0 if window else stride[1]
    for ow in range(out[1]):
        left = padding[1] - ow * stride[1]
        firsts[ow] = right * max(0, (left + dilation[1] - 1) // dilation[1])
    for plane in range(first, last):
        base, to = plane * size[0] * size[1], plane * out[0] * out[1]
        for low in range(0, out[0], BAND):
            high = min(out[0], low + BAND)
            top = low * stride[0] - padding[0]
            bottom = (high - 1) * stride[0] - padding[0] + dilation[0] * (kernel[0] - 1) + 1
            for o in range(0, out[1], lanes):
                column = o * stride[1] - padding[1]
                none = simd.vector(firsts, o)
                for ih in range(max(0, top), min(size[0], bottom)):
                    best, won = across(
                        xs, base + ih * size[1], column, size[1],
                        kernel[1], stride[1], dilation[1], right, none,
                    )  # fmt: skip
                    simd.put_vector(best, rows, (ih - top) * lanes)
                    simd.put_vector(won, codes, (ih - top) * lanes)
                for oh in range(low, high):
                    ih = oh * stride[0] - padding[0]
                    r = 0 if ih >= 0 else (-ih + dilation[0] - 1) // dilation[0]
                    at = (ih + r * dilation[0] - top) * lanes
                    best, won = simd.vector(rows, at), simd.vector(codes, at) + r * down
                    for below in range(r + 1, kernel[0]):
                        if ih + below * dilation[0] >= size[0]:
                            break
                        at = (ih + below * dilation[0] - top) * lanes
                        code = simd.vector(codes, at) + below * down
                        best, won = winner(simd.vector(rows, at), code, best, won)
                    at, corner = to + oh * out[1] + o, 0 if window else ih * size[1] + column
                    simd.put_vector_part(best, ys, at, out[1] - o)
                    simd.put_integers(won, kept, at, out[1] - o, corner, step)
