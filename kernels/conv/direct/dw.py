"""Gradient of the weights: a tile of ROWS filters × COLUMNS (tap, channel) pairs, summed over positions.

    dw[k, c, r, s] = Σ_n Σ_p dy[n, k, p] · x[n, c, where tap (r, s) of p reads]

Here positions are what is summed over, so the vectors must lie along something else: x is copied with its
channels last. Then the taps of one filter row and their channels, (s, c), are neighbours in memory, S·C of
them (where dilation leaves gaps between taps, C for each): a tile reads COLUMNS of them at position p, and
at p + 1 the same a few pixels on. dy is packed ROWS filters side by side. A few rows of positions at a time
stay in the second cache, for all tiles of a thread; each tile belongs to one thread, so no two add to one
address, and images are added in their order.
"""

from numba import prange

from kernels.conv.direct.band import zeros
from kernels.core import jit, simd

ROWS = simd.ROWS
SHARES = 16  # pieces at most: each reads all of x, so they should not be many
ROOM = 1 << 15  # elements of x that a few rows of positions may take of the second cache


def dw_axis(outputs, taps, stride, dilation):
    """Extent of the padded input that the outputs read."""
    return (outputs - 1) * stride + (taps - 1) * dilation + 1


dw_extent = jit.exact(dw_axis)  # for compiled code


@jit.fast
def channels_last(x, shape, n, g, ih, padding, channels, row):
    """row[iw·C + c] = padded x[n, channel c of the group, row ih, iw]; zeros outside. x is flat."""
    wide, lanes = row.shape[0] // channels, simd.lanes(row)
    if ih < 0 or ih >= shape[2]:
        zeros(row, 0, row.shape[0])
        return
    last = max(0, min(wide, padding[1] + shape[3]))
    first = min(last, padding[1])
    zeros(row, 0, first * channels)
    zeros(row, last * channels, row.shape[0])
    area = shape[2] * shape[3]
    line = ((n * shape[1] + g * channels) * shape[2] + ih) * shape[3] - padding[1]
    if channels < lanes // 2:
        for c in range(channels):
            source = x[line + c * area + first : line + c * area + last]
            target = row[first * channels + c : last * channels]
            for t in range(source.shape[0]):
                target[t * channels] = source[t]
        return
    for c in range(0, channels, lanes):
        rows = min(lanes, channels - c)
        for column in range(first, last, lanes):
            simd.transpose(
                x, line + c * area + column, area, rows, min(lanes, last - column),
                row, column * channels + c, channels, rows,
            )  # fmt: skip


@jit.fast
def pack_dy(flat, start, positions, rows, target):
    """target[p·ROWS + i] = flat[start + i·positions + p]: ROWS filters side by side, zero past `rows`."""
    lanes = simd.lanes(flat)
    for part in range(0, ROWS, lanes):
        high = max(0, min(lanes, rows - part))
        first = start + part * positions if high > 0 else start
        for p in range(0, positions, lanes):
            simd.transpose(
                flat, first + p, positions, high, min(lanes, positions - p),
                target, p * ROWS + part, ROWS, min(lanes, ROWS - part),
            )  # fmt: skip


@jit.inlined
def dw_tile(
    packed, place, images, start, rows, columns, down, across, sums, at, stride, width, fresh
):
    """Add rows × columns positions to the tile of `sums` at `at`; begin at zero where `fresh`."""
    whole = width == simd.columns(sums)
    if fresh:
        total = simd.zero(sums)
    elif whole:
        total = simd.load(sums, at, stride)
    else:
        total = simd.load_part(sums, at, stride, simd.ROWS, width)
    for h in range(rows):
        a, b = place + h * columns * simd.ROWS, start + h * down
        for t in range(columns):
            total = simd.multiply_add(total, packed, a + t * simd.ROWS, 1, images, b + t * across)
    if whole:
        simd.store(total, sums, at, stride)
    else:
        simd.store_part(total, sums, at, stride, simd.ROWS, width)


