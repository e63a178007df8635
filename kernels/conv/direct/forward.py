"""Forward: the outputs of a band, panel after panel of filters."""

import numpy as np
from numba import prange

from kernels.conv.direct.band import BLOCK, band_of, extent_of
from kernels.conv.direct.tiles import pack_panel, pieces_of
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
    for each in prange(groups * panels):
        g, panel = each // panels, each % panels
        base = (g * filters + panel * width) * channels * taps
        pack_panel(
            flat, base, filters - panel * width, channels * taps, channels, taps, taps,
            packed[each * size : (each + 1) * size],
        )  # fmt: skip


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, packed, scratch):
    """Fill y."""
    filters, channels = w.shape[0] // groups, w.shape[1]
    taps = w.shape[2] * w.shape[3]
    width = simd.columns(scratch)
    panels = (filters + width - 1) // width
    wide = extent_of(y.shape[3], w.shape[3], stride[1], dilation[1])
    behind = extent_of(1, w.shape[2], stride[0], dilation[0])
    images, rows = band_of(y.shape[0], y.shape[2], channels, wide, behind, stride[0])
    high = behind + (rows - 1) * stride[0]
    units = groups * ((y.shape[2] + rows - 1) // rows) * ((y.shape[0] + images - 1) // images)
    down = pieces_of(units, panels)
    # with few channels, the taps of a filter's row are one run in memory
    span = w.shape[3] if channels <= BLOCK and dilation[1] == 1 else 1
    shifts, order = np.empty(taps // span, np.int64), np.arange(taps // span)
    for t in range(taps // span):
        r, s = t * span // w.shape[3], t * span % w.shape[3]
        shifts[t] = (r * dilation[0] * wide + s * dilation[1]) * min(channels, BLOCK)
    phases = np.array([[0, 0, 0, taps // span]])
    bias = np.zeros(groups * panels * width, y.dtype)
    for k in range(y.shape[1]):
        bias[k // filters * panels * width + k % filters] = b[k]
    shares, items = scratch.shape[0], units * down
    read = (stride[0], stride[1], padding[0], padding[1])
    flat, source = y.reshape(y.size), x.reshape(x.size)
    for part in prange(shares):
        walk(
            source, x.shape, groups, filters, read, packed, taps, span, shifts, order, phases, bias, relu,
            flat, (y.shape[2], y.shape[3]), (1, 1), images, rows, high, wide, down,
            part * items // shares, (part + 1) * items // shares,
            scratch[part],
        )  # fmt: skip
