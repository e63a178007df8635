"""Rung 1: rows before windows.

`naive` walks a small window for every output and asks of each tap whether it exists. A maximum of maxima is
a maximum, a sum of sums a sum: so here the rows of x under a row of windows are folded first, down into one
row, along memory; then that row is folded across, one tap for all outputs at a time, those for which it
exists being an interval found by arithmetic. R + S passes over a row instead of R·S, and none of them tests.
The gradients run the same way back: rows of dy added up, then spread along the row. Where winners are kept,
and where their gradient is handed back, the taps are taken one by one: the order decides between equals.

Measured on a Zen 4, float32: in the README's table.
"""

import numpy as np

from kernels.core import jit
from kernels.core.windows import interval
from kernels.pool.naive import divisor, lp_share


@jit.exact
def max_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y):
    """Fill y[n, c], and indices[n, c] unless it is empty."""
    if indices.size:
        winners_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y)
        return
    column = np.empty(x.shape[3], x.dtype)
    for oh in range(y.shape[2]):
        y_row = y[n, c, oh]
        top = oh * stride[0] - padding[0]
        r0 = first_tap(top, dilation[0])  # the first row of taps that exists
        column[:] = x[n, c, top + r0 * dilation[0]]
        for r in range(r0 + 1, kernel[0]):
            ih = top + r * dilation[0]
            if ih >= x.shape[2]:
                break
            keep_largest(x[n, c, ih], 0, 1, column)
        for ow in range(y_row.shape[0]):
            left = ow * stride[1] - padding[1]
            y_row[ow] = column[left + first_tap(left, dilation[1]) * dilation[1]]
        for s in range(kernel[1]):
            offset = s * dilation[1] - padding[1]
            low, high = interval(y_row.shape[0], x.shape[3], stride[1], offset)
            keep_largest(column, low * stride[1] + offset, stride[1], y_row[low:high])


@jit.exact
def winners_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y):
    """Fill y[n, c] and indices[n, c]: a tap at a time, so that the first of equal values wins."""
    width = x.shape[3]
    for oh in range(y.shape[2]):
        y_row, index_row = y[n, c, oh], indices[n, c, oh]
        top = oh * stride[0] - padding[0]
        r0 = first_tap(top, dilation[0])
        for ow in range(y_row.shape[0]):
            left = ow * stride[1] - padding[1]
            s0 = first_tap(left, dilation[1])
            ih, iw = top + r0 * dilation[0], left + s0 * dilation[1]
            y_row[ow] = x[n, c, ih, iw]
            index_row[ow] = r0 * kernel[1] + s0 if window else ih * width + iw
        for r in range(r0, kernel[0]):
            ih = top + r * dilation[0]
            if ih >= x.shape[2]:
                break
            for s in range(kernel[1]):
                offset = s * dilation[1] - padding[1]
                low, high = interval(y_row.shape[0], width, stride[1], offset)
                start = low * stride[1] + offset
                base = r * kernel[1] + s if window else ih * width + start
                keep_index(
                    x[n, c, ih], start, stride[1], y_row[low:high], index_row[low:high], base,
                    0 if window else stride[1],
                )  # fmt: skip


@jit.exact
def keep_largest(x_row, start, stride, y_row):
    """y_row[o] = max(y_row[o], x_row[start + o·stride]), NaN winning."""
    if stride == 1:
        xs = x_row[start : start + y_row.shape[0]]
        for o in range(y_row.shape[0]):
            value = xs[o]
            y_row[o] = value if value > y_row[o] or value != value else y_row[o]
    else:
        for o in range(y_row.shape[0]):
            value = x_row[start + o * stride]
            y_row[o] = value if value > y_row[o] or value != value else y_row[o]


@jit.exact
def keep_index(x_row, start, stride, y_row, index_row, base, step):
    """As `keep_largest`; the winner at o is numbered base + o·step.

    Both are chosen, not branched to: which of two values is larger cannot be guessed, and a wrong guess
    costs more than the whole comparison.
    """
    for o in range(y_row.shape[0]):
        value = x_row[start + o * stride]
        better = value > y_row[o] or value != value
        y_row[o] = value if better else y_row[o]
        index_row[o] = base + o * step if better else np.int64(index_row[o])


