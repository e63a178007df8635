"""Gradient of the data: the same walk over dy, for each phase of dx.

    dx[n, c, ih, iw] = Σ_k Σ_r Σ_s dy[n, k, (ih + pad − r·d) / u, …] · w[k, c, r, s]

over the taps that divide. For the rows ih = a + u·q of one phase these are fixed taps, each at a fixed
shift from q: a convolution of stride one, whose filters are the channels of x.
"""

import numpy as np
from numba import prange

from kernels.conv.direct.band import BLOCK, band_of
from kernels.conv.direct.tiles import by_panel, pack_panel, pieces_of
from kernels.conv.direct.walk import walk
from kernels.core import jit, simd


def dx_reach(taps, stride, dilation, pad):
    """Rows of dy in front of row q that dx's rows a + stride·q read, and rows read in all."""
    front = max(0, -((pad - (taps - 1) * dilation) // stride))
    return front, 1 + (stride - 1 + pad) // stride + front


dx_reach_of = jit.exact(dx_reach)  # for compiled code


@jit.parallel
def pack(w, groups, packed):
    """Fill packed: panels of each group's channels."""
    width = simd.columns(packed)
    filters, channels, taps = w.shape[0] // groups, w.shape[1], w.shape[2] * w.shape[3]
    panels = (channels + width - 1) // width
    size = width * filters * taps
    flat = w.reshape(w.size)
    for i in prange(groups * panels):
        each = np.int64(i)
        g, c = each // panels, each % panels * width
        pack_panel(
            flat, (g * filters * channels + c) * taps, channels - c, taps, filters, channels * taps, taps,
            packed[each * size : (each + 1) * size],
        )  # fmt: skip


@jit.exact
def phases_of(shape, stride, dilation, padding, front, left, wide, pixel):
    """Phases (a, b, first tap, last tap), and each tap's shift in dy and number in w."""
    phases = np.empty((stride[0] * stride[1], 4), np.int64)
    shifts = np.empty(shape[2] * shape[3], np.int64)
    order = np.empty(shape[2] * shape[3], np.int64)
    count = 0
    for phase in range(phases.shape[0]):
        a, b = phase // stride[1], phase % stride[1]
        phases[phase, 0], phases[phase, 1], phases[phase, 2] = a, b, count
        for r in range(shape[2]):
            down = a + padding[0] - r * dilation[0]
            for s in range(shape[3]):
                across = b + padding[1] - s * dilation[1]
                if down % stride[0] == 0 and across % stride[1] == 0:
                    row, column = down // stride[0] + front, across // stride[1] + left
                    shifts[count] = (row * wide + column) * pixel
                    order[count] = r * shape[3] + s
                    count += 1
        phases[phase, 3] = count
    return phases, shifts, order


@jit.exact
def share(dy, w, stride, padding, dilation, groups, dx, packed, scratch, part, parts):
    """Fill one part of dx."""
    filters, channels = w.shape[0] // groups, w.shape[1]
    width, one = simd.columns(packed), np.int64(1)  # no part of the type of what is called
    front, behind = dx_reach_of(w.shape[2], stride[0], dilation[0], padding[0])
    left, reach = dx_reach_of(w.shape[3], stride[1], dilation[1], padding[1])
    lines = (dx.shape[2] + stride[0] - 1) // stride[0]
    wide = (dx.shape[3] + stride[1] - 1) // stride[1] + reach - 1
    images, rows = band_of(dx.shape[0], lines, filters, wide, behind, 1)
    units = groups * ((lines + rows - 1) // rows) * ((dx.shape[0] + images - 1) // images)
    down = pieces_of(units, (channels + width - 1) // width)
    phases, shifts, order = phases_of(
        w.shape, stride, dilation, padding, front, left, wide, min(filters, BLOCK)
    )
    nothing = by_panel(np.zeros(dx.shape[1], dx.dtype), groups, width)
    walk(
        dy.reshape(dy.size), dy.shape, groups, channels, (one, one, front, left), packed,
        w.shape[2] * w.shape[3], one, shifts, order, phases, nothing, np.bool_(False), dx.reshape(dx.size),
        (dx.shape[2], dx.shape[3]), stride, images, rows, behind + rows - 1, wide, down,
        part * units * down // parts, (part + 1) * units * down // parts, scratch,
    )  # fmt: skip


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx, packed, scratch):
    """Fill dx."""
    for i in prange(scratch.shape[0]):
        share(
            dy, w, stride, padding, dilation, groups, dx, packed, scratch[i],
            np.int64(i), scratch.shape[0],
        )  # fmt: skip
