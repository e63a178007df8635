"""Gradient of the weights: a tile of ROWS (column, channel) pairs × COLUMNS filters, summed over positions.

    dw[k, c, r, s] = Σ_n Σ_p dy[n, k, p] · x[n, c, where tap (r, s) of p reads]

Here positions are what is summed over. x is copied with its channels last, so that the taps of one filter
row and their channels, (s, c), are neighbours in memory; ROWS of them are broadcast, and multiplied with
COLUMNS filters of dy, which lie side by side: position after position, both a little further on. A band of
some hundred positions stays in the cache while all tiles take their share of it.

The work is cut by what it writes: by filters, by channels (first by the one whose operand is larger, for
every piece copies both its operands), then by filter rows. Each piece takes the positions in their order,
so the bits do not depend on the cut.
"""

import numpy as np
from numba import prange

from kernels.conv.direct.band import BLOCK, zeros
from kernels.core import jit, simd, threads

ROWS = simd.ROWS
POSITIONS = 288  # of a band, about: COLUMNS filters of them fill most of the first cache
PIXELS = 1 << 16  # elements of x in a band at most, if it has more than a row


def dw_axis(outputs, taps, stride, dilation):
    """Extent of the padded input that the outputs read."""
    return (outputs - 1) * stride + (taps - 1) * dilation + 1


