"""Forward: strips one vector wide, from the top of a plane to its bottom.

    y[n, k, oh, ow] = b[k] + Σ_r Σ_s w[k, r, s] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

A row of the strip is read S times, shifted by a column each, and added to the R rows of sums that it belongs to;
then the oldest leaves. R·S multiply-adds for S loads and a store: nothing but the multiplies' own rate
bounds a strip, and nothing but memory the whole where the filter is small. Rows of padding are left out, columns of padding are
lanes that are not read.

Rows no longer than half a vector go two at a time, one behind the other as they lie in memory: windows then move by
two rows, and the second row of a vector is the next vector's first.

The gradient of the data with stride 1 is this very walk over dy, the filter turned by half a turn.
"""

import numpy as np
from numba import prange

from kernels.conv.depthwise.lanes import TAPS, between, lanes_of_pairs, lanes_of_rows, lanes_of_taps
from kernels.core import jit, simd
from kernels.core.simd import sliding

LARGE = 1 << 12  # elements of a plane from which on the next one is called for in time
ADD, RELU, FAR = 0, 1, 2  # flags, in memory: of what it knows not to change the compiler makes a loop each
PARTS = 64
PART = 1 << 14  # multiply-adds of a vector


@jit.inlined
def leave(out, flags, y, at, keep):
    """Write a row of sums, or add it to what is there."""
    if flags[ADD]:
        out = out + sliding.vector_at(y, at, keep)
    sliding.put_vector_at(simd.relu(out) if flags[RELU] else out, y, at, keep)


@jit.inlined
def strip(weights, bias, flags, x, place, size, lanes, y, at, shape, keep, lead):
    """Fill a column of vectors: outputs at `at` and below, whose first tap reads column `place` of x."""
    sums, fresh = sliding.sums_for(weights, bias, 1), sliding.filled(bias, x, 1, 1)
    behind = sliding.rows_in(weights) - 1
    for t in range(shape[0] + behind):
        row = t - lead
        if 0 <= row < size[0]:
            first = place + row * size[1]
            if flags[FAR]:
                simd.prefetch(x, first + size[0] * size[1], 1)
            sums = sliding.take_row(sums, weights, x, first, lanes, -1, 1, 0, 1)
        if t >= behind:
            first = at + (t - behind) * shape[1]
            if flags[FAR]:
                simd.prefetch(y, first + shape[0] * shape[1], 1)
            leave(sliding.part(sums, 0), flags, y, first, keep)
        sums = sliding.roll(sums, fresh)


@jit.inlined
def strip_by_two(weights, bias, flags, x, place, size, lanes, y, at, shape, keep, lead):
    """As `strip`, for stride 2: a row of outputs takes two rows of x."""
    sums, fresh = sliding.sums_for(weights, bias, 2), sliding.filled(bias, x, 1, 1)
    behind = sliding.rows_in(sums) - 1
    for t in range(shape[0] + behind):
        row = 2 * t - lead
        first = place + row * size[1]
        if 0 <= row < size[0]:
            if flags[FAR]:
                simd.prefetch(x, first + size[0] * size[1], 2 * simd.lanes(x))
            sums = sliding.take_row(sums, weights, x, first, lanes, -1, 2, 0, 2)
        if 0 <= row + 1 < size[0]:
            if flags[FAR]:
                simd.prefetch(x, first + (size[0] + 1) * size[1], 2 * simd.lanes(x))
            sums = sliding.take_row(sums, weights, x, first + size[1], lanes, -1, 2, 1, 2)
        if t >= behind:
            leave(sliding.part(sums, 0), flags, y, at + (t - behind) * shape[1], keep)
        sums = sliding.roll(sums, fresh)


