"""Gradient of the data.

    dx[n, c, ih, iw] = Σ_k Σ_r Σ_s w[k, r, s] · dy[n, k, (ih + p − r)/u, (iw + p − s)/u]

over the K/C filters of channel c and the taps for which the divisions have no remainder.

With stride 1 that is the forward's walk over dy, the filter turned by half a turn, padding R − 1 − p. With stride
2 a row of dy is spread instead: it belongs to R rows of dx, tap s to the even or the odd columns as s is even or
odd. A strip of dx is two vectors, one of either, so no multiply is by a zero between dy's elements; two rows are
complete with each row of dy, and their lanes are put in turn as they leave. (8×64×112×112, 3×3: 1.06 ms on one
thread of a Zen 4, float32, where `register`, which multiplies those zeros, takes 8.8.)
"""

import numpy as np
from numba import prange

from kernels.conv.depthwise.forward import FAR, LARGE, MORE, share
from kernels.conv.depthwise.lanes import FIVE, SEVEN, TAPS, THREE, between, lanes_of, parts_of
from kernels.core import jit, simd
from kernels.core.simd import sliding

TWO = (0,) * 2


@jit.exact
def lanes_of_spread(like, width, count):
    """Return TAPS numbers for each strip of `count` pairs of columns: number i is for dy, `width` long, moved by i."""
    wide = simd.lanes(like)
    numbers = np.empty((count + wide - 1) // wide * TAPS, np.int64)
    for place in range(numbers.shape[0]):
        behind = place % TAPS - place // TAPS * wide
        numbers[place] = between(behind, width + behind, wide)
    return numbers


@jit.inlined
def leave_pair(even, odd, flags, dx, at, low, high):
    """Write a row of two vectors, lanes in turn, or add it to what is there."""
    first, second = simd.interleave(even, odd)
    if flags[MORE]:
        first = first + sliding.vector_at(dx, at, low)
        second = second + sliding.vector_at(dx, at + simd.lanes(dx), high)
    sliding.put_vector_at(first, dx, at, low)
    sliding.put_vector_at(second, dx, at + simd.lanes(dx), high)


@jit.exact
def plane_apart(window, w, start, flags, dy, source, size, numbers, dx, target, shape, lead):
    """Fill a plane of dx, or add to it, from a plane of dy: stride 2."""
    weights, wide = sliding.taps(window, w, start, 1), simd.lanes(dx)
    for first in range(0, (shape[1] + lead[1] + 1) // 2, wide):
        lanes = sliding.lanes_for(weights, numbers, first // wide * TAPS)
        left = 2 * first - lead[1]
        low = between(-left, shape[1] - left, wide)
        high = between(-left - wide, shape[1] - left - wide, wide)
        sums, fresh = sliding.zeros(dx, window, TWO), sliding.zeros(dx, TWO, TWO)
        for t in range((shape[0] + lead[0] + 1) // 2):
            if t < size[0]:
                place = source + t * size[1] + first
                if flags[FAR]:
                    sliding.ask(dy, place + size[0] * size[1])
                sums = sliding.spread_row(sums, weights, dy, place, lanes)
            ih = 2 * t - lead[0]
            at = target + ih * shape[1] + left
            if flags[FAR]:
                sliding.ask(dx, at + shape[0] * shape[1])
                sliding.ask(dx, at + shape[0] * shape[1] + wide)
                sliding.ask(dx, at + (shape[0] + 1) * shape[1])
                sliding.ask(dx, at + (shape[0] + 1) * shape[1] + wide)
            if 0 <= ih < shape[0]:
                leave_pair(sliding.part(sums, 0), sliding.part(sums, 1), flags, dx, at, low, high)
            if 0 <= ih + 1 < shape[0]:
                at += shape[1]
                leave_pair(sliding.part(sums, 2), sliding.part(sums, 3), flags, dx, at, low, high)
            sums = sliding.roll(sums, fresh)


@jit.exact
def share_apart(dy, w, lead, numbers, notes, dx, part, parts):
    """Fill one part of dx: stride 2."""
    size, shape, side = (dy.shape[2], dy.shape[3]), (dx.shape[2], dx.shape[3]), w.shape[2]
    taps, area, out = side * w.shape[3], size[0] * size[1], shape[0] * shape[1]
    many = w.shape[0] // dx.shape[1]
    dys, ws, dxs = sliding.bare(dy), sliding.bare(w), sliding.bare(dx)
    notes[part, FAR] = out >= LARGE
    lanes, flags = sliding.bare(numbers), sliding.bare(notes[part])
    planes = dx.shape[0] * dx.shape[1]
    for each in range(part * planes // parts, (part + 1) * planes // parts):
        at = each * out
        for i in range(many):
            k, source = each % dx.shape[1] * many + i, (each * many + i) * area
            notes[part, MORE] = i > 0
            if side == 3:
                plane_apart(
                    THREE, ws, k * taps, flags, dys, source, size, lanes, dxs, at, shape, lead
                )
            elif side == 5:
                plane_apart(
                    FIVE, ws, k * taps, flags, dys, source, size, lanes, dxs, at, shape, lead
                )
            else:
                plane_apart(
                    SEVEN, ws, k * taps, flags, dys, source, size, lanes, dxs, at, shape, lead
                )


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, its planes over threads."""
    parts = parts_of(dy.shape[0] * dy.shape[1], dy.shape[2], dy.shape[3], w.shape[2] * w.shape[3])
    parts = min(parts, max(1, dx.shape[0] * dx.shape[1]))
    two, turned = stride[0] == 2, (w.shape[2] - 1 - padding[0], w.shape[3] - 1 - padding[1])
    if two:
        numbers = lanes_of_spread(dx, dy.shape[3], (dx.shape[3] + padding[1] + 1) // 2)
    else:
        numbers = lanes_of(dx, dy.shape[3], dx.shape[3], turned[1], False)
    notes, no_bias = np.empty((parts, 8), np.int64), w.reshape(w.size)
    for i in prange(parts):
        part = np.int64(i)
        if two:
            share_apart(dy, w, padding, numbers, notes, dx, part, parts)
        else:
            share(
                dy, w, no_bias, stride, turned, np.bool_(False), np.bool_(True), numbers, notes,
                dx, part, parts,
            )  # fmt: skip
