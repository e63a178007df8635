"""Forward: filters side by side, images sorted into phases."""

import math

import numpy as np
from numba import prange

from kernels.conv.direct.tiles import CHUNK, ROWS, SHARES, copy_rows, share, split_of
from kernels.core import jit, simd


def forward_axis(outputs, taps, stride, dilation):
    """Phases that taps read, and the extent of a phase: (count, outputs + largest shift)."""
    period = stride // math.gcd(stride, dilation)
    return min(taps, period), outputs + (taps - 1) * dilation // stride


forward_extent = jit.exact(forward_axis)  # for compiled code


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
def forward_offsets(offsets, taps, stride, dilation, down_phases, across_phases, high, wide):
    """Fill offsets[r·S + s]: how far from output p its tap lies in the copy, p numbered along padded rows."""
    for t in range(offsets.shape[0]):
        r, s = t // taps, t % taps
        phase = (r % down_phases) * across_phases + s % across_phases
        row = phase * high + r * dilation[0] // stride[0]
        offsets[t] = row * wide + s * dilation[1] // stride[1]


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
    bias = np.zeros(groups * panels * ROWS, y.dtype)
    for k in range(y.shape[1]):
        bias[k // filters * panels * ROWS + k % filters] = b[k]
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
    flat = y.reshape(y.size)
    for part in prange(down * across):
        share(
            packed, 0, depth, images, channels, plane, offsets, groups, filters, part, down, across,
            positions, wide, bias, relu, (1, 1), y, flat,
            tiles[part * ROWS * width : (part + 1) * ROWS * width],
        )  # fmt: skip