@jit.exact
def first_tap(start, dilation):
    """Number of the first tap that lies at 0 or beyond."""
    return 0 if start >= 0 else (-start + dilation - 1) // dilation


@jit.exact
def max_dx_plane(dy, indices, n, c, kernel, stride, padding, dilation, window, dx):
    """Fill dx[n, c], tap by tap along the rows; return how many indices no tap of their windows bears."""
    plane = dx[n, c]
    height, width = plane.shape
    for ih in range(height):
        row = plane[ih]
        for iw in range(width):
            row[iw] = 0
    found = 0
    for oh in range(dy.shape[2]):
        for r in range(kernel[0]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            if ih < 0 or ih >= height:
                continue
            for s in range(kernel[1]):
                offset = s * dilation[1] - padding[1]
                low, high = interval(dy.shape[3], width, stride[1], offset)
                first = low * stride[1] + offset
                number = r * kernel[1] + s if window else ih * width + first
                found += hand_back(
                    dy[n, c, oh][low:high], indices[n, c, oh][low:high], number,
                    0 if window else stride[1], plane[ih], first, stride[1],
                )  # fmt: skip
    return dy.shape[2] * dy.shape[3] - found


@jit.exact
def hand_back(dy_row, index_row, number, step, row, first, stride):
    """Add dy to the inputs that won; count them."""
    found = 0
    for o in range(dy_row.shape[0]):
        mine = np.int64(index_row[o]) == number + o * step
        row[first + o * stride] += dy_row[o] if mine else row.dtype.type(0)
        found += mine
    return found


@jit.fast
def avg_plane(x, n, c, kernel, stride, padding, dilation, limits, include, y):
    """Fill y[n, c]."""
    width = x.shape[3]
    column, shares = np.empty(width, x.dtype), np.empty(y.shape[3], x.dtype)
    for ow in range(y.shape[3]):
        taps = divisor(ow, 1, kernel, stride, padding, dilation, width, limits, include)
        shares[ow] = 1 / taps
    for oh in range(y.shape[2]):
        y_row = y[n, c, oh]
        column[:] = 0
        for r in range(kernel[0]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            if 0 <= ih < x.shape[2]:
                add_row(x[n, c, ih], 0, 1, column)
        y_row[:] = 0
        for s in range(kernel[1]):
            offset = s * dilation[1] - padding[1]
            low, high = interval(y_row.shape[0], width, stride[1], offset)
            add_row(column, low * stride[1] + offset, stride[1], y_row[low:high])
        high_taps = divisor(oh, 0, kernel, stride, padding, dilation, x.shape[2], limits, include)
        for ow in range(y_row.shape[0]):
            y_row[ow] *= shares[ow] / x.dtype.type(high_taps)


@jit.fast
def add_row(x_row, start, stride, y_row):
    """y_row[o] += x_row[start + o·stride]."""
    if stride == 1:
        xs = x_row[start : start + y_row.shape[0]]
        for o in range(y_row.shape[0]):
            y_row[o] += xs[o]
    else:
        for o in range(y_row.shape[0]):
            y_row[o] += x_row[start + o * stride]


@jit.fast
def avg_dx_plane(dy, n, c, kernel, stride, padding, dilation, limits, include, dx):
    """Fill dx[n, c]: the rows of dy whose windows hold a row added up, then spread along it."""
    height, width = dx.shape[2], dx.shape[3]
    column, shares = np.empty(dy.shape[3], dy.dtype), np.empty(dy.shape[3], dy.dtype)
    for ow in range(dy.shape[3]):
        taps = divisor(ow, 1, kernel, stride, padding, dilation, width, limits, include)
        shares[ow] = 1 / taps
    for ih in range(height):
        row = dx[n, c, ih]
        row[:] = 0
        column[:] = 0
        for r in range(kernel[0]):
            up = ih + padding[0] - r * dilation[0]
            oh = up // stride[0]
            if up < 0 or oh * stride[0] != up or oh >= dy.shape[2]:
                continue
            taps = divisor(oh, 0, kernel, stride, padding, dilation, height, limits, include)
            share, dy_row = dy.dtype.type(1 / taps), dy[n, c, oh]
            for ow in range(column.shape[0]):
                column[ow] += dy_row[ow] * share
        for ow in range(column.shape[0]):
            column[ow] *= shares[ow]
        for s in range(kernel[1]):
            offset = s * dilation[1] - padding[1]
            low, high = interval(dy.shape[3], width, stride[1], offset)
            for ow in range(low, high):
                row[ow * stride[1] + offset] += column[ow]


@jit.exact
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y):
    """Fill y, and indices unless it is empty, plane by plane."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            max_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y)


@jit.exact
def max_dx(dy, indices, kernel, stride, padding, dilation, window, lost, dx):
    """Fill dx, plane by plane, and lost (N, C): how many indices are no tap of their windows."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            lost[n, c] = max_dx_plane(
                dy, indices, n, c, kernel, stride, padding, dilation, window, dx
            )


