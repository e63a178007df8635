"""Adaptive pooling, rows before windows: rung 1.

The rows under a row of windows are folded down into one, vector by vector; then each window is a stretch of
that row, folded along. Global pooling is a single stretch of the whole plane, four vectors at a time. The
gradient of the mean runs back: for each row of dx, the rows of dy that it lies under are added up, each with
its windows' share, and then spread along. That of the maximum is one pass over dy. Planes over threads.

Measured on a Zen 4, float32: in the README's table.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd
from kernels.pool.adaptive import bounds, tabulate, within
from kernels.pool.register.kinds import largest, total

PIECES = 16  # of the planes, whatever the number of threads


@jit.inlined
def total_of(v):
    """Return the sum of all lanes."""
    return simd.sum_of(v)


@jit.inlined
def largest_of(v):
    """Return the largest lane; NaN if there is one."""
    return simd.largest_of(v)


@jit.inlined
def fold_rows(fold, xs, at, width, rows, column):
    """Fold `rows` rows of x into one, a vector at a time."""
    lanes = simd.lanes(xs)
    for i in range(0, width, lanes):
        left = width - i
        value = simd.vector_part(xs, at + i, left)
        for r in range(1, rows):
            value = fold(value, simd.vector_part(xs, at + r * width + i, left))
        simd.put_vector_part(value, column, i, left)


@jit.inlined
def fold_stretch(fold, across, values, low, high):
    """Fold values[low:high], four vectors at a time, then one by one."""
    lanes = simd.lanes(values)
    i = low
    if high - low >= lanes:
        first = simd.vector(values, i)
        i += lanes
        if high - low >= 4 * lanes:
            second, third = simd.vector(values, i), simd.vector(values, i + lanes)
            fourth = simd.vector(values, i + 2 * lanes)
            i += 3 * lanes
            while i + 4 * lanes <= high:
                first = fold(first, simd.vector(values, i))
                second = fold(second, simd.vector(values, i + lanes))
                third = fold(third, simd.vector(values, i + 2 * lanes))
                fourth = fold(fourth, simd.vector(values, i + 3 * lanes))
                i += 4 * lanes
            first = fold(fold(first, second), fold(third, fourth))
        while i + lanes <= high:
            first = fold(first, simd.vector(values, i))
            i += lanes
        last = across(first)
    else:
        last = values[np.uint64(i)]
        i += 1
    while i < high:
        last = fold(last, values[np.uint64(i)])
        i += 1
    return last


@jit.inlined
def fold_plane(fold, across, xs, base, size, ys, to, out, column, lefts, rights):
    """Fill a plane of y with its windows' folds."""
    whole = out[0] == 1 and out[1] == 1
    for oh in range(out[0]):
        top, bottom = bounds(oh, size[0], out[0])
        if whole:  # a plane is one row
            ys[to] = fold_stretch(fold, across, xs, base, base + size[0] * size[1])
            continue
        fold_rows(fold, xs, base + top * size[1], size[1], bottom - top, column)
        for ow in range(out[1]):
            ys[to + oh * out[1] + ow] = fold_stretch(fold, across, column, lefts[ow], rights[ow])


@jit.exact
def avg_planes(x, first, last, y):
    """Fill the planes [first, last) of y."""
    size, out = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    xs, ys = x.reshape(x.size), y.reshape(y.size)
    column = np.empty(size[1] + simd.lanes(x), x.dtype)
    lefts, rights = np.empty(out[1], np.int64), np.empty(out[1], np.int64)
    tabulate(size[1], out[1], lefts, rights)
    for plane in range(first, last):
        base, to = plane * size[0] * size[1], plane * out[0] * out[1]
        fold_plane(total, total_of, xs, base, size, ys, to, out, column, lefts, rights)
        for oh in range(out[0]):
            top, bottom = bounds(oh, size[0], out[0])
            for ow in range(out[1]):
                taps = (bottom - top) * (rights[ow] - lefts[ow])
                ys[to + oh * out[1] + ow] /= x.dtype.type(taps)


@jit.exact
def avg_dx_planes(dy, first_plane, last_plane, dx):
    """Fill the planes [first_plane, last_plane) of dx."""
    out, size = (dy.shape[2], dy.shape[3]), (dx.shape[2], dx.shape[3])
    if out[0] == 1 and out[1] == 1:
        grads, flat, area = dy.reshape(dy.size), dx.reshape(dx.size), size[0] * size[1]
        for plane in range(first_plane, last_plane):
            share = grads[plane] / dx.dtype.type(area)
            for i in range(plane * area, (plane + 1) * area):
                flat[np.uint64(i)] = share
        return
    dys, rows = dy.reshape(-1, out[1]), dx.reshape(-1, size[1])
    column = np.empty(out[1], dx.dtype)
    lefts, rights = np.empty(out[1], np.int64), np.empty(out[1], np.int64)
    tabulate(size[1], out[1], lefts, rights)
    for plane in range(first_plane, last_plane):
        avg_dx_plane(dys, rows, plane, size, out, column, lefts, rights)