@jit.fast
def dw_share(
    packed, images, sums, n_images, groups, filters, channels, taps, outputs, extent, stride, dilation,
    part, parts,
):  # fmt: skip
    """Sum the tiles numbered part·T / parts to (part + 1)·T / parts over all positions."""
    width = simd.columns(sums)
    panels = (filters + ROWS - 1) // ROWS
    spans = 1 if dilation[1] == 1 else taps[1]
    span = taps[1] * channels // spans
    pieces = (span + width - 1) // width
    tiles = groups * panels * taps[0] * spans * pieces
    pitch = extent[1] * channels
    line = taps[1] * channels
    height = max(1, ROOM // (stride[0] * pitch))
    for n in range(n_images):
        for h0 in range(0, outputs[0], height):
            rows = min(height, outputs[0] - h0)
            for each in range(part * tiles // parts, (part + 1) * tiles // parts):
                piece = each % pieces
                j = each // pieces % spans
                r = each // pieces // spans % taps[0]
                panel = each // pieces // spans // taps[0] % panels
                g = each // pieces // spans // taps[0] // panels
                image = (n * groups + g) * extent[0] * pitch
                row = h0 * stride[0] + r * dilation[0]
                start = image + row * pitch + j * dilation[1] * channels + piece * width
                place = ((n * groups + g) * panels + panel) * outputs[0] * outputs[1] * ROWS
                at = ((g * panels + panel) * ROWS * taps[0] + r) * line + j * span + piece * width
                dw_tile(
                    packed, place + h0 * outputs[1] * ROWS, images, start, rows, outputs[1],
                    stride[0] * pitch, stride[1] * channels, sums, at, taps[0] * line,
                    min(width, span - piece * width), n == 0 and h0 == 0,
                )  # fmt: skip


@jit.fast
def put_filter(sums, k, place, dw):
    """Write one filter's sums, (r, s, c) in order, to dw[k]."""
    channels, height, width = dw.shape[1], dw.shape[2], dw.shape[3]
    for c in range(channels):
        for r in range(height):
            for s in range(width):
                dw[k, c, r, s] = sums[place + (r * width + s) * channels + c]


@jit.parallel
def dw(dy, x, stride, padding, dilation, groups, dw, scratch):
    """Fill dw."""
    filters, channels = dw.shape[0] // groups, dw.shape[1]
    panels = (filters + ROWS - 1) // ROWS
    taps, outputs = (dw.shape[2], dw.shape[3]), (dy.shape[2], dy.shape[3])
    high = dw_extent(outputs[0], taps[0], stride[0], dilation[0])
    wide = dw_extent(outputs[1], taps[1], stride[1], dilation[1])
    positions = outputs[0] * outputs[1]
    line = taps[0] * taps[1] * channels
    packed = scratch[: dy.shape[0] * groups * panels * ROWS * positions]
    rest = scratch[packed.shape[0] :]
    sums = rest[: groups * panels * ROWS * line]
    images = rest[sums.shape[0] :]
    flat_dy, flat_x = dy.reshape(dy.size), x.reshape(x.size)
    for each in prange(dy.shape[0] * groups * panels):
        n, g, first = each // panels // groups, each // panels % groups, each % panels * ROWS
        target = packed[each * ROWS * positions : (each + 1) * ROWS * positions]
        start = (n * dy.shape[1] + g * filters + first) * positions
        pack_dy(flat_dy, start, positions, filters - first, target)
    for each in prange(dy.shape[0] * groups * high):
        n, g, row = each // high // groups, each // high % groups, each % high
        target = images[each * wide * channels : (each + 1) * wide * channels]
        channels_last(flat_x, x.shape, n, g, row - padding[0], padding, channels, target)
    for part in prange(SHARES):
        dw_share(
            packed, images, sums, dy.shape[0], groups, filters, channels, taps, outputs,
            (high, wide), stride, dilation, part, SHARES,
        )  # fmt: skip
    for k in prange(dw.shape[0]):
        if dy.shape[0] == 0:
            for c in range(channels):
                for r in range(taps[0]):
                    for s in range(taps[1]):
                        dw[k, c, r, s] = 0
        else:
            put_filter(sums, k, (k // filters * panels * ROWS + k % filters) * line, dw)
