"""Weights in Winograd's domain, packed for the register tile: U = G g Gᵀ."""

import numpy as np
from numba import prange

from kernels.conv.winograd import transforms
from kernels.core import jit, simd

TAPS = 9
# Between what belongs to one point and to the next, a cache line more: without it they often lie a power of
# two apart, and the 36 lines that one tile writes fall into one set of the cache.
APART = 16


@jit.inlined
def pack_line(m, w, start, apart, rows, flip, room, packed, place, far):
    """Transform the filters of LANES outputs for one channel: point p goes to place + p·far.

    w[start + o·apart + t] is output o's tap t, or its ninth last where `flip`; outputs from `rows` on are
    zero.
    """
    lanes, points = simd.lanes(w), m + 2
    for t in range(0, TAPS, lanes):
        simd.transpose(
            w, start + t, apart, rows, min(lanes, TAPS - t), room, t * lanes, lanes, lanes
        )
    half = TAPS * lanes
    for s in range(3):
        first, step = (8 - s, -3) if flip else (s, 3)
        transforms.weights(m, room, first * lanes, step * lanes, room, half + s * lanes, 3 * lanes)
    for i in range(points):
        transforms.weights(
            m, room, half + i * 3 * lanes, lanes, packed, place + i * points * far, far
        )


@jit.exact
def pack_panel(m, w, start, outs, apart, sums, stride, flip, packed, place, far):
    """Pack COLUMNS outputs, channel after channel."""
    width, lanes = simd.columns(w), simd.lanes(w)
    room = np.empty((TAPS + 3 * (m + 2)) * lanes, w.dtype)
    for part in range(0, width, lanes):
        rows = min(lanes, outs - part)
        first = start + part * apart if rows > 0 else start
        for c in range(sums):
            at = place + c * width + part
            pack_line(m, w, first + c * stride, apart, rows, flip, room, packed, at, far)


@jit.parallel
def pack(w, groups, m, backward, packed):
    """Fill packed[group][panel][point][channel][output]; outputs are x's channels where `backward`."""
    width = simd.columns(packed)
    filters, channels = w.shape[0] // groups, w.shape[1]
    outs, sums = (channels, filters) if backward else (filters, channels)
    apart, stride = (TAPS, channels * TAPS) if backward else (channels * TAPS, TAPS)
    panels = (outs + width - 1) // width
    points, far = (m + 2) * (m + 2), width * sums + APART
    flat = w.reshape(w.size)
    for i in prange(groups * panels):
        each = np.int64(i)
        g, panel = each // panels, each % panels
        pack_panel(
            m, flat, g * filters * channels * TAPS + panel * width * apart, outs - panel * width, apart,
            sums, stride, backward, packed, each * points * far, far,
        )  # fmt: skip
