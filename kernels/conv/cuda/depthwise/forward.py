"""y of a channel a group: a thread sums a strip of one column of y."""

import functools

import numpy as np

from kernels.conv.cuda.depthwise.strip import MOST_TAPS, THREADS, batches, length
from kernels.conv.cuda.indices import split, within
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import flat, read_where


def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y: a filter of up to 49 taps is held in registers as a whole, a larger one a few rows at a time."""
    n, k, oh, ow = y.shape
    r, s = w.shape[2:]
    whole = r * s <= MOST_TAPS
    if not whole:
        r, s = max(part for part in range(1, 8) if r % part == 0), min(s, 7)
    rows = length(n * k, oh, ow, r * s)
    strips(rows, r, s, stride[0], *dilation, whole)(
        x, w, b, stride, padding, dilation, groups, relu, y
    )


@functools.cache
def strips(ROWS, R, S, STRIDE, DILATION, ACROSS, WHOLE):
    """Make the kernel for strips of ROWS outputs, R × S taps at a time and these steps between rows and taps."""

    def load(I, SLOT):
        @inlined
        def load_row(x, start, top, H, W, inside, taps, held, sums):
            there = within(top + I, H)
            for s in range(S):
                held[SLOT, s] = read_where(x, start + I * W + s * ACROSS, there & inside[s])

        return load_row

    def add(I, SLOT):
        @inlined
        def add_row(x, start, top, H, W, inside, taps, held, sums):
            if within(top + I, H):  # zero times a tap that is NaN would not be zero
                for r in range(R):
                    j = (I - r * DILATION) // STRIDE
                    if 0 <= j < ROWS and j * STRIDE == I - r * DILATION:
                        for s in range(S):
                            sums[j] += held[SLOT, s] * taps[r, s]

        return add_row

    rows = sorted({j * STRIDE + r * DILATION for j in range(ROWS) for r in range(R)})
    walk, HELD = batches(load, add, rows, S)

    def blocks(x, w, b, stride, padding, dilation, groups, relu, y):
        n, k, oh, ow = y.shape
        return (-(-n * k * -(-oh // ROWS) * ow // THREADS), 1, 1)

    @kernel(THREADS, blocks)
    def depthwise(x, w, b, stride, padding, dilation, groups, relu, y):
        sums = cuda.local.array(ROWS, x.dtype)
        taps = cuda.local.array((R, S), x.dtype)
        held = cuda.local.array((HELD, S), x.dtype)
        inside = cuda.local.array(S, np.bool_)
        xs, ws, ys = flat(x), flat(w), flat(y)
        C, H, W = x.shape[1:]
        K, OH, OW = y.shape[1:]
        height, width = w.shape[2:]
        plane, place = split(cuda.grid(1), (OH + ROWS - 1) // ROWS * OW)
        if plane >= y.shape[0] * K:
            return
        n, k = split(plane, K)
        at, ow = split(place, OW)
        c = k if K == C else split(k, split(K, C)[0])[0]
        oh = at * ROWS
        top, left = oh * STRIDE - padding[0], ow * stride[1] - padding[1]
        start = ((n * C + c) * H + top) * W + left
        for j in range(ROWS):
            sums[j] = b[np.uint64(k)]
        for r0 in range(0, R if WHOLE else height, R):
            for s0 in range(0, S if WHOLE else width, S):
                for s in range(S):
                    there = WHOLE or s0 + s < width
                    inside[s] = there and within(left + (s0 + s) * ACROSS, W)
                    for r in range(R):  # in a column outside of x both factors are zeros
                        at = (k * height + r0 + r) * width + s0 + s
                        taps[r, s] = read_where(ws, at, inside[s])
                base = start + r0 * DILATION * W + s0 * ACROSS
                walk(xs, base, top + r0 * DILATION, H, W, inside, taps, held, sums)
        end = (plane * OH + oh) * OW + ow
        for j in range(ROWS):
            if oh + j < OH:
                value = sums[j]
                ys[np.uint64(end + j * OW)] = y.dtype.type(0) if relu and value < 0 else value

    return depthwise
