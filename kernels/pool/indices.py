"""Whether indices name taps of their own windows: what the gradient of the maximum asks first.

As in `register`, a plane falls into rectangles whose windows see the same taps, and over one of them the
numbers that are good are known by addition: no index is divided into row and column.

Measured on a Zen 5, one core, against a test of each index by itself (`naive.first_bad_index`, which still
names the culprit): 64×32×4×4 indices of 2×2 windows 0.06 ms, 2.9 times as fast; 8×64×56×56 of 3×3
windows 3.4 ms for one-byte indices, 3.3 times, and 3.6 ms for flat ones, 1.9 times.
"""

import numpy as np
from numba import prange

from kernels.core import jit
from kernels.pool import naive
from kernels.pool.register import numbers, stretch


@jit.parallel
def count_bad(indices, kernel, stride, padding, dilation, height, width, window, found):
    """Fill found (pieces,) with how many indices of each block of planes are no tap of their windows."""
    planes = indices.shape[0] * indices.shape[1]
    block = (planes + found.size - 1) // found.size
    for piece in prange(found.size):
        first = min(planes, np.int64(piece) * block)
        last = min(planes, first + block)
        found[piece] = bad_in_block(
            indices, first, last, kernel, stride, padding, dilation, height, width, window
        )


@jit.exact
def bad_in_block(indices, first, last, kernel, stride, padding, dilation, height, width, window):
    """Count the indices of the planes [first, last) that are no tap of their windows."""
    out = indices.shape[2:]
    size = out[0] * out[1]
    flat = indices.reshape(indices.size)[first * size : last * size]
    bad = 0
    oh = 0
    while oh < out[0]:
        tall, r0, r1 = stretch(oh, out[0], height, kernel[0], stride[0], padding[0], dilation[0])
        ow = 0
        while ow < out[1]:
            broad, s0, s1 = stretch(
                ow, out[1], width, kernel[1], stride[1], padding[1], dilation[1]
            )
            code = numbers(oh, ow, r0, s0, kernel, stride, padding, dilation, width, window)
            across = last - first, tall, broad
            taps = r1 - r0, s1 - s0
            bad += bad_in_rectangle(flat, oh * out[1] + ow, size, out[1], across, taps, code)
            ow += broad
        oh += tall
    return bad


@jit.exact
def bad_in_rectangle(indices, corner, size, out_width, across, taps, code):
    """Count them where all windows see the same taps, numbered as `register.numbers` says."""
    bad = 0
    for plane in range(across[0]):
        for oh in range(across[1]):
            at = plane * size + corner + oh * out_width
            for ow in range(across[2]):
                ahead = (
                    np.int64(indices[np.uint64(at + ow)]) - code[0] - oh * code[1] - ow * code[2]
                )
                good = False
                for r in range(taps[0]):
                    rest = ahead - r * code[3]
                    if code[4] == 1:
                        good |= (rest >= 0) & (rest < taps[1])
                    else:
                        for s in range(taps[1]):
                            good |= rest == s * code[4]
                bad += not good
    return bad


@jit.exact
def first_bad(indices, kernel, stride, padding, dilation, height, width, window):
    """Flat position of the first index that is no tap of its window; −1 if none."""
    for n in range(indices.shape[0]):
        for c in range(indices.shape[1]):
            plane = indices[n, c]
            position = naive.first_bad_index(
                plane, kernel, stride, padding, dilation, height, width, window
            )
            if position >= 0:
                return (n * indices.shape[1] + c) * plane.size + position
    return -1
