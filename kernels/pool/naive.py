"""Rung 0: the formulas, one window at a time.

    max: y[n, c, oh, ow] = max over the taps (r, s) of x[n, c, oh·stride + r·dilation − pad, …]
    avg: y[n, c, oh, ow] = Σ of the same taps / how many count

x (N, C, H, W), y (N, C, OH, OW); R·S comparisons or additions a window, and each array moved once at
the least. Taps on padding take no part in a maximum and add nothing to a sum. The first of equal
values wins; a NaN beats every number, and a later NaN an earlier one, as in PyTorch.

    root: y[n, c, oh, ow] = (R·S / how many count · Σ of the same taps' pth powers)^(1/p)

The gradients gather: an input asks each window that it lies in whether it won there, or for its share
of the mean, so no two threads ever write one address.
"""

import numpy as np

from kernels.core import jit
from kernels.core.windows import taps_below, taps_inside


@jit.exact
def winner_point(x, n, c, oh, ow, kernel, stride, padding, dilation):
    """Return the largest value under a window and the tap r·S + s that holds it."""
    best = x.dtype.type(0)
    tap = -1
    for r in range(kernel[0]):
        ih = oh * stride[0] - padding[0] + r * dilation[0]
        for s in range(kernel[1]):
            iw = ow * stride[1] - padding[1] + s * dilation[1]
            if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                value = x[n, c, ih, iw]
                if tap < 0 or value > best or value != value:
                    best = value
                    tap = r * kernel[1] + s
    return best, tap


@jit.exact
def code(tap, oh, ow, kernel, stride, padding, dilation, width, window):
    """Write a tap as an index: inside the window, or flat within the plane."""
    if window:
        return tap
    ih = oh * stride[0] - padding[0] + tap // kernel[1] * dilation[0]
    iw = ow * stride[1] - padding[1] + tap % kernel[1] * dilation[1]
    return ih * width + iw


@jit.exact
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y):
    """Fill y, and indices unless it is empty."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            for oh in range(y.shape[2]):
                for ow in range(y.shape[3]):
                    best, tap = winner_point(x, n, c, oh, ow, kernel, stride, padding, dilation)
                    y[n, c, oh, ow] = best
                    if indices.size:
                        indices[n, c, oh, ow] = code(
                            tap, oh, ow, kernel, stride, padding, dilation, x.shape[3], window
                        )


@jit.exact
def max_dx_point(dy, indices, n, c, ih, iw, kernel, stride, padding, dilation, width, window):
    """Σ dy over the windows that x[n, c, ih, iw] won."""
    total = dy.dtype.type(0)
    for r in range(kernel[0]):
        up = ih + padding[0] - r * dilation[0]
        for s in range(kernel[1]):
            across = iw + padding[1] - s * dilation[1]
            if up >= 0 and across >= 0 and up % stride[0] == 0 and across % stride[1] == 0:
                oh, ow = up // stride[0], across // stride[1]
                if oh < dy.shape[2] and ow < dy.shape[3]:
                    mine = r * kernel[1] + s if window else ih * width + iw
                    if indices[n, c, oh, ow] == mine:
                        total += dy[n, c, oh, ow]
    return total


@jit.exact
def max_dx(dy, indices, kernel, stride, padding, dilation, window, lost, dx):
    """Fill dx, one input at a time, and lost (N, C): how many indices are no tap of their windows."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            plane = indices[n, c]
            lost[n, c] = count_bad(
                plane, kernel, stride, padding, dilation, dx.shape[2], dx.shape[3], window
            )
            for ih in range(dx.shape[2]):
                for iw in range(dx.shape[3]):
                    dx[n, c, ih, iw] = max_dx_point(
                        dy, indices, n, c, ih, iw,
                        kernel, stride, padding, dilation, dx.shape[3], window,
                    )  # fmt: skip


@jit.exact
def divisor(o, axis, kernel, stride, padding, dilation, size, limits, include):
    """Taps along one axis that count in the mean of window o."""
    start = o * stride[axis] - padding[axis]
    if include:
        return taps_below(start, dilation[axis], kernel[axis], limits[axis])
    return taps_inside(start, dilation[axis], kernel[axis], size)


