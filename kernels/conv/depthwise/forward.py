"""Forward: strips one vector wide, from the top of a plane to its bottom.

    y[n, k, oh, ow] = b[k] + Σ_r Σ_s w[k, r, s] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

A row of the strip is read S times, shifted by a column each, and added to the R rows of sums that it belongs to;
then the oldest leaves. R·S multiply-adds for S loads and a store: nothing but the multiplies' own rate
bounds a strip, and nothing but memory the whole where the filter is small. Rows of padding are left out, columns of padding are
lanes that are not read.

The gradient of the data with stride 1 is this very walk over dy, the filter turned by half a turn.
"""

import numpy as np
from numba import prange

from kernels.conv.depthwise.lanes import FIVE, SEVEN, TAPS, THREE, between, lanes_of, parts_of
from kernels.core import jit, simd
from kernels.core.simd import sliding

LARGE = 1 << 12  # elements of a plane from which on the next one is called for in time

# What a part notes for its loops, in memory: of a flag that it knows not to change, the compiler makes
# loops for either answer, and takes twice as long.
MORE, FAR = 0, 1  # add to what is there; call for the next plane


@jit.inlined
def leave(out, floor, flags, y, at, keep):
    """Write a row of sums, or add it to what is there."""
    if flags[MORE]:
        out = out + sliding.vector_at(y, at, keep)
    sliding.put_vector_at(sliding.at_least(out, floor), y, at, keep)


@jit.inlined
def strip(weights, bias, floor, flags, x, place, size, lanes, y, at, shape, keep, lead):
    """Fill a column of vectors: outputs at `at` and below, whose first tap reads column `place` of x."""
    sums, fresh = sliding.sums_for(weights, bias, 1), sliding.row_of_one(bias, x)
    behind = sliding.rows_in(weights) - 1
    for t in range(shape[0] + behind):
        row = t - lead
        if 0 <= row < size[0]:
            first = place + row * size[1]
            if flags[FAR]:
                sliding.ask(x, first + size[0] * size[1])
            sums = sliding.take_row(sums, weights, x, first, lanes, -1, 1, 0, 1)
        if t >= behind:
            first = at + (t - behind) * shape[1]
            if flags[FAR]:
                sliding.ask(y, first + shape[0] * shape[1])
            leave(sliding.part(sums, 0), floor, flags, y, first, keep)
        sums = sliding.roll(sums, fresh)


@jit.inlined
def strip_by_two(weights, bias, floor, flags, x, place, size, lanes, y, at, shape, keep, lead):
    """As `strip`, for stride 2: a row of outputs takes two rows of x."""
    sums, fresh = sliding.sums_for(weights, bias, 2), sliding.row_of_one(bias, x)
    behind, wide = sliding.rows_in(sums) - 1, simd.lanes(y)
    for t in range(shape[0] + behind):
        row = 2 * t - lead
        first = place + row * size[1]
        if 0 <= row < size[0]:
            if flags[FAR]:
                sliding.ask(x, first + size[0] * size[1])
                sliding.ask(x, first + size[0] * size[1] + wide)
            sums = sliding.take_row(sums, weights, x, first, lanes, -1, 2, 0, 2)
        if 0 <= row + 1 < size[0]:
            if flags[FAR]:
                sliding.ask(x, first + (size[0] + 1) * size[1])
                sliding.ask(x, first + (size[0] + 1) * size[1] + wide)
            sums = sliding.take_row(sums, weights, x, first + size[1], lanes, -1, 2, 1, 2)
        if t >= behind:
            first = at + (t - behind) * shape[1]
            if flags[FAR]:
                sliding.ask(y, first + shape[0] * shape[1])
            leave(sliding.part(sums, 0), floor, flags, y, first, keep)
        sums = sliding.roll(sums, fresh)


