"""Rung 1: rows inside, taps outside.

`naive` asks of every tap whether it lies on padding, and its innermost loop (s) is three long. Here a
whole row of outputs is carried at once: for one tap (c, r, s) the outputs whose input exists are an
interval [low, high), found by arithmetic instead of a test an element, and over it

    y[n, k, oh, low:high] += w[k, c, r, s] · x[n, c, ih, …]

reads and writes along memory, so the compiler uses vectors. The gradients turn the same loop round:
dx adds rows of dy, dw is the dot product of a row of dy with a row of x.
"""

from kernels.core import jit
from kernels.core.windows import interval


@jit.fast
def y_plane(x, w, b, n, k, stride, padding, dilation, groups, relu, y):
    """Fill y[n, k]."""
    channels = w.shape[1]
    first = k // (w.shape[0] // groups) * channels
    plane = y[n, k]
    for oh in range(plane.shape[0]):
        y_row = plane[oh]
        for ow in range(y_row.shape[0]):
            y_row[ow] = b[k]
        for c in range(channels):
            for r in range(w.shape[2]):
                ih = oh * stride[0] - padding[0] + r * dilation[0]
                if ih < 0 or ih >= x.shape[2]:
                    continue
                x_row = x[n, first + c, ih]
                for s in range(w.shape[3]):
                    weight = w[k, c, r, s]
                    offset = s * dilation[1] - padding[1]
                    low, high = interval(y_row.shape[0], x_row.shape[0], stride[1], offset)
                    axpy(weight, x_row, stride[1], offset, low, high, y_row)
        if relu:
            for ow in range(y_row.shape[0]):
                y_row[ow] = y_row.dtype.type(0) if y_row[ow] < 0 else y_row[ow]


@jit.fast
def axpy(weight, x_row, stride, offset, low, high, y_row):
    """y_row[o] += weight · x_row[o·stride + offset] for o in [low, high)."""
    ys = y_row[low:high]
    start = low * stride + offset
    if stride == 1:
        xs = x_row[start : start + high - low]
        for o in range(ys.shape[0]):
            ys[o] += weight * xs[o]
    else:
        for o in range(ys.shape[0]):
            ys[o] += weight * x_row[start + o * stride]


@jit.fast
def dx_plane(dy, w, n, c, stride, padding, dilation, groups, dx):
    """Fill dx[n, c]: for each of its rows, the rows of dy that it had a part in."""
    channels = w.shape[1]
    filters = w.shape[0] // groups
    first = c // channels * filters
    plane = dx[n, c]
    for ih in range(plane.shape[0]):
        dx_row = plane[ih]
        for iw in range(dx_row.shape[0]):
            dx_row[iw] = 0
        for r in range(w.shape[2]):
            up = ih + padding[0] - r * dilation[0]
            if up < 0 or up % stride[0] != 0 or up // stride[0] >= dy.shape[2]:
                continue
            oh = up // stride[0]
            for k in range(first, first + filters):
                dy_row = dy[n, k, oh]
                for s in range(w.shape[3]):
                    weight = w[k, c % channels, r, s]
                    offset = s * dilation[1] - padding[1]
                    low, high = interval(dy_row.shape[0], dx_row.shape[0], stride[1], offset)
                    scatter_row(
                        weight, dy_row[low:high], low * stride[1] + offset, stride[1], dx_row
                    )


@jit.fast
def scatter_row(weight, dys, start, stride, dx_row):
    """dx_row[start + o·stride] += weight · dys[o]."""
    if stride == 1:
        dxs = dx_row[start : start + dys.shape[0]]
        for o in range(dys.shape[0]):
            dxs[o] += weight * dys[o]
    else:
        for o in range(dys.shape[0]):
            dx_row[start + o * stride] += weight * dys[o]


@jit.fast
def dw_filter(dy, x, k, c, stride, padding, dilation, groups, dw):
    """Fill dw[k, c]: a dot product of rows for each tap, image and output row."""
    first = k // (dy.shape[1] // groups) * dw.shape[1]
    for r in range(dw.shape[2]):
        for s in range(dw.shape[3]):
            offset = s * dilation[1] - padding[1]
            low, high = interval(dy.shape[3], x.shape[3], stride[1], offset)
            total = dy.dtype.type(0)
            for n in range(dy.shape[0]):
                for oh in range(dy.shape[2]):
                    ih = oh * stride[0] - padding[0] + r * dilation[0]
                    if 0 <= ih < x.shape[2]:
                        dys = dy[n, k, oh][low:high]
                        total += dot(dys, x[n, first + c, ih], low * stride[1] + offset, stride[1])
            dw[k, c, r, s] = total


@jit.fast
def dot(dys, x_row, start, stride):
    """Σ_o dys[o] · x_row[start + o·stride]."""
    total = dys.dtype.type(0)
    if stride == 1:
        xs = x_row[start : start + dys.shape[0]]
        for o in range(dys.shape[0]):
            total += dys[o] * xs[o]
    else:
        for o in range(dys.shape[0]):
            total += dys[o] * x_row[start + o * stride]
    return total


@jit.fast
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, plane by plane."""
    for n in range(y.shape[0]):
        for k in range(y.shape[1]):
            y_plane(x, w, b, n, k, stride, padding, dilation, groups, relu, y)


@jit.fast
def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, plane by plane."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            dx_plane(dy, w, n, c, stride, padding, dilation, groups, dx)


@jit.fast
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, one filter's channel at a time."""
    for k in range(dw.shape[0]):
        for c in range(dw.shape[1]):
            dw_filter(dy, x, k, c, stride, padding, dilation, groups, dw)
