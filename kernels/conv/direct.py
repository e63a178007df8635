"""Rung 4: register tiles over the images themselves, with no column matrix.

`im2col` writes every element of x once for each tap that reads it. A tile needs no such matrix: ROWS
filters × COLUMNS neighbouring outputs are fed, tap after tap, by COLUMNS neighbouring elements of x, and
those lie in a row of memory already, if two things are seen to first.

- *Padding* is written down: x is copied once into planes with its zeros around it. Then outputs are
  numbered along the padded rows, p = oh·WQ + ow, and tap (r, s) of output p reads element
  p + shift(r)·WQ + shift(s): one number added, whatever p is. A tile may run over the end of a row; the few
  outputs between the rows are computed and thrown away.
- *Stride* is taken apart: with stride u, tap r reads rows o·u + r·d = (o + ⌊r·d / u⌋)·u + (r·d mod u). So
  the copy sorts rows (and columns) by their remainder, and each tap reads one of these *phases* with
  stride one.

The gradient of the data is the same walk. dx[ih] gathers dy[(ih + pad − r·d) / u] over the taps that divide:
for the rows ih = a + u·q of one phase these are fixed taps, each at a fixed shift of q, over a padded dy.

The weights are packed once a call, ROWS filters side by side for each tap (channels for dx).

Source: Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead Direct Convolutions", ICML 2018;
Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures", SC 2018.
"""

import math

import numpy as np
from numba import prange

from kernels.core import jit, simd

ROWS = simd.ROWS
CHUNK = 6  # tiles side by side in a unit of work: its part of x stays in the second cache
SHARES = 64  # pieces of work at most
HEAVY = (
    1 << 17
)  # weights: more than these share the second cache badly with x, so they are split up

# ---- geometry, for Python and compiled code alike


def forward_axis(outputs, taps, stride, dilation):
    """Phases that taps read, and the extent of a phase: (count, outputs + largest shift)."""
    period = stride // math.gcd(stride, dilation)
    return min(taps, period), outputs + (taps - 1) * dilation // stride


