"""Rung 3: the winner stays in registers.

`rows` takes one tap for a whole row of outputs, so each output, and its winner's number, is read and
written once for every tap. Here a window is walked to its end with both in registers, and written once.
No tap is tested: a plane of outputs is cut into rectangles whose windows all see the same taps (one in
the middle, the rest a row or a column wide along the edges), and the loops run over those that exist.
Where the window is 2×2 or 3×3 its extents are constants to the compiler, which unrolls the walk and
compares along vectors of windows.

A tiny plane is all overhead: passing arrays to a function costs 50 ns, a digit's 4×4 outputs not half
of that. So one call serves a block of planes, rectangle by rectangle.

Measured on a Zen 5, float32, one core, with one-byte indices, against `parallel` (whose loop is that of
`rows`): 64×32×8×8, 2×2 stride 2: 0.039 ms, 37 times as fast; 8×64×112×112, 3×3 stride 2: 7.2 ms, 6 times;
8×192×28×28, 3×3 stride 1: 4.4 ms, 8 times; without indices 2 to 6 times on the larger two. Windows
beyond 3×3 at stride 1 lose by up to three times where rows are long: there `parallel` is chosen.
The gradient, whose one pass is that of `rows`, gains by the blocks alone: 64×32×8×8 2.5 times, 64×64×4×4
6 times with one-byte indices, nothing from 28×28 on.
"""

import numpy as np
from numba import prange

from kernels.core import jit
from kernels.core.windows import interval, taps_below

BLOCK = 1 << 12  # outputs for one call, or one plane where it has more