@jit.fast
def avg_pool2d(x, kernel, stride, padding, dilation, limits, include, y):
    """Fill y, plane by plane."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            avg_plane(x, n, c, kernel, stride, padding, dilation, limits, include, y)


@jit.fast
def avg_dx(dy, kernel, stride, padding, dilation, limits, include, dx):
    """Fill dx, plane by plane."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            avg_dx_plane(dy, n, c, kernel, stride, padding, dilation, limits, include, dx)


@jit.exact
def lp_plane(x, n, c, kernel, stride, padding, dilation, limits, p, y):
    """Fill y[n, c]: each x is raised to its power once a row of windows."""
    width = x.shape[3]
    column, scales = np.empty(width, np.float64), np.empty(y.shape[3], np.float64)
    total = np.empty(y.shape[3], np.float64)
    for ow in range(y.shape[3]):
        taps = divisor(ow, 1, kernel, stride, padding, dilation, width, limits, True)
        scales[ow] = kernel[0] * kernel[1] / taps
    for oh in range(y.shape[2]):
        column[:] = 0
        for r in range(kernel[0]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            if 0 <= ih < x.shape[2]:
                for iw in range(width):
                    column[iw] += np.float64(x[n, c, ih, iw]) ** p
        total[:] = 0
        for s in range(kernel[1]):
            offset = s * dilation[1] - padding[1]
            low, high = interval(total.shape[0], width, stride[1], offset)
            add_row(column, low * stride[1] + offset, stride[1], total[low:high])
        high_taps = divisor(oh, 0, kernel, stride, padding, dilation, x.shape[2], limits, True)
        for ow in range(total.shape[0]):
            y[n, c, oh, ow] = (total[ow] * (scales[ow] / high_taps)) ** (1 / p)


@jit.exact
def lp_dx_plane(dy, x, y, n, c, kernel, stride, padding, dilation, limits, p, dx):
    """Fill dx[n, c]: each window's share is worked out once, not once a tap."""
    plane, height, width = dx[n, c], dx.shape[2], dx.shape[3]
    plane[:] = 0
    share = np.empty(dy.shape[3], dx.dtype)
    for oh in range(dy.shape[2]):
        for ow in range(dy.shape[3]):
            share[ow] = 0
            if y[n, c, oh, ow] != 0:
                share[ow] = lp_share(
                    dy, y, n, c, oh, ow, kernel, stride, padding, dilation, dx.shape, limits, p
                )
        for r in range(kernel[0]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            if ih < 0 or ih >= height:
                continue
            for s in range(kernel[1]):
                offset = s * dilation[1] - padding[1]
                low, high = interval(dy.shape[3], width, stride[1], offset)
                for ow in range(low, high):
                    plane[ih, ow * stride[1] + offset] += share[ow]
    for ih in range(height):
        for iw in range(width):
            plane[ih, iw] *= x[n, c, ih, iw] ** (p - 1)


@jit.exact
def lp_pool2d(x, kernel, stride, padding, dilation, limits, p, y):
    """Fill y, plane by plane."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            lp_plane(x, n, c, kernel, stride, padding, dilation, limits, p, y)


@jit.exact
def lp_dx(dy, x, y, kernel, stride, padding, dilation, limits, p, dx):
    """Fill dx, plane by plane."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            lp_dx_plane(dy, x, y, n, c, kernel, stride, padding, dilation, limits, p, dx)
