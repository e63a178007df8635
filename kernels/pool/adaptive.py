"""Adaptive pooling: windows of any fraction of the plane.

    window oh: rows ⌊oh·H / OH⌋ … ⌈(oh + 1)·H / OH⌉ − 1, and columns likewise
    max: y = the largest of the window's x          avg: y = their mean

x (N, C, H, W), y (N, C, OH, OW). Windows overlap where OH does not divide H. The input is read once at the
least, the gradients write it once. An output of 1 × 1 is global pooling.

The gradients gather: input ih lies under the windows ⌊ih·OH / H⌋ … ⌈(ih + 1)·OH / H⌉ − 1. The largest wins as
in `naive`: the first of equal values, the last NaN.

Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition", 2014,
section 2.2; PyTorch's start and end of each window.
"""

import numpy as np

from kernels.core import jit


@jit.inlined
def bounds(o, inputs, outputs):
    """First input under window o, and the first after it."""
    return o * inputs // outputs, ((o + 1) * inputs + outputs - 1) // outputs


@jit.exact
def tabulate(inputs, outputs, firsts, lasts):
    """List `bounds` of every window: divisions take longer than a small window's additions."""
    for o in range(outputs):
        firsts[o], lasts[o] = bounds(o, inputs, outputs)


@jit.inlined
def within(index, width, top, bottom, left, right):
    """Whether a flat index lies in a rectangle of its plane: a look at each row, where a division is longer."""
    found = False
    for ih in range(top, bottom):
        found |= ih * width + left <= index < ih * width + right
    return found


@jit.exact
def avg_pool2d(x, y):
    """Fill y, one window at a time."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            for oh in range(y.shape[2]):
                top, bottom = bounds(oh, x.shape[2], y.shape[2])
                for ow in range(y.shape[3]):
                    left, right = bounds(ow, x.shape[3], y.shape[3])
                    total = 0.0
                    for ih in range(top, bottom):
                        for iw in range(left, right):
                            total += x[n, c, ih, iw]
                    y[n, c, oh, ow] = total / ((bottom - top) * (right - left))


@jit.exact
def avg_dx(dy, dx):
    """Fill dx, one input at a time."""
    out, size = dy.shape[2:], dx.shape[2:]
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for ih in range(size[0]):
                first, last = bounds(ih, out[0], size[0])
                for iw in range(size[1]):
                    low, high = bounds(iw, out[1], size[1])
                    total = 0.0
                    for oh in range(first, last):
                        top, bottom = bounds(oh, size[0], out[0])
                        for ow in range(low, high):
                            left, right = bounds(ow, size[1], out[1])
                            total += dy[n, c, oh, ow] / ((bottom - top) * (right - left))
                    dx[n, c, ih, iw] = total


@jit.exact
def max_pool2d(x, indices, y):
    """Fill y, and indices (flat within the plane) unless it is empty, one window at a time."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            for oh in range(y.shape[2]):
                top, bottom = bounds(oh, x.shape[2], y.shape[2])
                for ow in range(y.shape[3]):
                    left, right = bounds(ow, x.shape[3], y.shape[3])
                    best, won = x[n, c, top, left], top * x.shape[3] + left
                    for ih in range(top, bottom):
                        for iw in range(left, right):
                            value = x[n, c, ih, iw]
                            if value > best or value != value:
                                best, won = value, ih * x.shape[3] + iw
                    y[n, c, oh, ow] = best
                    if indices.size:
                        indices[n, c, oh, ow] = won


@jit.exact
def max_dx(dy, indices, dx):
    """Fill dx, one input at a time; an index outside its window moves nothing."""
    out, size = dy.shape[2:], dx.shape[2:]
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for ih in range(size[0]):
                first, last = bounds(ih, out[0], size[0])
                for iw in range(size[1]):
                    low, high = bounds(iw, out[1], size[1])
                    total = dx.dtype.type(0)
                    for oh in range(first, last):
                        for ow in range(low, high):
                            if indices[n, c, oh, ow] == ih * size[1] + iw:
                                total += dy[n, c, oh, ow]
                    dx[n, c, ih, iw] = total


@jit.exact
def first_outside(indices, height, width):
    """Return where the first index is that lies outside its window: (n, c, oh, ow); −1s if none does."""
    out = indices.shape[2:]
    lefts, rights = np.empty(out[1], np.int64), np.empty(out[1], np.int64)
    tabulate(width, out[1], lefts, rights)
    for n in range(indices.shape[0]):
        for c in range(indices.shape[1]):
            for oh in range(out[0]):
                top, bottom = bounds(oh, height, out[0])
                for ow in range(out[1]):
                    index = indices[n, c, oh, ow]
                    if not within(index, width, top, bottom, lefts[ow], rights[ow]):
                        return n, c, oh, ow
    return -1, -1, -1, -1
