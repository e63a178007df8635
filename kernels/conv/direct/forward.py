"""Forward: the outputs of a band, panel after panel of filters."""

import numpy as np
from numba import prange

from kernels.conv.direct.band import BLOCK, band_of, extent_of
from kernels.conv.direct.tiles import by_panel, pack_panel, pieces_of
from kernels.conv.direct.walk import walk
from kernels.core import jit, simd


@jit.parallel
def pack(w, groups, packed):
    """Fill packed: panels of each group's filters."""
    width = simd.columns(packed)
    filters, channels, taps = w.shape[0] // groups, w.shape[1], w.shape[2] * w.shape[3]
    panels = (filters + width - 1) // width
    size = width * channels * taps
    flat = w.reshape(w.size)
    for i in prange(groups * panels):
        each = np.int64(i)
        g, panel = each // panels, each % panels
        base = (g * filters + panel * width) * channels * taps
        pack_panel(
            flat, base, filters - panel * width, channels * taps, channels, taps, taps,
            packed[each * size : (each + 1) * size],
        )  # fmt: skip


@jit.exact
def share(x, w, b, stride, padding, dilation, groups, relu, y, packed, scratch, part, parts):
    """Fill one part of y."""
    filters, channels = w.shape[0] // groups, w.shape[1]
    taps, width = w.shape[2] * w.shape[3], simd.columns(packed)
    one = np.int64(1)  # no part of the type of what is called
    wide = extent_of(y.shape[3], w.shape[3], stride[1], dilation[1])
    behind = extent_of(1, w.shape[2], stride[0], dilation[0])
    images, rows = band_of(y.shape[0], y.shape[2], channels, wide, behind, stride[0])
    units = groups * ((y.shape[2] + rows - 1) // rows) * ((y.shape[0] + images - 1) // images)
    down = pieces_of(units, (filters + width - 1) // width)
    # with few channels, the taps of a filter's row are one run in memory
    span = w.shape[3] if channels <= BLOCK and dilation[1] == 1 else 1
    runs = taps // span
    shifts, order = np.empty(runs, np.int64), np.empty(runs, np.int64)
    for t in range(runs):
        r, s = t * span // w.shape[3], t * span % w.shape[3]
        shifts[t] = (r * dilation[0] * wide + s * dilation[1]) * min(channels, BLOCK)
        order[t] = t
    phases = np.zeros((1, 4), np.int64)
    phases[0, 3] = runs
    walk(
        x.reshape(x.size), x.shape, groups, filters, (stride[0], stride[1], padding[0], padding[1]),
        packed, taps, span, shifts, order, phases, by_panel(b, groups, width), relu, y.reshape(y.size),
        (y.shape[2], y.shape[3]), (one, one), images, rows, behind + (rows - 1) * stride[0], wide, down,
        part * units * down // parts, (part + 1) * units * down // parts, scratch,
    )  # fmt: skip


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, packed, scratch):
    """Fill y."""
    for i in prange(scratch.shape[0]):
        share(
            x, w, b, stride, padding, dilation, groups, relu, y, packed, scratch[i],
            np.int64(i), scratch.shape[0],
        )  # fmt: skip
