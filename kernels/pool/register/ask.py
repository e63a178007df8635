"""Gradients under windows of any kind: each vector of dx asks the windows that hold it.

Input q, counted from the first of the padding, lies under tap s of window (q − s·d)/u, where that divides. For
inputs u apart these windows are neighbours: a tap is one load, and each of the u phases of a row is stored
u apart.
"""

import numpy as np

from kernels.core import jit, simd
from kernels.core.windows import taps_below
from kernels.pool.register.laid_out import BAND, lay_out, number_steps


@jit.inlined
def rows_that_hold(ih, kernel, stride, padding, dilation, low, high, pitch, places, taps):
    """List the rows of windows in [low, high) that hold row ih of dx: where they begin, which tap it is."""
    count = 0
    for r in range(kernel):
        up = ih + padding - r * dilation
        oh = up // stride
        if up >= 0 and oh * stride == up and low <= oh < high:
            places[np.uint64(count)] = (oh - low) * pitch
            taps[np.uint64(count)] = r
            count += 1
    return count


@jit.inlined
def add(match, total, dys, numbers, here, codes, tap):
    """Add dy of the windows at `here`, or (`match`) of those that this tap won."""
    value = simd.vector(dys, here)
    if not match:
        return total + value
    won = simd.vector(numbers, here) == simd.vector(codes, tap * simd.lanes(dys))
    return simd.select(won, total + value, total)


@jit.inlined
def any_row(
    match, dys, numbers, codes, at, rows, row_places, row_taps, size, stride, dilation, dx, place, width, left
):  # fmt: skip
    """Fill a row of dx under windows of any kind."""
    lanes = simd.lanes(dys)
    for e in range(stride):  # inputs e, e + stride, …, counted from the first of the padding
        for first in range((width + left - e + stride - 1) // stride):
            if first % lanes:
                continue
            total = simd.splat(0, dys)
            for s in range(size):
                shift = (e - s * dilation) // stride
                if shift * stride != e - s * dilation:
                    continue
                for i in range(rows):
                    here = at + row_places[np.uint64(i)] + first + shift
                    tap = row_taps[np.uint64(i)] * size + s
                    total = add(match, total, dys, numbers, here, codes, tap)
            column = e + first * stride - left
            skip = (-column + stride - 1) // stride if column < 0 else 0
            if skip < lanes:
                count = (width - column + stride - 1) // stride
                simd.put_vector_apart(total, dx, place + column, stride, skip, count)


@jit.inlined
def any_planes(
    match, share_of, dy, kept, y, first, last, options, window, weights, factors, dx, lost, scratch, bounds, codes, lists
):  # fmt: skip
    """Fill the planes [first, last) of dx, and (`match`) of lost."""
    kernel, stride, padding, dilation = options
    row_places, row_taps = lists
    lanes = simd.lanes(dx)
    out, size = (dy.shape[2], dy.shape[3]), (dx.shape[2], dx.shape[3])
    grads, flat, ys = dy.reshape(dy.size), dx.reshape(dx.size), y.reshape(y.size)
    span = dilation[1] * (kernel[1] - 1)
    pitch, before = row_pitch(out[1], span, stride[1], lanes), span // stride[1] + 1
    dys, numbers = scratch[: scratch.size // 2], scratch[scratch.size // 2 :]
    dys[:] = 0
    numbers[:] = -1
    apart = 0 if window else stride[1]
    code = number_steps(kernel, dilation, size[1], window)
    for plane in range(first, last):
        bad = simd.splat(0, dys)
        base, to = plane * out[0] * out[1], plane * size[0] * size[1]
        for low in range(0, size[0], BAND * stride[0]):
            high = min(size[0], low + BAND * stride[0])
            reach = low + padding[0] - dilation[0] * (kernel[0] - 1)
            top = max(0, (reach + stride[0] - 1) // stride[0])
            bottom = min(out[0], (high - 1 + padding[0]) // stride[0] + 1)
            fresh = 0 if low == 0 else (low - 1 + padding[0]) // stride[0] + 1
            for oh in range(top, bottom):
                ih = oh * stride[0] - padding[0]
                exist = (
                    taps_below(ih, dilation[0], kernel[0], 0),
                    taps_below(ih, dilation[0], kernel[0], size[0]),
                )
                corner = 0 if window else ih * size[1] - padding[1]
                wrong = lay_out(
                    match, share_of, grads, kept, ys, base + oh * out[1], out[1], corner, apart, weights,
                    factors[oh], bounds, exist, code, dys, numbers, (oh - top) * pitch + before,
                )  # fmt: skip
                if match and oh >= fresh:
                    bad = bad + wrong
            for ih in range(low, high):
                place = to + ih * size[1]
                rows = rows_that_hold(
                    ih, kernel[0], stride[0], padding[0], dilation[0], top, bottom, pitch, row_places, row_taps
                )  # fmt: skip
                any_row(
                    match, dys, numbers, codes, before, rows, row_places, row_taps, kernel[1], stride[1],
                    dilation[1], flat, place, size[1], padding[1],
                )  # fmt: skip
        if match:
            lost[plane] = np.int64(simd.sum_of(bad))


@jit.inlined
def row_pitch(width, span, stride, lanes):
    """How far rows of dy lie apart, with zeros before and after them."""
    return 2 * (span // stride + 1) + width + 2 * lanes