@jit.inlined
def two_rows(weights, bias, flags, x, place, size, lanes, y, at, shape, lead):
    """Fill a plane whose rows are so short that a vector holds two; as long in y as in x."""
    sums, fresh = sliding.sums_for(weights, bias, 2), sliding.filled(bias, x, 1, 1)
    behind = sliding.rows_in(sums) - 1
    upper = (1 << size[1]) - 1
    both = upper | upper << size[1]
    for t in range((shape[0] + 1) // 2 + behind):
        row = 2 * t - lead
        first = place + row * size[1]
        if -1 <= row < size[0]:
            among = both if 0 <= row < size[0] - 1 else upper if row >= 0 else both - upper
            sums = sliding.take_row(sums, weights, x, first, lanes, among, 2, 0, 1)
        if -1 <= row + 1 < size[0]:
            among = both if 0 <= row + 1 < size[0] - 1 else upper if row >= -1 else both - upper
            sums = sliding.take_row(sums, weights, x, first + size[1], lanes, among, 2, 1, 1)
        if t >= behind:
            done = 2 * (t - behind)
            keep = both if done + 1 < shape[0] else upper
            leave(sliding.part(sums, 0), flags, y, at + done * shape[1], keep)
        sums = sliding.roll(sums, fresh)


@jit.inlined
def plane(weights, bias, flags, x, source, size, numbers, y, target, shape, lead):
    """Fill a plane of y, strip by strip."""
    wide = simd.lanes(x)
    if size[1] == shape[1] and 2 * size[1] <= wide:
        lanes_of_rows(size[1], lead[1], numbers)
        lanes = sliding.lanes_for(weights, numbers)
        place = source - lead[1]
        two_rows(weights, bias, flags, x, place, size, lanes, y, target, shape, lead[0])
        return
    for first in range(0, shape[1], wide):
        lanes_of_taps(x, size[1], shape[1], first, lead[1], numbers)
        lanes = sliding.lanes_for(weights, numbers)
        keep = between(0, shape[1] - first, wide)
        strip(
            weights, bias, flags, x, source + first - lead[1], size, lanes,
            y, target + first, shape, keep, lead[0],
        )  # fmt: skip


@jit.inlined
def plane_by_two(weights, bias, flags, x, source, size, numbers, y, target, shape, lead):
    """As `plane`, for stride 2."""
    wide = simd.lanes(x)
    for first in range(0, shape[1], wide):
        lanes_of_pairs(x, size[1], shape[1], first, lead[1], numbers)
        lanes = sliding.lanes_for(weights, numbers)
        keep = between(0, shape[1] - first, wide)
        strip_by_two(
            weights, bias, flags, x, source + 2 * first - lead[1], size, lanes,
            y, target + first, shape, keep, lead[0],
        )  # fmt: skip


@jit.exact
def share(x, w, b, lead, relu, turned, y, part, parts):
    """Fill one part of y: stride 1.

    `turned`: x is dy and y is dx. A plane of dx then sums over the filters that read it, their taps last to
    first, and there is no bias.
    """
    size, shape, taps = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3]), w.shape[2] * w.shape[3]
    many = w.shape[0] // (y.shape[1] if turned else x.shape[1])
    numbers = np.empty(TAPS, np.int64)
    fx, fw, fy = x.reshape(x.size), w.reshape(w.size), y.reshape(y.size)
    area, out, side = size[0] * size[1], shape[0] * shape[1], w.shape[2]
    planes = y.shape[0] * y.shape[1]
    flags = np.array([0, relu, area >= LARGE])
    for each in range(part * planes // parts, (part + 1) * planes // parts):
        n, o = each // y.shape[1], each % y.shape[1]
        for i in range(many if turned else 1):
            k = o * many + i if turned else o
            flags[ADD] = i > 0
            source = (n * x.shape[1] + (k if turned else k // many)) * area
            first, step = ((k + 1) * taps - 1, -1) if turned else (k * taps, 1)
            bias = x.dtype.type(0) if turned else b[k]
            if side == 3:
                weights3 = sliding.taps(fw, first, step, 3, 3)
                plane(
                    weights3, bias, flags, fx, source, size, numbers, fy, each * out, shape, lead
                )  # fmt: skip
            elif side == 5:
                weights5 = sliding.taps(fw, first, step, 5, 5)
                plane(
                    weights5, bias, flags, fx, source, size, numbers, fy, each * out, shape, lead
                )  # fmt: skip
            else:
                weights7 = sliding.taps(fw, first, step, 7, 7)
                plane(
                    weights7, bias, flags, fx, source, size, numbers, fy, each * out, shape, lead
                )  # fmt: skip


@jit.exact
def share_by_two(x, w, b, lead, relu, y, part, parts):
    """Fill one part of y: stride 2."""
    size, shape, taps = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3]), w.shape[2] * w.shape[3]
    many = w.shape[0] // x.shape[1]
    numbers = np.empty(TAPS, np.int64)
    fx, fw, fy = x.reshape(x.size), w.reshape(w.size), y.reshape(y.size)
    area, out, side = size[0] * size[1], shape[0] * shape[1], w.shape[2]
    planes = y.shape[0] * y.shape[1]
    flags = np.array([0, relu, area >= LARGE])
    for each in range(part * planes // parts, (part + 1) * planes // parts):
        n, k = each // y.shape[1], each % y.shape[1]
        source = (n * x.shape[1] + k // many) * area
        if side == 3:
            weights3 = sliding.taps(fw, k * taps, 1, 3, 3)
            plane_by_two(
                weights3, b[k], flags, fx, source, size, numbers, fy, each * out, shape, lead
            )  # fmt: skip
        elif side == 5:
            weights5 = sliding.taps(fw, k * taps, 1, 5, 5)
            plane_by_two(
                weights5, b[k], flags, fx, source, size, numbers, fy, each * out, shape, lead
            )  # fmt: skip
        else:
            weights7 = sliding.taps(fw, k * taps, 1, 7, 7)
            plane_by_two(
                weights7, b[k], flags, fx, source, size, numbers, fy, each * out, shape, lead
            )  # fmt: skip


@jit.exact
def parts_of(planes, rows, width, taps):
    """Pieces of work: as many as there are threads to be kept busy, and none too small."""
    return max(1, min(PARTS, planes, planes * rows * width * taps // (16 * PART)))


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, its planes over threads."""
    planes = y.shape[0] * y.shape[1]
    parts = parts_of(planes, y.shape[2], y.shape[3], w.shape[2] * w.shape[3])
    for i in prange(parts):
        if stride[0] == 1:
            share(x, w, b, padding, relu, np.bool_(False), y, np.int64(i), parts)
        else:
            share_by_two(x, w, b, padding, relu, y, np.int64(i), parts)