@jit.fast
def avg_pool2d(x, kernel, stride, padding, dilation, limits, include, y):
    """Fill y, one window at a time; the padded input ends at `limits`."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            for oh in range(y.shape[2]):
                high = divisor(
                    oh, 0, kernel, stride, padding, dilation, x.shape[2], limits, include
                )
                for ow in range(y.shape[3]):
                    wide = divisor(
                        ow, 1, kernel, stride, padding, dilation, x.shape[3], limits, include
                    )
                    total = x.dtype.type(0)
                    for r in range(kernel[0]):
                        ih = oh * stride[0] - padding[0] + r * dilation[0]
                        for s in range(kernel[1]):
                            iw = ow * stride[1] - padding[1] + s * dilation[1]
                            if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                                total += x[n, c, ih, iw]
                    y[n, c, oh, ow] = total / x.dtype.type(high * wide)


@jit.fast
def avg_dx_point(dy, n, c, ih, iw, size, kernel, stride, padding, dilation, limits, include):
    """Σ dy / divisor over the windows that hold x[n, c, ih, iw]."""
    total = dy.dtype.type(0)
    for r in range(kernel[0]):
        up = ih + padding[0] - r * dilation[0]
        for s in range(kernel[1]):
            across = iw + padding[1] - s * dilation[1]
            if up >= 0 and across >= 0 and up % stride[0] == 0 and across % stride[1] == 0:
                oh, ow = up // stride[0], across // stride[1]
                if oh < dy.shape[2] and ow < dy.shape[3]:
                    high = divisor(
                        oh, 0, kernel, stride, padding, dilation, size[0], limits, include
                    )
                    wide = divisor(
                        ow, 1, kernel, stride, padding, dilation, size[1], limits, include
                    )
                    total += dy[n, c, oh, ow] / dy.dtype.type(high * wide)
    return total


@jit.fast
def avg_dx(dy, kernel, stride, padding, dilation, limits, include, dx):
    """Fill dx, one input at a time."""
    size = (dx.shape[2], dx.shape[3])
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for ih in range(dx.shape[2]):
                for iw in range(dx.shape[3]):
                    dx[n, c, ih, iw] = avg_dx_point(
                        dy, n, c, ih, iw, size,
                        kernel, stride, padding, dilation, limits, include,
                    )  # fmt: skip


@jit.exact
def is_tap(index, oh, ow, kernel, stride, padding, dilation, height, width, window):
    """Whether an index names a tap of the window of output (oh, ow), inside the plane."""
    top, left = oh * stride[0] - padding[0], ow * stride[1] - padding[1]
    if window:
        r = index // kernel[1]
        ih, iw = top + r * dilation[0], left + (index - r * kernel[1]) * dilation[1]
        return index >= 0 and r < kernel[0] and 0 <= ih < height and 0 <= iw < width
    ih = index // width
    down, across = ih - top, index - ih * width - left
    if index < 0 or ih >= height or down < 0 or across < 0:
        return False
    if dilation[0] > 1 or dilation[1] > 1:
        if down % dilation[0] or across % dilation[1]:
            return False
        down, across = down // dilation[0], across // dilation[1]
    return down < kernel[0] and across < kernel[1]


@jit.exact
def count_bad(plane, kernel, stride, padding, dilation, height, width, window):
    """Count the indices of a plane that are no tap of their windows."""
    bad = 0
    for oh in range(plane.shape[0]):
        for ow in range(plane.shape[1]):
            index = np.int64(plane[oh, ow])
            bad += not is_tap(
                index, oh, ow, kernel, stride, padding, dilation, height, width, window
            )
    return bad


@jit.exact
def first_bad(indices, kernel, stride, padding, dilation, height, width, window):
    """Return where the first index is that is no tap of its window: (n, c, oh, ow)."""
    for n in range(indices.shape[0]):
        for c in range(indices.shape[1]):
            for oh in range(indices.shape[2]):
                for ow in range(indices.shape[3]):
                    index = np.int64(indices[n, c, oh, ow])
                    if not is_tap(
                        index, oh, ow, kernel, stride, padding, dilation, height, width, window
                    ):
                        return n, c, oh, ow
    return -1, -1, -1, -1


@jit.exact
def lp_pool2d(x, kernel, stride, padding, dilation, limits, p, y):
    """Fill y with roots: (R·S times the mean of xᵖ)^(1/p), one window at a time."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            for oh in range(y.shape[2]):
                high = divisor(oh, 0, kernel, stride, padding, dilation, x.shape[2], limits, True)
                for ow in range(y.shape[3]):
                    wide = divisor(
                        ow, 1, kernel, stride, padding, dilation, x.shape[3], limits, True
                    )
                    total = x.dtype.type(0)
                    for r in range(kernel[0]):
                        ih = oh * stride[0] - padding[0] + r * dilation[0]
                        for s in range(kernel[1]):
                            iw = ow * stride[1] - padding[1] + s * dilation[1]
                            if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                                total += x[n, c, ih, iw] ** p
                    scale = kernel[0] * kernel[1] / (high * wide)
                    y[n, c, oh, ow] = (total * scale) ** (1 / p)


@jit.exact
def lp_dx(dy, x, y, kernel, stride, padding, dilation, limits, p, dx):
    """Fill dx: Σ dy · y^(1 − p) over the windows that hold an input, times its x^(p − 1)."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for ih in range(dx.shape[2]):
                for iw in range(dx.shape[3]):
                    total = 0.0
                    for r in range(kernel[0]):
                        up = ih + padding[0] - r * dilation[0]
                        for s in range(kernel[1]):
                            across = iw + padding[1] - s * dilation[1]
                            if up < 0 or across < 0 or up % stride[0] or across % stride[1]:
                                continue
                            oh, ow = up // stride[0], across // stride[1]
                            if oh < dy.shape[2] and ow < dy.shape[3] and y[n, c, oh, ow] != 0:
                                total += lp_share(
                                    dy, y, n, c, oh, ow, kernel, stride, padding, dilation,
                                    dx.shape, limits, p,
                                )  # fmt: skip
                    dx[n, c, ih, iw] = total * x[n, c, ih, iw] ** (p - 1)


@jit.exact
def lp_share(dy, y, n, c, oh, ow, kernel, stride, padding, dilation, shape, limits, p):
    """dy · y^(1 − p) of one window, scaled as its root is."""
    high = divisor(oh, 0, kernel, stride, padding, dilation, shape[2], limits, True)
    wide = divisor(ow, 1, kernel, stride, padding, dilation, shape[3], limits, True)
    scale = kernel[0] * kernel[1] / (high * wide)
    return scale * dy[n, c, oh, ow] * np.float64(y[n, c, oh, ow]) ** (1 - p)
