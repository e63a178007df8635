"""Forward: strips one vector wide, from the top of a plane to its bottom.

    y[n, k, oh, ow] = b[k] + Σ_r Σ_s w[k, r, s] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

A row of the strip is read S times, a column further each time, and added to the R rows of sums that it belongs to;
then the oldest leaves. R·S multiply-adds for S loads and a store. Rows of padding are not visited, columns of
padding are lanes that are not read: nothing is copied. (A copy with its padding written down would take 0.30 ms
of 8×32×112×112, 0.09 of 8×192×28×28, 0.05 of 8×512×14×14, beside the 0.65, 0.64 and 0.19 that all this takes.)

A strip takes 64 bytes of each row of its plane, which the processor does not foresee: on a plane too large for the
first cache, each row calls for the same place in the next plane (8×32×112×112, 3×3: 0.65 ms; without, 1.2 to 2.5).
Small planes come by themselves, and the calls would cost a third.

The gradient of the data with stride 1 is this very walk over dy, the filter turned by half a turn.
"""

import numpy as np
from numba import prange

from kernels.conv.depthwise.lanes import FIVE, SEVEN, TAPS, THREE, between, lanes_of, parts_of
from kernels.core import jit, simd
from kernels.core.simd import sliding

LARGE = 1 << 12  # elements of a plane from which on the next one is called for in time

# What a part notes for its loops, in memory: of a flag that it knows not to change, the compiler makes
# loops for either answer, a quarter more code.
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
            sums = sliding.take_row(sums, weights, x, first, lanes, 1, 0, 1)
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
            sums = sliding.take_row(sums, weights, x, first, lanes, 2, 0, 2)
        if 0 <= row + 1 < size[0]:
            if flags[FAR]:
                sliding.ask(x, first + (size[0] + 1) * size[1])
                sliding.ask(x, first + (size[0] + 1) * size[1] + wide)
            sums = sliding.take_row(sums, weights, x, first + size[1], lanes, 2, 1, 2)
        if t >= behind:
            first = at + (t - behind) * shape[1]
            if flags[FAR]:
                sliding.ask(y, first + shape[0] * shape[1])
            leave(sliding.part(sums, 0), floor, flags, y, first, keep)
        sums = sliding.roll(sums, fresh)


@jit.exact
def planes(
    window, w, b, zero, floor, turned, flags, x, size, numbers, y, shape, counts, lead, begin, end
):
    """Fill the planes [begin, end) of y: stride 1."""
    wide, taps = simd.lanes(x), len(window) * len(window)
    many = counts[2] // (counts[1] if turned else counts[0])  # filters of a channel
    n, o = begin // counts[1], begin % counts[1]
    for each in range(begin, end):
        target = each * shape[0] * shape[1]
        for i in range(many if turned else 1):
            k = o * many + i if turned else o
            c = k if turned or many == 1 else k // many
            source = (n * counts[0] + c) * size[0] * size[1] - lead[1]
            start, step = ((k + 1) * taps - 1, -1) if turned else (k * taps, 1)
            weights, bias = sliding.taps(window, w, start, step), zero if turned else b[k]
            flags[MORE] = i > 0
            for first in range(0, shape[1], wide):
                lanes = sliding.lanes_for(weights, numbers, first // wide * TAPS)
                keep = between(0, shape[1] - first, wide)
                strip(
                    weights, bias, floor, flags, x, source + first, size, lanes,
                    y, target + first, shape, keep, lead[0],
                )  # fmt: skip
        n, o = (n, o + 1) if o + 1 < counts[1] else (n + 1, 0)


@jit.exact
def planes_by_two(window, w, b, floor, flags, x, size, numbers, y, shape, counts, lead, begin, end):
    """Fill the planes [begin, end) of y: stride 2."""
    wide, taps, many = simd.lanes(x), len(window) * len(window), counts[2] // counts[0]
    for each in range(begin, end):
        n, k = each // counts[1], each % counts[1]
        target = each * shape[0] * shape[1]
        source = (n * counts[0] + k // many) * size[0] * size[1] - lead[1]
        weights = sliding.taps(window, w, k * taps, 1)
        for first in range(0, shape[1], wide):
            lanes = sliding.lanes_for(weights, numbers, first // wide * TAPS)
            keep = between(0, shape[1] - first, wide)
            strip_by_two(
                weights, b[k], floor, flags, x, source + 2 * first, size, lanes,
                y, target + first, shape, keep, lead[0],
            )  # fmt: skip


@jit.exact
def share(x, w, b, stride, lead, relu, turned, numbers, notes, y, part, parts):
    """Fill one part of y.

    `turned`: x is dy and y is dx. A plane of dx then sums over the filters that read it, their taps last to
    first, and there is no bias.
    """
    size, shape, side = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3]), w.shape[2]
    counts = x.shape[1], y.shape[1], w.shape[0]
    zero = x.dtype.type(0)
    floor = zero if relu else x.dtype.type(-np.inf)
    xs, ws, bs, ys = sliding.bare(x), sliding.bare(w), sliding.bare(b), sliding.bare(y)
    notes[part, FAR], notes[part, MORE] = size[0] * size[1] >= LARGE, 0
    lanes, flags = sliding.bare(numbers), sliding.bare(notes[part])
    total = y.shape[0] * y.shape[1]
    begin, end = part * total // parts, (part + 1) * total // parts
    if stride[0] == 2 and side == 3:
        planes_by_two(
            THREE, ws, bs, floor, flags, xs, size, lanes, ys, shape, counts, lead, begin, end
        )
    elif stride[0] == 2 and side == 5:
        planes_by_two(
            FIVE, ws, bs, floor, flags, xs, size, lanes, ys, shape, counts, lead, begin, end
        )
    elif stride[0] == 2:
        planes_by_two(
            SEVEN, ws, bs, floor, flags, xs, size, lanes, ys, shape, counts, lead, begin, end
        )
    elif side == 3:
        planes(
            THREE, ws, bs, zero, floor, turned, flags, xs, size, lanes,
            ys, shape, counts, lead, begin, end,
        )  # fmt: skip
    elif side == 5:
        planes(
            FIVE, ws, bs, zero, floor, turned, flags, xs, size, lanes,
            ys, shape, counts, lead, begin, end,
        )  # fmt: skip
    else:
        planes(
            SEVEN, ws, bs, zero, floor, turned, flags, xs, size, lanes,
            ys, shape, counts, lead, begin, end,
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
