"""Gradient of the weights: R rows of dy in registers, while the rows of x pass by.

    dw[k, r, s] = Σ_n Σ_oh Σ_ow dy[n, k, oh, ow] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

One sum for each tap, a vector of partial sums wide. A row of x is read once for each tap across, and meets the
R rows of dy whose windows hold it: they stay in registers and move up by one with each row, as the sums do in
the forward. The sums go on from strip to strip and image to image; their lanes are added at the end. Sums, rows
and what is read fit 32 registers for up to three taps across; wider filters take x and dy several times.

Where a row of dy is missing, at the upper and the lower end, zeros stand for it. Zero times infinity is NaN, in a
sum that has no such term: sums that are not finite are made anew, tap by tap.
"""

import numpy as np
from numba import prange

from kernels.conv import naive
from kernels.conv.depthwise.forward import FAR, LARGE
from kernels.conv.depthwise.lanes import FIVE, SEVEN, TAPS, THREE, between, lanes_of, parts_of
from kernels.core import jit, simd, stack
from kernels.core.simd import sliding

ONE, TWO, FOUR = (0,) * 1, (0,) * 2, (0,) * 4
MOST = 7 * 3 * 16  # elements of the sums of a filter, at most


@jit.exact
def products(window, group, flags, dy, x, size, shape, images, numbers, lead, room):
    """Fill room with sums[r, s, lane] over images and positions: r of the window, s of a group of its taps."""
    wide, behind = simd.lanes(x), len(window) - 1
    sums = sliding.zeros(x, window, group)
    for n in range(images[0]):
        source, target = images[1] + n * images[3], images[2] + n * images[4]
        for first in range(0, shape[1], wide):
            lanes = sliding.lanes_for(sums, numbers, first // wide * TAPS)
            keep = between(0, shape[1] - first, wide)
            rows = sliding.zeros(x, window, ONE)
            for t in range(shape[0] + behind):
                place = target + t * shape[1] + first
                if flags[FAR]:
                    sliding.ask(dy, place + images[4])
                there = keep if t < shape[0] else 0
                rows = sliding.roll(rows, sliding.vector_at(dy, place, there))
                row = t - lead[0]
                if 0 <= row < size[0]:
                    place = source + row * size[1] + first - lead[1]
                    if flags[FAR]:
                        sliding.ask(x, place + images[3])
                    sums = sliding.product_row(sums, rows, x, place, lanes, 1, 0, 1)
    sliding.put_all(sums, room, 0)


@jit.exact
def products_by_two(window, half, group, flags, dy, x, size, shape, images, numbers, lead, room):
    """As `products`, for stride 2: a row of dy for two of x; `half` as many rows of dy, rounded up, as the window has."""
    wide, behind = simd.lanes(x), len(half) - 1
    sums = sliding.zeros(x, window, group)
    for n in range(images[0]):
        source, target = images[1] + n * images[3], images[2] + n * images[4]
        for first in range(0, shape[1], wide):
            lanes = sliding.lanes_for(sums, numbers, first // wide * TAPS)
            keep = between(0, shape[1] - first, wide)
            rows = sliding.zeros(x, half, ONE)
            for t in range(shape[0] + behind):
                place = target + t * shape[1] + first
                if flags[FAR]:
                    sliding.ask(dy, place + images[4])
                there = keep if t < shape[0] else 0
                rows = sliding.roll(rows, sliding.vector_at(dy, place, there))
                row = 2 * t - lead[0]
                place = source + row * size[1] + 2 * first - lead[1]
                if flags[FAR]:
                    sliding.ask(x, place + images[3])
                    sliding.ask(x, place + images[3] + wide)
                    sliding.ask(x, place + images[3] + size[1])
                    sliding.ask(x, place + images[3] + size[1] + wide)
                if 0 <= row < size[0]:
                    sums = sliding.product_row(sums, rows, x, place, lanes, 2, 0, 2)
                if 0 <= row + 1 < size[0]:
                    place += size[1]
                    sums = sliding.product_row(sums, rows, x, place, lanes, 2, 1, 2)
    sliding.put_all(sums, room, 0)


@jit.exact
def add_lanes(room, wide, rows, columns, first, total):
    """total[r, first + s] = the sum of the lanes of sums[r, s]."""
    finite = True
    for r in range(rows):
        for s in range(columns):
            lane = (r * columns + s) * wide
            count = wide // 2
            while count > 0:  # halves onto each other
                for i in range(count):
                    room[lane + i] += room[lane + i + count]
                count //= 2
            total[r, first + s] = room[lane]
            finite = finite and np.isfinite(room[lane])
    return finite


@jit.exact
def share(dy, x, stride, lead, dilation, groups, numbers, notes, dw, part, parts):
    """Fill one part of dw."""
    size, shape, side = (x.shape[2], x.shape[3]), (dy.shape[2], dy.shape[3]), dw.shape[2]
    area, out, many = size[0] * size[1], shape[0] * shape[1], dw.shape[0] // x.shape[1]
    dys, xs = sliding.bare(dy), sliding.bare(x)
    notes[part, FAR] = area >= LARGE
    flags, room = sliding.bare(notes[part]), stack.empty(MOST, x)
    sums, wide = sliding.bare(room), simd.lanes(x)
    two = stride[0] == 2
    for k in range(part * dw.shape[0] // parts, (part + 1) * dw.shape[0] // parts):
        images = x.shape[0], k // many * area, k * out, x.shape[1] * area, dw.shape[0] * out
        finite, first, number = True, 0, 0
        while first < side:
            lanes = sliding.bare(numbers[number])
            left = lead[0], lead[1] - first
            count = 3 if first == 0 else 2
            if not two and side == 3:
                products(THREE, THREE, flags, dys, xs, size, shape, images, lanes, left, sums)
            elif not two and side == 5 and count == 3:
                products(FIVE, THREE, flags, dys, xs, size, shape, images, lanes, left, sums)
            elif not two and side == 5 and count == 2:
                products(FIVE, TWO, flags, dys, xs, size, shape, images, lanes, left, sums)
            elif not two and side == 7 and count == 3:
                products(SEVEN, THREE, flags, dys, xs, size, shape, images, lanes, left, sums)
            elif not two and side == 7 and count == 2:
                products(SEVEN, TWO, flags, dys, xs, size, shape, images, lanes, left, sums)
            elif two and side == 3:
                products_by_two(
                    THREE, TWO, THREE, flags, dys, xs, size, shape, images, lanes, left, sums
                )
            elif two and side == 5 and count == 3:
                products_by_two(
                    FIVE, THREE, THREE, flags, dys, xs, size, shape, images, lanes, left, sums
                )
            elif two and side == 5 and count == 2:
                products_by_two(
                    FIVE, THREE, TWO, flags, dys, xs, size, shape, images, lanes, left, sums
                )
            elif two and side == 7 and count == 3:
                products_by_two(
                    SEVEN, FOUR, THREE, flags, dys, xs, size, shape, images, lanes, left, sums
                )
            else:
                products_by_two(
                    SEVEN, FOUR, TWO, flags, dys, xs, size, shape, images, lanes, left, sums
                )
            finite = add_lanes(room, wide, side, count, first, dw[k, 0]) and finite
            first, number = first + count, number + 1
        if not finite:
            for r in range(side):
                for s in range(side):
                    dw[k, 0, r, s] = naive.dw_point(
                        dy, x, k, 0, r, s, 1, stride, lead, dilation, groups
                    )


@jit.exact
def lanes_of_groups(x, dy, side, stride, pad):
    """Return `lanes_of` for each group of taps: three, then two at a time."""
    strips = lanes_of(x, x.shape[3], dy.shape[3], pad, stride == 2)
    numbers = np.empty((max(1, side // 2), strips.shape[0]), np.int64)
    for group in range(numbers.shape[0]):
        first = 0 if group == 0 else 2 * group + 1
        strips = lanes_of(x, x.shape[3], dy.shape[3], pad - first, stride == 2)
        for i in range(strips.shape[0]):
            numbers[group, i] = strips[i]
    return numbers


@jit.parallel
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, its filters over threads."""
    rows = dy.shape[0] * dy.shape[2]
    parts = parts_of(dw.shape[0], rows, dy.shape[3], dw.shape[2] * dw.shape[3])
    numbers = lanes_of_groups(x, dy, dw.shape[2], stride[1], padding[1])
    notes = np.empty((parts, 8), np.int64)
    for i in prange(parts):
        share(dy, x, stride, padding, dilation, groups, numbers, notes, dw, np.int64(i), parts)