@jit.parallel
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y):
    """Fill y, and indices unless it is empty, blocks of planes over threads."""
    planes = y.shape[0] * y.shape[1]
    block = max(1, BLOCK // (y.shape[2] * y.shape[3]))
    for piece in prange((planes + block - 1) // block):
        first = np.int64(piece) * block
        last = min(first + block, planes)
        max_block(x, first, last, kernel, stride, padding, dilation, indices, window, y)


@jit.exact
def max_block(x, first, last, kernel, stride, padding, dilation, indices, window, y):
    """Fill the planes [first, last) of y, and of indices unless it is empty."""
    height, width, out = x.shape[2], x.shape[3], y.shape[2:]
    size = height * width, out[0] * out[1]
    xs = x.reshape(x.size)[first * size[0] : last * size[0]]
    ys = y.reshape(y.size)[first * size[1] : last * size[1]]
    kept = indices.reshape(indices.size)[first * size[1] : last * size[1]]
    dense = dilation[0] == 1 and dilation[1] == 1
    oh = 0
    while oh < out[0]:
        tall, r0, r1 = stretch(oh, out[0], height, kernel[0], stride[0], padding[0], dilation[0])
        ow = 0
        while ow < out[1]:
            broad, s0, s1 = stretch(
                ow, out[1], width, kernel[1], stride[1], padding[1], dilation[1]
            )
            top = oh * stride[0] - padding[0] + r0 * dilation[0]
            left = ow * stride[1] - padding[1] + s0 * dilation[1]
            corner = top * width + left, oh * out[1] + ow
            code = numbers(oh, ow, r0, s0, kernel, stride, padding, dilation, width, window)
            across = last - first, tall, broad
            taps = r1 - r0, s1 - s0
            if dense and taps == (2, 2) and stride == (2, 2):
                rectangle(
                    xs, corner, width, size, out[1], across, (2, 2), (2, 2), (1, 1), code, kept, ys
                )
            elif dense and taps == (3, 3) and stride == (2, 2):
                rectangle(
                    xs, corner, width, size, out[1], across, (3, 3), (2, 2), (1, 1), code, kept, ys
                )
            elif dense and taps == (3, 3) and stride == (1, 1):
                rectangle(
                    xs, corner, width, size, out[1], across, (3, 3), (1, 1), (1, 1), code, kept, ys
                )
            else:
                rectangle(
                    xs, corner, width, size, out[1], across, taps, stride, dilation, code, kept, ys
                )
            ow += broad
        oh += tall


@jit.exact
def stretch(o, outputs, inputs, taps, stride, padding, dilation):
    """Count the outputs from o on that see the same taps [first, last), and return those."""
    start = o * stride - padding
    first = taps_below(start, dilation, taps, 0)
    last = taps_below(start, dilation, taps, inputs)
    if first > 0 or last < taps:
        return 1, first, last
    _, high = interval(outputs, inputs, stride, (taps - 1) * dilation - padding)
    return high - o, first, last


@jit.exact
def numbers(oh, ow, r0, s0, kernel, stride, padding, dilation, width, window):
    """Number tap (r0, s0) of window (oh, ow); then, by how much numbers grow from row to row and from
    column to column of windows, and of taps.
    """
    if window:
        return r0 * kernel[1] + s0, 0, 0, kernel[1], 1
    top = oh * stride[0] - padding[0] + r0 * dilation[0]
    left = ow * stride[1] - padding[1] + s0 * dilation[1]
    return top * width + left, stride[0] * width, stride[1], dilation[0] * width, dilation[1]


@jit.inlined
def rectangle(
    xs, corner, width, size, out_width, across, taps, stride, dilation, code, indices, ys
):
    """Fill one rectangle of every plane, of windows that see the same taps.

    `corner` is where it starts in a plane of x and in one of y; `code` is what `numbers` says of it.

    Value and number are chosen, not branched to: which of two values is larger cannot be guessed, and a
    wrong guess costs more than the whole comparison. Positions are unsigned, lest each be tested for
    counting from the end.
    """
    keep = indices.size > 0
    for plane in range(across[0]):
        for oh in range(across[1]):
            at = plane * size[0] + corner[0] + oh * stride[0] * width
            to = plane * size[1] + corner[1] + oh * out_width
            row = code[0] + oh * code[1]
            if keep:
                for ow in range(across[2]):
                    start, number = at + ow * stride[1], row + ow * code[2]
                    best, won = xs[np.uint64(start)], number
                    for r in range(taps[0]):
                        for s in range(taps[1]):
                            value = xs[np.uint64(start + r * dilation[0] * width + s * dilation[1])]
                            better = value > best or value != value
                            best = value if better else best
                            won = number + r * code[3] + s * code[4] if better else won
                    ys[np.uint64(to + ow)] = best
                    indices[np.uint64(to + ow)] = won
            else:
                for ow in range(across[2]):
                    start = at + ow * stride[1]
                    best = xs[np.uint64(start)]
                    for r in range(taps[0]):
                        for s in range(taps[1]):
                            value = xs[np.uint64(start + r * dilation[0] * width + s * dilation[1])]
                            better = value > best or value != value
                            best = value if better else best
                    ys[np.uint64(to + ow)] = best


@jit.parallel
def max_dx(dy, indices, kernel, stride, padding, dilation, window, dx):
    """Fill dx, blocks of planes over threads."""
    planes = dx.shape[0] * dx.shape[1]
    block = max(1, BLOCK // (dx.shape[2] * dx.shape[3]))
    for piece in prange((planes + block - 1) // block):
        first = np.int64(piece) * block
        last = min(first + block, planes)
        max_dx_block(dy, indices, first, last, kernel, stride, padding, dilation, window, dx)


@jit.exact
def max_dx_block(dy, indices, first, last, kernel, stride, padding, dilation, window, dx):
    """Fill the planes [first, last) of dx, as `rows.max_dx_plane` does one."""
    out, width = dy.shape[2:], dx.shape[3]
    size, out_size = dx.shape[2] * width, out[0] * out[1]
    flat = dx.reshape(dx.size)[first * size : last * size]
    dys = dy.reshape(dy.size)[first * out_size : last * out_size]
    won = indices.reshape(indices.size)[first * out_size : last * out_size]
    flat[:] = 0
    at = 0
    for plane in range(last - first):
        for oh in range(out[0]):
            row = plane * size + (oh * stride[0] - padding[0]) * width - padding[1]
            for ow in range(out[1]):
                index = np.int64(won[at])
                if window:
                    r = np.int32(index) // np.int32(kernel[1])  # half as long as in 64 bits
                    s = index - r * kernel[1]
                    index = row + ow * stride[1] + r * dilation[0] * width + s * dilation[1]
                else:
                    index += plane * size
                flat[np.uint64(index)] += dys[at]
                at += 1
