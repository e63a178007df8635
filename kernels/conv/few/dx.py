"""Gradient of the data for few channels: vectors along a row of dx, a block of its rows in the tile's rows.

    dx[n, c, ih, iw] = Σ_k Σ_r Σ_s dy[n, k, (ih + pad − r·d) / u, …] · w[k, c, r, s]

over the taps that divide. The columns iw = b + u·t of one phase b read dy at fixed shifts of t, so vectors lie
along t. Channels alone would leave most of a tile's rows empty: they are filled with A neighbouring rows of
dx, (c, a) with ih = q·A + a, A a multiple of the stride. Block q reads dy's rows q·A/u + i, the same offsets i
for every block; where a row does not read an offset, its packed weight is zero. What the zeros cost, the rows
that are no longer empty win many times over: with one channel and 3×3 filters eight rows read 10 rows of dy, and
30 % of the multiplies count instead of 3 %.

As 0 · NaN is NaN, a NaN or an infinity in dy reaches the other rows of its block, and no further.
"""

import numpy as np
from numba import prange

from kernels.conv.direct.band import extent, zeros
from kernels.conv.few.forward import copy
from kernels.core import jit, simd

ROWS = simd.ROWS
ROOM = 1 << 17  # elements of a band at most, if it has more than a block of rows


