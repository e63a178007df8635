"""Data gradient: the forward's sum over dy, with the weights turned round.

    dx[n, c, ih, iw] = Σ_krs w[k, c, r, s] · dy[n, k, (ih + p − r·d)/u, (iw + p − s·d)/u]

over the taps for which the divisions have no remainder. With dy's elements u apart and zeros between, it
is a convolution of stride 1 and padding (R − 1)·d − p with w[·, c, R − 1 − r, S − 1 − s]: what `bands`
copies and `tile` sums. A stride costs u² times the multiplies, most of them by zero.

Measured on a Zen 5, float32, two cores: 8×64×56×56 ← 64, 3×3, at 305 GFLOP/s, 8.4 times `parallel`;
depthwise 5×5 2.9 times; with stride 2 and 3×3 filters (8×64×56×56 ← 128) at 76.

dw is a sum over positions, not a row of sums, and stays with the other rungs.
"""

import numpy as np
from numba import prange

from kernels.conv.register.bands import places, plan_of, share
from kernels.core import jit


@jit.fast
def turn(w, groups, channel, target):
    """target[k, r, s] = w[k, channel, R − 1 − r, S − 1 − s], k of the channel's group."""
    filters, area = w.shape[0] // groups, w.shape[2] * w.shape[3]
    g, c = channel // w.shape[1], channel % w.shape[1]
    flat = w.reshape(w.size)
    for k in range(filters):
        start = ((g * filters + k) * w.shape[1] + c) * area
        for t in range(area):
            target[k * area + t] = flat[start + area - 1 - t]


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx, scratch):
    """Fill dx, its bands over threads."""
    channels, taps = w.shape[0] // groups, (w.shape[2], w.shape[3])
    one = np.int64(1)  # no part of the type of what is called
    shape = plan_of((dx.shape[2], dx.shape[3]), channels, taps, (one, one), dilation)
    offsets, own = places(channels, taps, (one, one), dilation, shape)
    lead = (taps[0] - 1) * dilation[0] - padding[0], (taps[1] - 1) * dilation[1] - padding[1]
    depth = offsets.shape[0]
    turned, copies = scratch[: w.size], scratch[w.size :]
    for i in prange(dx.shape[1]):
        c = np.int64(i)
        turn(w, groups, c, turned[c * depth : (c + 1) * depth])
    count = copies.size // own
    bias, flat = np.zeros(dx.shape[1], dx.dtype), dx.reshape(dx.size)
    for i in prange(count):
        part = np.int64(i)
        share(
            dy, turned, bias, part, count, (one, one), stride, lead, groups, channels, shape, offsets,
            False, dx, flat, copies[part * own : (part + 1) * own],
        )  # fmt: skip