@jit.exact
def avg_dx_plane(dys, rows, plane, size, out, column, lefts, rights):
    """Fill one plane's rows of dx."""
    before = (-1, -1)
    for ih in range(size[0]):
        first, last = bounds(ih, out[0], size[0])
        row = rows[plane * size[0] + ih]
        if (first, last) == before:  # under the same windows as the row above
            above = rows[plane * size[0] + ih - 1]
            for iw in range(size[1]):
                row[iw] = above[iw]
            continue
        before = (first, last)
        column[:] = 0
        for oh in range(first, last):
            top, bottom = bounds(oh, size[0], out[0])
            dy_row = dys[plane * out[0] + oh]
            for ow in range(out[1]):
                taps = (bottom - top) * (rights[ow] - lefts[ow])
                column[ow] += dy_row[ow] / column.dtype.type(taps)
        row[:] = 0
        for ow in range(out[1]):
            for iw in range(lefts[ow], rights[ow]):
                row[iw] += column[ow]


@jit.exact
def max_planes(x, first, last, indices, y):
    """Fill the planes [first, last) of y, and of indices unless it is empty."""
    size, out = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    xs, ys, kept = x.reshape(x.size), y.reshape(y.size), indices.reshape(indices.size)
    column = np.empty(size[1] + simd.lanes(x), x.dtype)
    lefts, rights = np.empty(out[1], np.int64), np.empty(out[1], np.int64)
    tabulate(size[1], out[1], lefts, rights)
    for plane in range(first, last):
        base, to = plane * size[0] * size[1], plane * out[0] * out[1]
        if kept.size:
            winners_plane(xs, base, size, kept, ys, to, out)
        else:
            fold_plane(largest, largest_of, xs, base, size, ys, to, out, column, lefts, rights)


@jit.exact
def winners_plane(xs, base, size, kept, ys, to, out):
    """Fill a plane of y and of indices."""
    for oh in range(out[0]):
        top, bottom = bounds(oh, size[0], out[0])
        for ow in range(out[1]):
            left, right = bounds(ow, size[1], out[1])
            best, won = xs[base + top * size[1] + left], top * size[1] + left
            for ih in range(top, bottom):
                row = base + ih * size[1]
                for iw in range(left, right):
                    value = xs[np.uint64(row + iw)]
                    better = value > best or value != value
                    best = value if better else best
                    won = ih * size[1] + iw if better else won
            ys[to + oh * out[1] + ow], kept[to + oh * out[1] + ow] = best, won


@jit.exact
def max_dx_planes(dy, indices, first, last, dx):
    """Fill the planes [first, last) of dx; an index outside its window moves nothing."""
    out, size = (dy.shape[2], dy.shape[3]), (dx.shape[2], dx.shape[3])
    grads, kept, flat = dy.reshape(dy.size), indices.reshape(indices.size), dx.reshape(dx.size)
    for i in range(first * size[0] * size[1], last * size[0] * size[1]):
        flat[np.uint64(i)] = 0
    lefts, rights = np.empty(out[1], np.int64), np.empty(out[1], np.int64)
    tabulate(size[1], out[1], lefts, rights)
    for plane in range(first, last):
        max_dx_plane(grads, kept, plane, size, out, flat, lefts, rights)


@jit.inlined
def max_dx_plane(grads, kept, plane, size, out, flat, lefts, rights):
    """Add the gradients of one plane."""
    base, at = plane * size[0] * size[1], plane * out[0] * out[1]
    for oh in range(out[0]):
        top, bottom = bounds(oh, size[0], out[0])
        for ow in range(out[1]):
            index = kept[at]
            if within(index, size[1], top, bottom, lefts[ow], rights[ow]):
                flat[base + index] += grads[at]
            at += 1


@jit.parallel
def avg_pool2d(x, y):
    """Fill y, planes over threads."""
    planes = y.shape[0] * y.shape[1]
    count = min(planes, PIECES)
    for piece in prange(count):
        first, last = np.int64(piece) * planes // count, (np.int64(piece) + 1) * planes // count
        avg_planes(x, first, last, y)


@jit.parallel
def avg_dx(dy, dx):
    """Fill dx, planes over threads."""
    planes = dx.shape[0] * dx.shape[1]
    count = min(planes, PIECES)
    for piece in prange(count):
        first, last = np.int64(piece) * planes // count, (np.int64(piece) + 1) * planes // count
        avg_dx_planes(dy, first, last, dx)


@jit.parallel
def max_pool2d(x, indices, y):
    """Fill y, and indices unless it is empty, planes over threads."""
    planes = y.shape[0] * y.shape[1]
    count = min(planes, PIECES)
    for piece in prange(count):
        first, last = np.int64(piece) * planes // count, (np.int64(piece) + 1) * planes // count
        max_planes(x, first, last, indices, y)


@jit.parallel
def max_dx(dy, indices, dx):
    """Fill dx, planes over threads."""
    planes = dx.shape[0] * dx.shape[1]
    count = min(planes, PIECES)
    for piece in prange(count):
        first, last = np.int64(piece) * planes // count, (np.int64(piece) + 1) * planes // count
        max_dx_planes(dy, indices, first, last, dx)