def offsets(size, taps, stride, dilation, pad):
    """First offset in dy, and how many, that `size` neighbouring rows (or columns) read."""
    low = -(((taps - 1) * dilation - pad) // stride)
    return low, (size - 1 + pad) // stride - low + 1


offsets_of = jit.exact(offsets)  # for compiled code


def block(height, channels, taps, stride, dilation, pad):
    """The A that multiplies least for `height` rows."""
    best, least = stride, -1
    for a in range(stride, stride * ROWS + 1, stride):
        panels = (channels * a + ROWS - 1) // ROWS
        count = offsets_of(a, taps, stride, dilation, pad)[1]
        work = (height + a - 1) // a * panels * count
        if least < 0 or work < least:
            best, least = a, work
    return best


def band(lines, sums, pitch, down, more):
    """Blocks of rows in a band: `down` rows of dy behind the first, `more` for each further one."""
    return max(1, min(lines, (ROOM // (sums * pitch) - down) // more + 1))


block_of = jit.exact(block)
band_of = jit.exact(band)
extent_of = jit.exact(extent)


@jit.exact
def columns_of(phases, taps, stride, dilation, pad, left):
    """Fill phases with the bounds of each phase's taps; return each one's shift in dy and number in w."""
    shifts, order, count = np.empty(taps, np.int64), np.empty(taps, np.int64), 0
    for b in range(stride):
        phases[b] = count
        for s in range(taps):
            across = b + pad - s * dilation
            if across % stride == 0:
                shifts[count], order[count] = across // stride - left, s
                count += 1
    phases[stride] = count
    return shifts, order


@jit.exact
def pack(w, groups, g, size, low, down, phases, order, stride, dilation, pad, packed):
    """Fill packed[panel][phase][filter][offset][tap of the phase][row] with group g's weights, else zeros."""
    filters, channels = w.shape[0] // groups, w.shape[1]
    panel = filters * down * w.shape[3] * ROWS
    zeros(packed, 0, (channels * size + ROWS - 1) // ROWS * panel)
    for row in range(channels * size):
        c, a = row // size, row % size
        for r in range(w.shape[2]):
            if (a + pad - r * dilation) % stride != 0:
                continue
            i = (a + pad - r * dilation) // stride - low
            for b in range(phases.shape[0] - 1):
                taps = phases[b + 1] - phases[b]
                place = row // ROWS * panel + row % ROWS + filters * down * phases[b] * ROWS
                for k in range(filters):
                    for j in range(taps):
                        at = place + ((k * down + i) * taps + j) * ROWS
                        packed[at] = w[g * filters + k, c, r, order[phases[b] + j]]


@jit.inlined
def rows_of_dx(packed, weights, filters, down, shifts, held, start, plane, pitch):
    """Return ROWS rows × COLUMNS columns of dx: filters, offsets and taps summed in registers."""
    sums = simd.zero(held)
    for k in range(filters):
        for i in range(down):
            line = start + k * plane + i * pitch
            for j in range(shifts.shape[0]):
                sums = simd.multiply_add(sums, packed, weights, 1, held, line + shifts[j])
                weights += ROWS
    return sums


@jit.exact
def fill(packed, filters, down, phases, shifts, held, high, pitch, more, room, dx, size, at, rows):
    """Fill `rows` blocks of dx's rows, from image, channel and row `at` on; `size` rows a block."""
    width, stride = simd.columns(held), phases.shape[0] - 1
    flat, channels, across = dx.reshape(dx.size), at[2], (dx.shape[3] + stride - 1) // stride
    for q in range(rows):
        for panel in range(0, channels * size, ROWS):
            for column in range(0, across, width):
                for b in range(stride):
                    weights = (panel // ROWS * shifts.shape[0] + phases[b]) * ROWS * filters * down
                    values = rows_of_dx(
                        packed, weights, filters, down, shifts[phases[b] : phases[b + 1]], held,
                        q * more * pitch + column, high * pitch, pitch,
                    )  # fmt: skip
                    simd.store(values, room, 0, width)
                    first = column * stride + b
                    count = min(width, (dx.shape[3] - first + stride - 1) // stride)
                    for row in range(panel, min(panel + ROWS, channels * size)):
                        ih = at[3] + q * size + row % size
                        if ih < dx.shape[2]:
                            plane = at[0] * dx.shape[1] + at[1] + row // size
                            line = flat[(plane * dx.shape[2] + ih) * dx.shape[3] + first :]
                            source = room[(row - panel) * width :]
                            if stride == 1:
                                for t in range(count):
                                    line[t] = source[t]
                            else:
                                for t in range(count):
                                    line[t * stride] = source[t]


@jit.exact
def share(dy, w, stride, padding, dilation, groups, dx, scratch, part, parts):
    """Fill one part of dx."""
    filters, channels, one = w.shape[0] // groups, w.shape[1], np.int64(1)
    size = block_of(dx.shape[2], channels, w.shape[2], stride[0], dilation[0], padding[0])
    low, down = offsets_of(size, w.shape[2], stride[0], dilation[0], padding[0])
    left, reach = offsets_of(stride[1], w.shape[3], stride[1], dilation[1], padding[1])
    more, lines = size // stride[0], (dx.shape[2] + size - 1) // size
    pitch = (dx.shape[3] + stride[1] - 1) // stride[1] - 1 + reach
    rows = band_of(lines, filters, pitch, down, more)
    high, bands = down + (rows - 1) * more, (lines + rows - 1) // rows
    phases = np.empty(stride[1] + 1, np.int64)
    shifts, order = columns_of(phases, w.shape[3], stride[1], dilation[1], padding[1], left)
    weights = (channels * size + ROWS - 1) // ROWS * ROWS * filters * down * w.shape[3]
    tile = ROWS * simd.columns(dx)
    packed, room, held = scratch[:weights], scratch[weights:], scratch[weights + tile :]
    flat, ready, units = dy.reshape(dy.size), -1, dx.shape[0] * bands
    for item in range(part * groups * units // parts, (part + 1) * groups * units // parts):
        g, n, row = item // units, item % units // bands, item % bands * rows
        if g != ready:
            pack(
                w, groups, g, size, low, down, phases, order, stride[0], dilation[0], padding[0], packed
            )  # fmt: skip
            ready = g
        plane = n * dy.shape[1] + g * filters
        copy(flat, dy.shape, plane, filters, row * more + low, left, high, pitch, one, held)
        fill(
            packed, filters, down, phases, shifts, held, high, pitch, more, room, dx, size,
            (n, g * channels, channels, row * size), min(rows, lines - row),
        )  # fmt: skip


def panels(problem):
    """Tiles that a column of dx's group takes: panels, blocks of rows; and the offsets of each."""
    p = problem
    size = block(p.h, p.c // p.groups, p.r, p.stride[0], p.dilation[0], p.padding[0][0])
    _, down = offsets(size, p.r, p.stride[0], p.dilation[0], p.padding[0][0])
    return -(-(p.c // p.groups) * size // ROWS), -(-p.h // size), down


def room(problem):
    """Elements of scratch for each thread: a group's packed weights, a tile, a band of dy."""
    p = problem
    filters, channels = p.k // p.groups, p.c // p.groups
    size = block(p.h, channels, p.r, p.stride[0], p.dilation[0], p.padding[0][0])
    deep, lines, down = panels(p)
    _, reach = offsets(p.stride[1], p.s, p.stride[1], p.dilation[1], p.padding[1][0])
    more, pitch = size // p.stride[0], -(-p.w // p.stride[1]) - 1 + reach
    rows = band(lines, filters, pitch, down, more)
    weights = deep * ROWS * filters * down * p.s
    held = filters * (down + (rows - 1) * more) * pitch
    return weights + held + (ROWS + 1) * simd.columns_of(p.dtype)


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx, scratch):
    """Fill dx."""
    for i in prange(scratch.shape[0]):
        share(
            dy, w, stride, padding, dilation, groups, dx, scratch[i], np.int64(i), scratch.shape[0]
        )  # fmt: skip
