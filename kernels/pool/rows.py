"""Rung 1: rows before windows.

`naive` walks a small window for every output and asks of each tap whether it exists. Here one tap is
taken for a whole row of outputs at a time: the outputs for which it exists are an interval found by
arithmetic, and over it the row of x is compared with (or added to) the row of y along memory.
"""

from kernels.core import jit
from kernels.core.windows import interval
from kernels.pool.naive import divisor, max_dx_point


@jit.exact
def max_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y):
    """Fill y[n, c], and indices[n, c] unless it is empty."""
    width = x.shape[3]
    for oh in range(y.shape[2]):
        y_row = y[n, c, oh]
        top = oh * stride[0] - padding[0]
        r0 = max(0, (-top + dilation[0] - 1) // dilation[0])  # the first row of taps that exists
        for ow in range(y_row.shape[0]):
            left = ow * stride[1] - padding[1]
            s0 = max(0, (-left + dilation[1] - 1) // dilation[1])
            first = (top + r0 * dilation[0]) * width + left + s0 * dilation[1]
            y_row[ow] = x[n, c, top + r0 * dilation[0], left + s0 * dilation[1]]
            if indices.size:
                indices[n, c, oh, ow] = r0 * kernel[1] + s0 if window else first
        for r in range(r0, kernel[0]):
            ih = top + r * dilation[0]
            if ih >= x.shape[2]:
                break
            for s in range(kernel[1]):
                offset = s * dilation[1] - padding[1]
                low, high = interval(y_row.shape[0], width, stride[1], offset)
                values = x[n, c, ih]
                start = low * stride[1] + offset
                if indices.size:
                    index_row = indices[n, c, oh][low:high]
                    base = r * kernel[1] + s if window else ih * width + start
                    step = 0 if window else stride[1]
                    keep_index(values, start, stride[1], y_row[low:high], index_row, base, step)
                else:
                    keep_largest(values, start, stride[1], y_row[low:high])


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
    """As `keep_largest`; the winner at o is numbered base + o·step."""
    for o in range(y_row.shape[0]):
        value = x_row[start + o * stride]
        if value > y_row[o] or value != value:
            y_row[o] = value
            index_row[o] = base + o * step


@jit.exact
def max_dx_plane(dy, indices, n, c, kernel, stride, padding, dilation, window, dx):
    """Fill dx[n, c]; where windows do not overlap, each input asks one of them only."""
    apart = (
        dilation[0] == 1 and dilation[1] == 1 and kernel[0] <= stride[0] and kernel[1] <= stride[1]
    )
    width = dx.shape[3]
    for ih in range(dx.shape[2]):
        row = dx[n, c, ih]
        if apart:
            oh = (ih + padding[0]) // stride[0]
            for iw in range(width):
                row[iw] = 0
            if oh < dy.shape[2]:
                r = ih + padding[0] - oh * stride[0]
                for iw in range(width):
                    ow = (iw + padding[1]) // stride[1]
                    s = iw + padding[1] - ow * stride[1]
                    if ow < dy.shape[3] and r < kernel[0] and s < kernel[1]:
                        mine = r * kernel[1] + s if window else ih * width + iw
                        if indices[n, c, oh, ow] == mine:
                            row[iw] = dy[n, c, oh, ow]
        else:
            for iw in range(width):
                row[iw] = max_dx_point(
                    dy, indices, n, c, ih, iw,
                    kernel, stride, padding, dilation, width, window,
                )  # fmt: skip


@jit.fast
def avg_plane(x, n, c, kernel, stride, padding, dilation, limits, include, y):
    """Fill y[n, c]."""
    for oh in range(y.shape[2]):
        y_row = y[n, c, oh]
        for ow in range(y_row.shape[0]):
            y_row[ow] = 0
        for r in range(kernel[0]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            if ih < 0 or ih >= x.shape[2]:
                continue
            for s in range(kernel[1]):
                offset = s * dilation[1] - padding[1]
                low, high = interval(y_row.shape[0], x.shape[3], stride[1], offset)
                add_row(x[n, c, ih], low * stride[1] + offset, stride[1], y_row[low:high])
        high_taps = divisor(oh, 0, kernel, stride, padding, dilation, x.shape[2], limits, include)
        for ow in range(y_row.shape[0]):
            wide = divisor(ow, 1, kernel, stride, padding, dilation, x.shape[3], limits, include)
            y_row[ow] /= x.dtype.type(high_taps * wide)


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
    """Fill dx[n, c]: for each of its rows, the rows of dy whose windows hold it."""
    height, width = dx.shape[2], dx.shape[3]
    for ih in range(height):
        row = dx[n, c, ih]
        for iw in range(width):
            row[iw] = 0
        for r in range(kernel[0]):
            up = ih + padding[0] - r * dilation[0]
            if up < 0 or up % stride[0] != 0 or up // stride[0] >= dy.shape[2]:
                continue
            oh = up // stride[0]
            high_taps = divisor(oh, 0, kernel, stride, padding, dilation, height, limits, include)
            for s in range(kernel[1]):
                offset = s * dilation[1] - padding[1]
                low, high = interval(dy.shape[3], width, stride[1], offset)
                for ow in range(low, high):
                    wide = divisor(ow, 1, kernel, stride, padding, dilation, width, limits, include)
                    share = dy[n, c, oh, ow] / dy.dtype.type(high_taps * wide)
                    row[ow * stride[1] + offset] += share


@jit.exact
def max_pool2d(x, kernel, stride, padding, dilation, indices, window, y):
    """Fill y, and indices unless it is empty, plane by plane."""
    for n in range(y.shape[0]):
        for c in range(y.shape[1]):
            max_plane(x, n, c, kernel, stride, padding, dilation, indices, window, y)


@jit.exact
def max_dx(dy, indices, kernel, stride, padding, dilation, window, dx):
    """Fill dx, plane by plane."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            max_dx_plane(dy, indices, n, c, kernel, stride, padding, dilation, window, dx)


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
