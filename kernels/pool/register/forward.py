"""Maxima and means of whole planes: which walk serves which window, and what the fold is."""

import numpy as np
from numba import prange

from kernels.core import jit, simd
from kernels.core.windows import taps_below, taps_inside
from kernels.pool.register import kinds
from kernels.pool.register.band import BAND, band, rows_in_band
from kernels.pool.register.walk import stream, strip
from kernels.pool.register.winners import winner_planes

CACHED = 8192  # elements of x and y of one plane that stay in the first cache


@jit.inlined
def plane_of(
    fold, term, doubt, finish, fill, xs, base, size, top, left, taps, stride, ys, to, out, weights, factors
):  # fmt: skip
    """Fill one plane, windows of taps × taps; return whether there was doubt."""
    lanes = simd.lanes(xs)
    unsure = False
    if size[0] * size[1] + out[0] * out[1] <= CACHED:
        for o in range(0, out[1], lanes):
            column = o * stride - left
            unsure |= strip(
                fold, term, doubt, finish, fill, xs, base, size, column, top, taps, stride, ys, to, out, o, weights, factors
            )  # fmt: skip
        return unsure
    for oh in range(out[0]):
        ih = oh * stride - top
        first, last = max(0, ih), min(size[0], ih + taps)
        unsure |= stream(
            fold, term, doubt, finish, fill, xs, base + first * size[1], last - first, size[1], left, taps, stride,
            ys, to + oh * out[1], out[1], weights, factors[oh],
        )  # fmt: skip
    return unsure


@jit.inlined
def planes(
    fold, careful, term, doubt, finish, fill, x, first, last, options, y, weights, factors, rows
):
    """Fill the planes [first, last) of y; `careful` folds a plane that has a NaN."""
    kernel, stride, padding, dilation = options
    size, out = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    xs, ys = x.reshape(x.size), y.reshape(y.size)
    dense = dilation[0] == 1 and dilation[1] == 1
    square = kernel[0] == kernel[1] and stride[0] == stride[1]
    small = dense and square and 2 <= kernel[0] <= 3 and stride[0] <= 2
    for plane in range(first, last):
        base, to = plane * size[0] * size[1], plane * out[0] * out[1]
        unsure = True
        if small and kernel[0] == 3 and stride[0] == 1:
            unsure = plane_of(
                fold, term, doubt, finish, fill, xs, base, size, padding[0], padding[1], 3, 1, ys, to, out, weights, factors
            )  # fmt: skip
        elif small and kernel[0] == 3:
            unsure = plane_of(
                fold, term, doubt, finish, fill, xs, base, size, padding[0], padding[1], 3, 2, ys, to, out, weights, factors
            )  # fmt: skip
        elif small and stride[0] == 1:
            unsure = plane_of(
                fold, term, doubt, finish, fill, xs, base, size, padding[0], padding[1], 2, 1, ys, to, out, weights, factors
            )  # fmt: skip
        elif small:
            unsure = plane_of(
                fold, term, doubt, finish, fill, xs, base, size, padding[0], padding[1], 2, 2, ys, to, out, weights, factors
            )  # fmt: skip
        if unsure:
            for low in range(0, out[0], BAND):
                high = min(out[0], low + BAND)
                for o in range(0, out[1], simd.lanes(xs)):
                    column = o * stride[1] - padding[1]
                    band(
                        careful, term, finish, fill, xs, base, size, column, options, ys, to, out, o, low, high,
                        weights, factors, rows,
                    )  # fmt: skip


@jit.exact
def max_planes(x, first, last, kernel, stride, padding, dilation, y, scratch):
    """Fill the planes [first, last) of y."""
    options = kernel, stride, padding, dilation
    weights, factors, rows = shared(y.shape[2], y.shape[3], scratch)
    factors[:] = 1
    planes(
        kinds.larger,
        kinds.largest,
        kinds.itself,
        kinds.of_nan,
        kinds.as_it_is,
        -np.inf,
        x,
        first,
        last,
        options,
        y,
        weights,
        factors,
        rows,
    )