@jit.exact
def plane(window, w, start, step, bias, floor, flags, x, source, size, numbers, y, target, shape, lead):  # fmt: skip
    """Fill a plane of y, strip by strip."""
    weights, wide = sliding.taps(window, w, start, step), simd.lanes(x)
    for first in range(0, shape[1], wide):
        lanes = sliding.lanes_for(weights, numbers, first // wide * TAPS)
        keep = between(0, shape[1] - first, wide)
        strip(
            weights, bias, floor, flags, x, source + first - lead[1], size, lanes,
            y, target + first, shape, keep, lead[0],
        )  # fmt: skip


@jit.exact
def plane_by_two(
    window, w, start, step, bias, floor, flags, x, source, size, numbers, y, target, shape, lead
):
    """As `plane`, for stride 2."""
    weights, wide = sliding.taps(window, w, start, step), simd.lanes(x)
    for first in range(0, shape[1], wide):
        lanes = sliding.lanes_for(weights, numbers, first // wide * TAPS)
        keep = between(0, shape[1] - first, wide)
        strip_by_two(
            weights, bias, floor, flags, x, source + 2 * first - lead[1], size, lanes,
            y, target + first, shape, keep, lead[0],
        )  # fmt: skip


@jit.exact
def share(x, w, b, stride, lead, relu, turned, numbers, notes, y, part, parts):
    """Fill one part of y.

    `turned`: x is dy and y is dx. A plane of dx then sums over the filters that read it, their taps last to
    first, and there is no bias.
    """
    size, shape, side = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3]), w.shape[2]
    taps, area, out = side * w.shape[3], size[0] * size[1], shape[0] * shape[1]
    many = w.shape[0] // (y.shape[1] if turned else x.shape[1])
    zero = x.dtype.type(0)
    floor = zero if relu else x.dtype.type(-np.inf)
    xs, ws, ys = sliding.bare(x), sliding.bare(w), sliding.bare(y)
    notes[part, FAR] = area >= LARGE
    lanes, flags = sliding.bare(numbers), sliding.bare(notes[part])
    two = stride[0] == 2
    planes = y.shape[0] * y.shape[1]
    for each in range(part * planes // parts, (part + 1) * planes // parts):
        n, o = each // y.shape[1], each % y.shape[1]
        at = each * out
        for i in range(many if turned else 1):
            k = o * many + i if turned else o
            source = (n * x.shape[1] + (k if turned else k // many)) * area
            t, step = ((k + 1) * taps - 1, -1) if turned else (k * taps, 1)
            bias, notes[part, MORE] = zero if turned else b[k], i > 0
            if two and side == 3:
                plane_by_two(
                    THREE, ws, t, step, bias, floor, flags, xs, source, size, lanes,
                    ys, at, shape, lead,
                )  # fmt: skip
            elif two and side == 5:
                plane_by_two(
                    FIVE, ws, t, step, bias, floor, flags, xs, source, size, lanes,
                    ys, at, shape, lead,
                )  # fmt: skip
            elif two:
                plane_by_two(
                    SEVEN, ws, t, step, bias, floor, flags, xs, source, size, lanes,
                    ys, at, shape, lead,
                )  # fmt: skip
            elif side == 3:
                plane(
                    THREE, ws, t, step, bias, floor, flags, xs, source, size, lanes,
                    ys, at, shape, lead,
                )  # fmt: skip
            elif side == 5:
                plane(
                    FIVE, ws, t, step, bias, floor, flags, xs, source, size, lanes,
                    ys, at, shape, lead,
                )  # fmt: skip
            else:
                plane(
                    SEVEN, ws, t, step, bias, floor, flags, xs, source, size, lanes,
                    ys, at, shape, lead,
                )  # fmt: skip


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, its planes over threads."""
    parts = parts_of(y.shape[0] * y.shape[1], y.shape[2], y.shape[3], w.shape[2] * w.shape[3])
    numbers = lanes_of(y, x.shape[3], y.shape[3], padding[1], stride[1] == 2)
    notes = np.empty((parts, 8), np.int64)
    for i in prange(parts):
        share(
            x, w, b, stride, padding, relu, np.bool_(False), numbers, notes, y, np.int64(i), parts
        )
