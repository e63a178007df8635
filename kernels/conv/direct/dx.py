"""Gradient of the data: channels side by side, dy padded once, a walk for each phase of dx."""

import numpy as np
from numba import prange

from kernels.conv.direct.tiles import CHUNK, ROWS, SHARES, copy_rows, share, split_of
from kernels.core import jit, simd


def dx_axis(size, taps, stride, dilation, pad):
    """Padding in front of dy, and its extent: every phase of dx reads inside it."""
    front = max(0, -((pad - (taps - 1) * dilation) // stride))
    return front, (size + stride - 1) // stride + (stride - 1 + pad) // stride + front


dx_extent = jit.exact(dx_axis)  # for compiled code


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
    bias = np.zeros(groups * panels * ROWS, dx.dtype)
    flat = dx.reshape(dx.size)
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
            target = dx[:, :, a:, b:]
            taps = offsets[:count]
            for part in prange(down * across):
                share(
                    packed, place, depth, images, filters, plane, taps, groups, channels,
                    part, down, across, positions, wide, bias, False, stride, target, flat,
                    tiles[part * ROWS * width : (part + 1) * ROWS * width],
                )  # fmt: skip
            place += filters * count * ROWS
