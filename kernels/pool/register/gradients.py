"""Gradients of whole planes: which walk serves which window, and what a window hands back."""

import numpy as np
from numba import prange

from kernels.core import jit, simd
from kernels.pool.register import kinds
from kernels.pool.register.ask import any_planes
from kernels.pool.register.carry import small_planes
from kernels.pool.register.forward import share, shared
from kernels.pool.register.laid_out import BAND, number_taps


@jit.inlined
def planes(
    match, share_of, dy, kept, y, first, last, options, window, weights, factors, dx, lost, scratch, bounds, codes, lists
):  # fmt: skip
    """Fill the planes [first, last) of dx, and (`match`) of lost."""
    kernel, stride, padding, dilation = options
    dense = dilation[0] == 1 and dilation[1] == 1
    size = kernel[0] if dense and kernel[0] == kernel[1] and stride[0] == stride[1] else 0
    if size == 3 and stride[0] == 2:
        small_planes(
            match, share_of, dy, kept, y, first, last, 3, 2, padding, window, weights, factors, dx, lost,
            scratch, bounds, codes,
        )  # fmt: skip
    elif size == 3 and stride[0] == 1:
        small_planes(
            match, share_of, dy, kept, y, first, last, 3, 1, padding, window, weights, factors, dx, lost,
            scratch, bounds, codes,
        )  # fmt: skip
    elif size == 2 and stride[0] == 2:
        small_planes(
            match, share_of, dy, kept, y, first, last, 2, 2, padding, window, weights, factors, dx, lost,
            scratch, bounds, codes,
        )  # fmt: skip
    else:
        any_planes(
            match, share_of, dy, kept, y, first, last, options, window, weights, factors, dx, lost, scratch,
            bounds, codes, lists,
        )  # fmt: skip


@jit.exact
def max_planes(
    dy, indices, first, last, kernel, stride, padding, dilation, window, lost, dx, scratch
):
    """Fill the planes [first, last) of dx, and of lost: how many indices are no tap of their windows."""
    options = kernel, stride, padding, dilation
    weights, factors, rest = shared(dy.shape[2], dy.shape[3], scratch)
    wide, many = weights.shape[0], kernel[0] * kernel[1] * simd.lanes(scratch)
    lows, highs, codes = rest[:wide], rest[wide : 2 * wide], rest[2 * wide : 2 * wide + many]
    number_taps(kernel, stride, padding, dilation, dx.shape[3], window, lows, highs, codes)
    lows[dy.shape[3] :] = -1  # lanes beyond the row are never wrong
    lists = np.empty(kernel[0], np.int64), np.empty(kernel[0], np.int64)
    planes(
        True, kinds.whole, dy, indices.reshape(indices.size), dy, first, last, options, window, weights,
        factors, dx, lost.reshape(lost.size), rest[2 * wide + many :], (lows, highs), codes, lists,
    )  # fmt: skip


@jit.exact
def avg_planes(dy, first, last, kernel, stride, padding, dilation, limits, include, dx, scratch):
    """Fill the planes [first, last) of dx."""
    options = kernel, stride, padding, dilation
    weights, factors, rest = shared(dy.shape[2], dy.shape[3], scratch)
    share(factors, 0, options, dx.shape[2], limits, include)
    share(weights, 1, options, dx.shape[3], limits, include)
    lists = np.empty(kernel[0], np.int64), np.empty(kernel[0], np.int64)
    planes(
        False, kinds.part, dy, lists[0], dy, first, last, options, False, weights, factors, dx, lists[0],
        rest, (rest, rest), rest, lists,
    )  # fmt: skip


@jit.exact
def lp_planes(dy, x, y, first, last, kernel, stride, padding, dilation, limits, p, dx, scratch):
    """Fill the planes [first, last) of dx, p being 2."""
    options = kernel, stride, padding, dilation
    weights, factors, rest = shared(dy.shape[2], dy.shape[3], scratch)
    share(factors, 0, options, dx.shape[2], limits, True)
    share(weights, 1, options, dx.shape[3], limits, True)
    factors *= dx.dtype.type(kernel[0] * kernel[1])
    lists = np.empty(kernel[0], np.int64), np.empty(kernel[0], np.int64)
    size, xs, flat = dx.shape[2] * dx.shape[3], x.reshape(x.size), dx.reshape(dx.size)
    for plane in range(first, last):
        planes(
            False, kinds.part_of_root, dy, lists[0], y, plane, plane + 1, options, False, weights, factors,
            dx, lists[0], rest, (rest, rest), rest, lists,
        )  # fmt: skip
        for i in range(plane * size, (plane + 1) * size):
            flat[np.uint64(i)] *= xs[np.uint64(i)]


@jit.parallel
def max_dx(dy, indices, kernel, stride, padding, dilation, window, lost, dx, scratch):
    """Fill dx and lost (N, C), planes over threads."""
    count, pieces = dx.shape[0] * dx.shape[1], scratch.shape[0]
    for piece in prange(pieces):
        first, last = np.int64(piece) * count // pieces, (np.int64(piece) + 1) * count // pieces
        max_planes(
            dy,
            indices,
            first,
            last,
            kernel,
            stride,
            padding,
            dilation,
            window,
            lost,
            dx,
            scratch[piece],
        )


@jit.parallel
def avg_dx(dy, kernel, stride, padding, dilation, limits, include, dx, scratch):
    """Fill dx, planes over threads."""
    count, pieces = dx.shape[0] * dx.shape[1], scratch.shape[0]
    for piece in prange(pieces):
        first, last = np.int64(piece) * count // pieces, (np.int64(piece) + 1) * count // pieces
        avg_planes(
            dy, first, last, kernel, stride, padding, dilation, limits, include, dx, scratch[piece]
        )


@jit.parallel
def lp_dx(dy, x, y, kernel, stride, padding, dilation, limits, p, dx, scratch):
    """Fill dx, planes over threads."""
    count, pieces = dx.shape[0] * dx.shape[1], scratch.shape[0]
    for piece in prange(pieces):
        first, last = np.int64(piece) * count // pieces, (np.int64(piece) + 1) * count // pieces
        lp_planes(
            dy, x, y, first, last, kernel, stride, padding, dilation, limits, p, dx, scratch[piece]
        )


def room(problem):
    """Elements of scratch: weights, factors, bounds, codes, and a band of dy and of winners' numbers."""
    lanes = simd.lanes_of(problem.dtype)
    (rows, taps), (down, across), (tall, wide) = problem.kernel, problem.stride, problem.dilation
    pitch = 2 * (wide * (taps - 1) // across + 1) + problem.ow + 2 * lanes
    pitch = max(pitch, problem.w + problem.lead[1] + 4 * lanes)
    band = BAND + tall * (rows - 1) // down + 2
    shared = 3 * problem.ow + problem.oh + 5 * lanes + rows * taps * lanes
    return shared + 2 * (problem.w + problem.lead[1] + 2 * lanes) + 2 * (band * pitch + lanes)
