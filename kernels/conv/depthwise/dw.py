"""Gradient of the weights: R rows of dy in registers, while the rows of x pass by.

    dw[k, r, s] = Σ_n Σ_oh Σ_ow dy[n, k, oh, ow] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

One sum for each tap, a vector of partial sums wide. A row of x is read once for each tap across, and meets the
R rows of dy whose windows hold it: they stay in registers and move up by one with each row, as the sums do in
the forward. The sums go on from strip to strip and image to image; their lanes are added at the end. Sums, rows
and what is read fit 32 registers up to 5×5 taps; of 7×7, with stride 1, three and then two
columns of taps are done at a time, and x and dy read three times.

Where a row of dy is missing, at the upper and the lower end, zeros stand for it. Zero times infinity is NaN, in a
sum that has no such term: sums that are not finite are made anew, tap by tap.

One thread of a Zen 4, float32: 8×192×28×28, 5×5, 0.66 ms, as long as the forward; `parallel`, which reads x and dy
for each tap, takes 11.
"""

import numpy as np
from numba import prange

from kernels.conv import naive
from kernels.conv.depthwise.forward import FAR, LARGE
from kernels.conv.depthwise.lanes import FIVE, SEVEN, TAPS, THREE, between, lanes_of, parts_of
from kernels.core import jit, simd, stack
from kernels.core.simd import sliding

ONE, TWO, FOUR = (0,) * 1, (0,) * 2, (0,) * 4
MOST = 49 * 16  # elements of the sums, at most


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
def add_lanes(room, side, first, count, dw, k):
    """dw[k, 0, r, first + s] = the lanes of sums[r, s], added. Returns whether all are finite."""
    finite = True
    for r in range(side):
        for s in range(count):
            lanes = simd.vector(room, (r * count + s) * simd.lanes(room))
            total = simd.sum_of(lanes)
            dw[k, 0, r, first + s] = total
            finite = finite and np.isfinite(total)
    return finite


@jit.exact
def share(dy, x, stride, lead, dilation, groups, numbers, notes, dw, part, parts):
    """Fill one part of dw."""
    size, shape, side = (x.shape[2], x.shape[3]), (dy.shape[2], dy.shape[3]), dw.shape[2]
    area, out, many = size[0] * size[1], shape[0] * shape[1], dw.shape[0] // x.shape[1]
    dys, xs = sliding.bare(dy), sliding.bare(x)
    notes[part, FAR] = area >= LARGE
    flags, room = sliding.bare(notes[part]), stack.empty(MOST, x)
    sums = sliding.bare(room)
    two = stride[0] == 2
    for k in range(part * dw.shape[0] // parts, (part + 1) * dw.shape[0] // parts):
        images = x.shape[0], k // many * area, k * out, x.shape[1] * area, dw.shape[0] * out
        finite, first, number = True, 0, 0
        while first < side:
            lanes = sliding.bare(numbers[number])
            left = lead[0], lead[1] - first
            count = side if two or side < 7 else 3 if first == 0 else 2
            given = flags, dys, xs, size, shape, images, lanes, left, sums
            if two and side == 3:
                products_by_two(THREE, TWO, THREE, *given)
            elif two and side == 5:
                products_by_two(FIVE, THREE, FIVE, *given)
            elif two:
                products_by_two(SEVEN, FOUR, SEVEN, *given)
            elif side == 3:
                products(THREE, THREE, *given)
            elif side == 5:
                products(FIVE, FIVE, *given)
            elif count == 3:
                products(SEVEN, THREE, *given)
            else:
                products(SEVEN, TWO, *given)
            finite = add_lanes(room, side, first, count, dw, k) and finite
            first, number = first + count, number + 1
        if not finite:
            for r in range(side):
                for s in range(side):
                    dw[k, 0, r, s] = naive.dw_point(
                        dy, x, k, 0, r, s, 1, stride, lead, dilation, groups
                    )


@jit.exact
def lanes_of_groups(x, dy, stride, pad):
    """Return `lanes_of` for groups of taps that begin at 0, 3 and 5; only the first counts where side is not 7."""
    wide = simd.lanes(x)
    numbers = np.empty((3, (dy.shape[3] + wide - 1) // wide * TAPS), np.int64)
    for group in range(3):
        first = 2 * group + 1 if group > 0 else 0
        numbers[group] = lanes_of(x, x.shape[3], dy.shape[3], pad - first, stride == 2)
    return numbers


@jit.parallel
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, its filters over threads."""
    rows = dy.shape[0] * dy.shape[2]
    parts = parts_of(dw.shape[0], rows, dy.shape[3], dw.shape[2] * dw.shape[3])
    numbers = lanes_of_groups(x, dy, stride[1], padding[1])
    notes = np.empty((parts, 8), np.int64)
    for i in prange(parts):
        share(dy, x, stride, padding, dilation, groups, numbers, notes, dw, np.int64(i), parts)