def cut(parts, groups, panels, blocks, taps, wide_x):
    """Pieces to cut a group into: by panels of filters, by blocks of channels, by filter rows."""
    parts = (parts + groups - 1) // groups
    if wide_x:
        across = min(parts, blocks)
        down = min(panels, (parts + across - 1) // across)
    else:
        down = min(parts, panels)
        across = min(blocks, (parts + down - 1) // down)
    return down, across, min(taps, (parts + down * across - 1) // (down * across))


def band(images, outputs, channels, wide, high, stride):
    """Images and rows of outputs in a band."""
    if images > 1 and outputs[0] * outputs[1] <= POSITIONS // 2:
        pixels = channels * wide * (high + (outputs[0] - 1) * stride)
        most = max(1, min(POSITIONS // (outputs[0] * outputs[1]), PIXELS // pixels))
        return min(images, most), outputs[0]
    rows = min(POSITIONS // outputs[1], (PIXELS // (channels * wide) - high) // stride + 1)
    return 1, max(1, min(outputs[0], rows))


extent_of = jit.exact(dw_axis)  # for compiled code
cut_of = jit.exact(cut)
band_of = jit.exact(band)


@jit.exact
def channels_last(x, shape, plane, channels, ih, left, wide, row, start):
    """row[start + column·C + c] = x's plane + c at (ih, column + left), zero outside the image."""
    lanes, area = simd.lanes(x), shape[2] * shape[3]
    if ih < 0 or ih >= shape[2]:
        zeros(row, start, start + wide * channels)
        return
    last = max(0, min(wide, shape[3] - left))
    first = min(last, max(0, -left))
    zeros(row, start, start + first * channels)
    zeros(row, start + last * channels, start + wide * channels)
    line = plane * area + ih * shape[3] + left
    if channels < lanes // 2:
        for c in range(channels):
            source = x[line + c * area + first : line + c * area + last]
            target = row[start + first * channels + c : start + last * channels]
            for t in range(source.shape[0]):
                target[t * channels] = source[t]
        return
    for c in range(0, channels, lanes):
        rows = min(lanes, channels - c)
        for column in range(first, last, lanes):
            simd.transpose(
                x, line + c * area + column, area, rows, min(lanes, last - column),
                row, start + column * channels + c, channels, rows,
            )  # fmt: skip


@jit.inlined
def dw_tile(pixels, ix, down, across, images, apart, dy, iy, rows, columns, sums, at, kept, fresh):
    """Add images × rows × columns positions to `kept` rows of sums at `at`; begin at zero where `fresh`."""
    width = simd.columns(sums)
    total = simd.zero(sums) if fresh else simd.load_part(sums, at, width, kept, width)
    for image in range(images):
        for h in range(rows):
            start = ix + image * apart + h * down
            for t in range(columns):
                total = simd.multiply_add(total, pixels, start + t * across, 1, dy, iy)
                iy += width
    simd.store_part(total, sums, at, width, kept, width)


@jit.exact
def put(sums, channels, taps, filters, dw, start, step, apart):
    """Write the sums [panel][tap][channel][filter] of a piece to dw, from `start` on.

    Channels of dw are `step` apart, filters `apart`.
    """
    width, lanes = simd.columns(sums), simd.lanes(sums)
    for k in range(0, filters, lanes):
        source = k // width * taps * channels * width + k % width
        count = min(lanes, filters - k)
        if step == 1:
            for c in range(0, channels, lanes):
                rows = min(lanes, channels - c)
                simd.transpose(
                    sums,
                    source + c * width,
                    width,
                    rows,
                    count,
                    dw,
                    start + k * apart + c,
                    apart,
                    rows,
                )
            continue
        for c in range(channels):
            for t in range(0, taps, lanes):
                rows = min(lanes, taps - t)
                simd.transpose(
                    sums, source + (t * channels + c) * width, channels * width, rows, count,
                    dw, start + k * apart + c * step + t, apart, rows,
                )  # fmt: skip


@jit.exact
def piece(
    dy, x, shapes, stride, padding, dilation, g, filters, channels, lines, taps, flat, scratch
):  # fmt: skip
    """Fill dw for the group's filters, channels and filter rows [·[0], ·[1]).

    shapes: x's, then dy's, then dw's.
    """
    x_shape, dy_shape, dw_shape = shapes
    width, lanes = simd.columns(dy), simd.lanes(dy)
    outputs = (dy_shape[2], dy_shape[3])
    depth, count = channels[1] - channels[0], filters[1] - filters[0]
    high, across = lines[1] - lines[0], taps
    panels = (count + width - 1) // width
    wide = extent_of(outputs[1], across, stride[1], dilation[1])
    behind = extent_of(1, high, stride[0], dilation[0])
    images, rows = band_of(dy_shape[0], outputs, depth, wide, behind, stride[0])
    tall = behind + (rows - 1) * stride[0]
    area, apart = outputs[0] * outputs[1], tall * wide * depth
    pixels = scratch[: images * apart + ROWS]
    packed = scratch[images * apart + ROWS :]
    sums = packed[panels * images * rows * outputs[1] * width :]
    spans = 1 if dilation[1] == 1 else across  # taps side by side are one run of channels
    span = across * depth // spans
    for n in range(0, dy_shape[0], images):
        here = min(images, dy_shape[0] - n)
        for h in range(0, outputs[0], rows):
            some = min(rows, outputs[0] - h)
            positions = here * some * outputs[1]
            for image in range(here):
                plane = (n + image) * x_shape[1] + g * dw_shape[1] + channels[0]
                for row in range(behind + (some - 1) * stride[0]):
                    ih = h * stride[0] + row - padding[0] + lines[0] * dilation[0]
                    channels_last(
                        x, x_shape, plane, depth, ih, -padding[1], wide,
                        pixels, image * apart + row * wide * depth,
                    )  # fmt: skip
                for k in range(0, panels * width, lanes):
                    left = max(0, min(lanes, count - k))
                    first = filters[0] + k if left > 0 else 0
                    start = ((n + image) * dy_shape[1] + first) * area + h * outputs[1]
                    place = (k // width * positions + image * some * outputs[1]) * width + k % width
                    for p in range(0, some * outputs[1], lanes):
                        simd.transpose(
                            dy, start + p, area, left, min(lanes, some * outputs[1] - p),
                            packed, place + p * width, width, lanes,
                        )  # fmt: skip
            for panel in range(panels):
                for r in range(high):
                    for s in range(spans):
                        begin = (r * dilation[0] * wide + s * dilation[1]) * depth
                        at = ((panel * high + r) * spans + s) * span * width
                        for i in range(0, span, ROWS):
                            dw_tile(
                                pixels, begin + i, stride[0] * wide * depth, stride[1] * depth,
                                here, apart, packed, panel * positions * width, some, outputs[1],
                                sums, at + i * width, min(ROWS, span - i), n == 0 and h == 0,
                            )  # fmt: skip
    step = dw_shape[2] * across
    start = (filters[0] * dw_shape[1] + channels[0]) * step + lines[0] * across
    put(sums, depth, high * across, count, flat, start, step, dw_shape[1] * step)


@jit.exact
def share(dy, x, stride, padding, dilation, groups, dw, scratch, part, parts):
    """Fill one part of dw."""
    filters, channels, taps = dw.shape[0] // groups, dw.shape[1], dw.shape[2]
    width = simd.columns(scratch)
    panels, blocks = (filters + width - 1) // width, (channels + BLOCK - 1) // BLOCK
    down, across, deep = cut_of(parts, groups, panels, blocks, taps, x.size > dy.size)
    jobs, flat = groups * down * across * deep, dw.reshape(dw.size)
    if dy.size == 0:
        jobs = 0
        zeros(flat, part * flat.shape[0] // parts, (part + 1) * flat.shape[0] // parts)
    for job in range(part * jobs // parts, (part + 1) * jobs // parts):
        r, j = job % deep, job // deep % across
        i, g = job // deep // across % down, job // deep // across // down
        low, high = i * panels // down * width, (i + 1) * panels // down * width
        left, right = j * blocks // across * BLOCK, (j + 1) * blocks // across * BLOCK
        piece(
            dy.reshape(dy.size), x.reshape(x.size), (x.shape, dy.shape, dw.shape), stride, padding,
            dilation, g, (g * filters + low, g * filters + min(high, filters)),
            (left, min(right, channels)), (r * taps // deep, (r + 1) * taps // deep), dw.shape[3],
            flat, scratch,
        )  # fmt: skip


@jit.parallel
def dw(dy, x, stride, padding, dilation, groups, dw, scratch):
    """Fill dw."""
    for i in prange(scratch.shape[0]):
        part = np.int64(i)
        share(dy, x, stride, padding, dilation, groups, dw, scratch[i], part, scratch.shape[0])


def scratch(problem, direction):
    """Pieces of work, and elements for each: a band of x, a band of dy, and the sums."""
    p = problem
    parts, width = threads.most(), simd.columns_of(p.dtype)
    c, k = p.c // p.groups, p.k // p.groups
    panels, blocks = -(-k // width), -(-c // BLOCK)
    wide_x = p.c * p.h * p.w > p.k * p.oh * p.ow
    down, across, deep = cut(parts, p.groups, panels, blocks, p.r, wide_x)
    panels, depth, lines = -(-panels // down), min(c, -(-blocks // across) * BLOCK), -(-p.r // deep)
    wide = dw_axis(p.ow, p.s, p.stride[1], p.dilation[1])
    most = 0
    for high in {lines, p.r // deep}:  # pieces may differ by one row
        behind = dw_axis(1, high, p.stride[0], p.dilation[0])
        for some in {depth, min(c, blocks // across * BLOCK)}:
            images, rows = band(p.n, (p.oh, p.ow), some, wide, behind, p.stride[0])
            pixels = images * (behind + (rows - 1) * p.stride[0]) * wide * some + simd.ROWS
            most = max(most, pixels + panels * images * rows * p.ow * width)
    return parts, (most + panels * width * p.taps + 15) // 16 * 16