@jit.exact
def avg_planes(x, first, last, kernel, stride, padding, dilation, limits, include, y, scratch):
    """Fill the planes [first, last) of y."""
    options = kernel, stride, padding, dilation
    weights, factors, rows = shared(y.shape[2], y.shape[3], scratch)
    share(factors, 0, options, x.shape[2], limits, include)
    share(weights, 1, options, x.shape[3], limits, include)
    planes(
        kinds.total,
        kinds.total,
        kinds.itself,
        kinds.nowhere,
        kinds.weighted,
        0.0,
        x,
        first,
        last,
        options,
        y,
        weights,
        factors,
        rows,
    )


@jit.exact
def shared(height, width, scratch):
    """Cut scratch into a weight for each column of outputs, a factor for each row, and a band's rows."""
    lanes = simd.lanes(scratch)
    wide = (width + lanes - 1) // lanes * lanes
    tall = (height + lanes - 1) // lanes * lanes
    return scratch[:wide], scratch[wide : wide + height], scratch[wide + tall :]


@jit.exact
def share(weights, axis, options, size, limits, include):
    """Fill with one over the number of taps that count along an axis."""
    kernel, stride, padding, dilation = options
    for o in range(weights.shape[0]):
        start = o * stride[axis] - padding[axis]
        if include:
            count = taps_below(start, dilation[axis], kernel[axis], limits[axis])
        else:
            count = taps_inside(start, dilation[axis], kernel[axis], size)
        weights[o] = 1 / max(1, count)


@jit.exact
def lp_planes(x, first, last, kernel, stride, padding, dilation, limits, p, y, scratch):
    """Fill the planes [first, last) of y, p being 2."""
    options = kernel, stride, padding, dilation
    weights, factors, rows = shared(y.shape[2], y.shape[3], scratch)
    share(factors, 0, options, x.shape[2], limits, True)
    share(weights, 1, options, x.shape[3], limits, True)
    factors *= x.dtype.type(kernel[0] * kernel[1])
    planes(
        kinds.total, kinds.total, kinds.square, kinds.nowhere, kinds.root, 0.0,
        x, first, last, options, y, weights, factors, rows,
    )  # fmt: skip


@jit.exact
def max_or_winner_planes(
    x, first, last, kernel, stride, padding, dilation, indices, window, y, scratch
):
    """Fill the planes [first, last) of y, and of indices unless it is empty."""
    if indices.size:
        winner_planes(
            x, first, last, kernel, stride, padding, dilation, indices, window, y, scratch
        )
    else:
        max_planes(x, first, last, kernel, stride, padding, dilation, y, scratch)


@jit.parallel
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y, scratch):
    """Fill y, and indices unless it is empty, planes over threads."""
    count, pieces = y.shape[0] * y.shape[1], scratch.shape[0]
    for piece in prange(pieces):
        first, last = np.int64(piece) * count // pieces, (np.int64(piece) + 1) * count // pieces
        max_or_winner_planes(
            x, first, last, kernel, stride, padding, dilation, indices, window, y, scratch[piece]
        )


@jit.parallel
def lp_pool2d(x, kernel, stride, padding, dilation, limits, p, y, scratch):
    """Fill y, planes over threads."""
    count, pieces = y.shape[0] * y.shape[1], scratch.shape[0]
    for piece in prange(pieces):
        first, last = np.int64(piece) * count // pieces, (np.int64(piece) + 1) * count // pieces
        lp_planes(x, first, last, kernel, stride, padding, dilation, limits, p, y, scratch[piece])


@jit.parallel
def avg_pool2d(x, kernel, stride, padding, dilation, limits, include, y, scratch):
    """Fill y, its planes over threads."""
    count, pieces = y.shape[0] * y.shape[1], scratch.shape[0]
    for piece in prange(pieces):
        first, last = np.int64(piece) * count // pieces, (np.int64(piece) + 1) * count // pieces
        avg_planes(
            x, first, last, kernel, stride, padding, dilation, limits, include, y, scratch[piece]
        )


def room(problem):
    """Elements of scratch: weights, factors, and a band's rows of values and of winners' numbers."""
    lanes = simd.lanes_of(problem.dtype)
    rows = rows_in_band(problem.kernel[0], problem.stride[0], problem.dilation[0])
    return problem.ow + problem.oh + 2 * lanes + 2 * rows * lanes