def dx_axis(size, taps, stride, dilation, pad):
    """Padding in front of dy, and its extent: every phase of dx reads inside it."""
    front = max(0, -((pad - (taps - 1) * dilation) // stride))
    return front, (size + stride - 1) // stride + (stride - 1 + pad) // stride + front


forward_extent = jit.exact(forward_axis)
dx_extent = jit.exact(dx_axis)


def scratch(problem, direction):
    """Elements of scratch: packed weights, the padded copy of the images, a tile for each worker."""
    p = problem
    width = simd.columns_of(p.dtype)
    c, k = p.c // p.groups, p.k // p.groups
    if direction == "forward":
        (a, high), (b, wide) = (
            forward_axis(o, r, u, d)
            for o, r, u, d in zip((p.oh, p.ow), (p.r, p.s), p.stride, p.dilation)
        )
        copy = p.c * a * b * high * wide
        rows, depth = k, c * p.r * p.s
    else:
        (_, high), (_, wide) = (
            dx_axis(n, r, u, d, pad[0])
            for n, r, u, d, pad in zip((p.h, p.w), (p.r, p.s), p.stride, p.dilation, p.padding)
        )
        copy = p.k * high * wide
        rows, depth = c, k * p.r * p.s
    packed = p.groups * -(-rows // ROWS) * ROWS * depth
    return packed + p.n * copy + width + SHARES * ROWS * width


def split(panels, units, weights):
    """Pieces of work: panels of filters down, units of outputs across."""
    if weights > HEAVY:
        down = min(panels, SHARES // 2)
        return down, max(1, min(units, SHARES // 2 // down))
    across = max(1, min(units, SHARES))
    return max(1, min(panels, SHARES // 2 // across)), across


split_of = jit.exact(split)


# ---- packing


@jit.fast
def pack_filters(w, g, panel, groups, target):
    """target[(c, r, s)·ROWS + i] = w[filter i of the panel, c, r, s], zero past the group's filters."""
    filters = w.shape[0] // groups
    depth = w.shape[1] * w.shape[2] * w.shape[3]
    flat = w.reshape(w.size)
    for i in range(ROWS):
        column = target[i : depth * ROWS]
        k = panel * ROWS + i
        if k < filters:
            line = flat[(g * filters + k) * depth : (g * filters + k + 1) * depth]
            for t in range(depth):
                column[t * ROWS] = line[t]
        else:
            for t in range(depth):
                column[t * ROWS] = 0


@jit.fast
def pack_channels(w, g, panel, groups, stride, dilation, pad, target):
    """For each phase (a, b) of dx: target[(k, taps of the phase)·ROWS + i] = w[k, channel i, r, s]."""
    filters = w.shape[0] // groups
    place = 0
    for a in range(stride[0]):
        for b in range(stride[1]):
            for k in range(g * filters, (g + 1) * filters):
                for r in range(w.shape[2]):
                    if (a + pad[0] - r * dilation[0]) % stride[0] != 0:
                        continue
                    for s in range(w.shape[3]):
                        if (b + pad[1] - s * dilation[1]) % stride[1] != 0:
                            continue
                        for i in range(ROWS):
                            c = panel * ROWS + i
                            value = w[k, c, r, s] if c < w.shape[1] else w.dtype.type(0)
                            target[place + i] = value
                        place += ROWS


@jit.fast
def copy_rows(plane, top, left, steps, target):
    """target[q, t] = plane[q·steps[0] + top, t·steps[1] + left], zero where that is outside."""
    height, width = plane.shape
    first = max(0, (-left + steps[1] - 1) // steps[1])
    last = max(first, min(target.shape[1], (width - 1 - left) // steps[1] + 1))
    first = min(first, last)
    for q in range(target.shape[0]):
        row = target[q]
        ih = q * steps[0] + top
        if ih < 0 or ih >= height:
            for t in range(row.shape[0]):
                row[t] = 0
            continue
        for t in range(first):
            row[t] = 0
        inner = row[first:last]
        line = plane[ih, first * steps[1] + left :]
        if steps[1] == 1:
            for t in range(inner.shape[0]):
                inner[t] = line[t]
        else:
            for t in range(inner.shape[0]):
                inner[t] = line[t * steps[1]]
        for t in range(last, row.shape[0]):
            row[t] = 0


# ---- one tile


@jit.fast
def tile(packed, place, images, start, offsets, taps, channels, plane, sums_out):
    """Sum ROWS × COLUMNS outputs over all channels and taps into `sums_out`."""
    sums = simd.zero(packed)
    for _ in range(channels):
        for t in range(taps):
            sums = simd.multiply_add(sums, packed, place, images, start + offsets[t])
            place += ROWS
        start += plane
    simd.store(sums, sums_out, 0, simd.columns(packed))


@jit.fast
def put(sums, i, p0, count, pitch, valid, bias, relu, steps, target):
    """Write row i of a tile to target[p // pitch, p mod pitch] (by steps), leaving out what is no output."""
    width = simd.columns(sums)
    done = 0
    while done < count:
        row, column = (p0 + done) // pitch, (p0 + done) % pitch
        length = min(count - done, pitch - column)
        values = sums[i * width + done : i * width + done + length]
        kept = min(length, valid - column)
        if kept > 0 and steps[1] == 1:
            line = target[row * steps[0], column : column + kept]
            for t in range(kept):
                value = values[t] + bias
                line[t] = line.dtype.type(0) if relu and value < 0 else value
        elif kept > 0:
            line = target[row * steps[0], column * steps[1] :]
            for t in range(kept):
                line[t * steps[1]] = values[t]
        done += length


@jit.fast
def share(
    packed, place, depth, images, channels, plane, offsets, groups, filters, part, down, across,
    positions, pitch, valid, b, relu, steps, target, sums,
):  # fmt: skip
    """Fill one piece of `target`: some panels of `filters` each group has, some units of its outputs."""
    panels = (filters + ROWS - 1) // ROWS
    width = simd.columns(packed)
    step = CHUNK * width
    units = (positions + step - 1) // step
    total = target.shape[0] * groups * units
    i, j = part // across, part % across
    for unit in range(j * total // across, (j + 1) * total // across):
        n, g, first = unit // units // groups, unit // units % groups, unit % units * step
        last = min(first + step, positions)
        image = (n * groups + g) * channels * plane
        for panel in range(i * panels // down, (i + 1) * panels // down):
            weights = place + (g * panels + panel) * depth
            for p in range(first, last, width):
                tile(
                    packed, weights, images, image + p,
                    offsets, offsets.shape[0], channels, plane, sums,
                )  # fmt: skip
                for row in range(min(ROWS, filters - panel * ROWS)):
                    k = g * filters + panel * ROWS + row
                    count = min(width, last - p)
                    put(sums, row, p, count, pitch, valid, b[k], relu, steps, target[n, k])


# ---- forward and gradient of the data


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, scratch):
    """Fill y."""
    width = simd.columns(scratch)
    filters, channels = w.shape[0] // groups, w.shape[1]
    panels = (filters + ROWS - 1) // ROWS
    down_phases, high = forward_extent(y.shape[2], w.shape[2], stride[0], dilation[0])
    across_phases, wide = forward_extent(y.shape[3], w.shape[3], stride[1], dilation[1])
    plane = down_phases * across_phases * high * wide
    depth = channels * w.shape[2] * w.shape[3] * ROWS
    packed = scratch[: groups * panels * depth]
    images = scratch[packed.shape[0] : scratch.shape[0] - SHARES * ROWS * width]
    tiles = scratch[scratch.shape[0] - SHARES * ROWS * width :]
    offsets = np.empty(w.shape[2] * w.shape[3], np.int64)
    forward_offsets(offsets, w.shape[3], stride, dilation, down_phases, across_phases, high, wide)
    for each in prange(groups * panels):
        pack_filters(
            w, each // panels, each % panels, groups, packed[each * depth : (each + 1) * depth]
        )
    for each in prange(x.shape[0] * x.shape[1]):
        split_phases(
            x[each // x.shape[1], each % x.shape[1]], stride, padding, dilation,
            down_phases, across_phases, high, wide, images[each * plane : (each + 1) * plane],
        )  # fmt: skip
    positions = (y.shape[2] - 1) * wide + y.shape[3]
    units = y.shape[0] * groups * ((positions + CHUNK * width - 1) // (CHUNK * width))
    down, across = split_of(panels, units, packed.shape[0])
    for part in prange(down * across):
        share(
            packed, 0, depth, images, channels, plane, offsets, groups, filters, part, down, across,
            positions, wide, y.shape[3], b, relu, (1, 1), y,
            tiles[part * ROWS * width : (part + 1) * ROWS * width],
        )  # fmt: skip


@jit.exact
def forward_offsets(offsets, taps, stride, dilation, down_phases, across_phases, high, wide):
    """Fill offsets[r·S + s]: how far from output p its tap lies in the copy, p numbered along padded rows."""
    for t in range(offsets.shape[0]):
        r, s = t // taps, t % taps
        phase = (r % down_phases) * across_phases + s % across_phases
        row = phase * high + r * dilation[0] // stride[0]
        offsets[t] = row * wide + s * dilation[1] // stride[1]


@jit.fast
def split_phases(
    plane, stride, padding, dilation, down_phases, across_phases, high, wide, target
):  # fmt: skip
    """Copy one channel, padding written down, its rows and columns sorted by their remainder."""
    for a in range(down_phases):
        for b in range(across_phases):
            start = (a * across_phases + b) * high * wide
            part = target[start : start + high * wide].reshape(high, wide)
            top = a * dilation[0] % stride[0] - padding[0]
            left = b * dilation[1] % stride[1] - padding[1]
            copy_rows(plane, top, left, stride, part)


@jit.exact
def dx_offsets(a, b, shape, stride, padding, dilation, front, left, wide, offsets):
    """Fill the offsets of the taps that reach phase (a, b) of dx; return how many there are."""
    count = 0
    for r in range(shape[2]):
        down = a + padding[0] - r * dilation[0]
        if down % stride[0] != 0:
            continue
        for s in range(shape[3]):
            across = b + padding[1] - s * dilation[1]
            if across % stride[1] == 0:
                offsets[count] = (down // stride[0] + front) * wide + across // stride[1] + left
                count += 1
    return count


@jit.fast
def copy_padded(plane, front, left, high, wide, target):
    """Copy one channel of dy with zeros around it."""
    copy_rows(plane, -front, -left, (1, 1), target.reshape(high, wide))


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx, scratch):
    """Fill dx, phase by phase."""
    width = simd.columns(scratch)
    channels, filters = w.shape[1], w.shape[0] // groups
    panels = (channels + ROWS - 1) // ROWS
    front, high = dx_extent(dx.shape[2], w.shape[2], stride[0], dilation[0], padding[0])
    left, wide = dx_extent(dx.shape[3], w.shape[3], stride[1], dilation[1], padding[1])
    plane = high * wide
    depth = filters * w.shape[2] * w.shape[3] * ROWS
    packed = scratch[: groups * panels * depth]
    images = scratch[packed.shape[0] : scratch.shape[0] - SHARES * ROWS * width]
    tiles = scratch[scratch.shape[0] - SHARES * ROWS * width :]
    offsets = np.empty(w.shape[2] * w.shape[3], np.int64)
    zeros = np.zeros(dx.shape[1], dx.dtype)
    for each in prange(groups * panels):
        target = packed[each * depth : (each + 1) * depth]
        pack_channels(w, each // panels, each % panels, groups, stride, dilation, padding, target)
    for each in prange(dy.shape[0] * dy.shape[1]):
        copy_padded(
            dy[each // dy.shape[1], each % dy.shape[1]], front, left, high, wide,
            images[each * plane : (each + 1) * plane],
        )  # fmt: skip
    place = 0
    for a in range(min(stride[0], dx.shape[2])):
        for b in range(min(stride[1], dx.shape[3])):
            count = dx_offsets(a, b, w.shape, stride, padding, dilation, front, left, wide, offsets)
            rows = (dx.shape[2] - a + stride[0] - 1) // stride[0]
            valid = (dx.shape[3] - b + stride[1] - 1) // stride[1]
            positions = (rows - 1) * wide + valid
            units = dx.shape[0] * groups * ((positions + CHUNK * width - 1) // (CHUNK * width))
            down, across = split_of(panels, units, packed.shape[0])
            target_dx = dx[:, :, a:, b:]
            taps = offsets[:count]
            for part in prange(down * across):
                share(
                    packed, place, depth, images, filters, plane, taps, groups, channels,
                    part, down, across, positions, wide, valid, zeros, False, stride, target_dx,
                    tiles[part * ROWS * width : (part + 1) * ROWS * width],
                )  # fmt: skip
            place += filters * count * ROWS
