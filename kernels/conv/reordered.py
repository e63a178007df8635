"""Rung 1: taps outside, rows inside.

`naive` asks of every tap whether it lies on padding, and its innermost loop (s) is three long. Here one
tap (c, r, s) at a time is applied to a whole plane of outputs. The outputs whose input exists are a
rectangle [top, bottom) × [low, high), found by arithmetic instead of a test an element, and over it

    y[n, k, oh, ow] += w[k, c, r, s] · x[n, c, oh·u + r·d − p, ow·u + s·d − p]

runs along memory, so the compiler uses vectors. The gradients are the same walk over the same
rectangle: dx gets what y gave, dw is the sum of the products.

Measured on a Zen 5, float32 (the README's table): one core, 8×64×56×56 → 64, 3×3: 17 GFLOP/s, which is
17 times `naive` forward and 70 times for dx. dw gains 1.3 times on rows of 28 and loses a tenth on rows
of 56, where `naive`'s own inner loop already runs along memory.
"""

from kernels.core import jit
from kernels.core.windows import interval


@jit.fast
def spread(weight, x, down, across, stride, y):
    """y[oh, ow] += weight · x[oh·stride + down, ow·stride + across], where that exists."""
    top, bottom = interval(y.shape[0], x.shape[0], stride[0], down)
    low, high = interval(y.shape[1], x.shape[1], stride[1], across)
    for oh in range(top, bottom):
        y_row = y[oh, low:high]
        x_row = x[oh * stride[0] + down, low * stride[1] + across :]
        if stride[1] == 1:
            for o in range(y_row.shape[0]):
                y_row[o] += weight * x_row[o]
        else:
            for o in range(y_row.shape[0]):
                y_row[o] += weight * x_row[o * stride[1]]


@jit.fast
def gather(weight, dy, down, across, stride, dx):
    """dx[oh·stride + down, ow·stride + across] += weight · dy[oh, ow], where that exists."""
    top, bottom = interval(dy.shape[0], dx.shape[0], stride[0], down)
    low, high = interval(dy.shape[1], dx.shape[1], stride[1], across)
    for oh in range(top, bottom):
        dy_row = dy[oh, low:high]
        dx_row = dx[oh * stride[0] + down, low * stride[1] + across :]
        if stride[1] == 1:
            for o in range(dy_row.shape[0]):
                dx_row[o] += weight * dy_row[o]
        else:
            for o in range(dy_row.shape[0]):
                dx_row[o * stride[1]] += weight * dy_row[o]


@jit.fast
def product(dy, x, down, across, stride):
    """Σ dy[oh, ow] · x[oh·stride + down, ow·stride + across], where that exists."""
    top, bottom = interval(dy.shape[0], x.shape[0], stride[0], down)
    low, high = interval(dy.shape[1], x.shape[1], stride[1], across)
    total = dy.dtype.type(0)
    for oh in range(top, bottom):
        dy_row = dy[oh, low:high]
        x_row = x[oh * stride[0] + down, low * stride[1] + across :]
        if stride[1] == 1:
            for o in range(dy_row.shape[0]):
                total += dy_row[o] * x_row[o]
        else:
            for o in range(dy_row.shape[0]):
                total += dy_row[o] * x_row[o * stride[1]]
    return total


@jit.fast
def y_plane(x, w, b, n, k, stride, padding, dilation, groups, relu, y):
    """Fill y[n, k]."""
    plane = y[n, k]
    channels = w.shape[1]
    first = k // (w.shape[0] // groups) * channels
    for oh in range(plane.shape[0]):
        row = plane[oh]
        for ow in range(row.shape[0]):
            row[ow] = b[k]
    for c in range(channels):
        for r in range(w.shape[2]):
            down = r * dilation[0] - padding[0]
            for s in range(w.shape[3]):
                across = s * dilation[1] - padding[1]
                spread(w[k, c, r, s], x[n, first + c], down, across, stride, plane)
    if relu:
        for oh in range(plane.shape[0]):
            row = plane[oh]
            for ow in range(row.shape[0]):
                row[ow] = row.dtype.type(0) if row[ow] < 0 else row[ow]


@jit.fast
def dx_plane(dy, w, n, c, stride, padding, dilation, groups, dx):
    """Fill dx[n, c] from the filters that read it."""
    plane = dx[n, c]
    filters = w.shape[0] // groups
    first = c // w.shape[1] * filters
    channel = c % w.shape[1]
    for ih in range(plane.shape[0]):
        row = plane[ih]
        for iw in range(row.shape[0]):
            row[iw] = 0
    for k in range(first, first + filters):
        for r in range(w.shape[2]):
            down = r * dilation[0] - padding[0]
            for s in range(w.shape[3]):
                across = s * dilation[1] - padding[1]
                gather(w[k, channel, r, s], dy[n, k], down, across, stride, plane)


@jit.fast
def dw_filter(dy, x, k, c, stride, padding, dilation, groups, dw):
    """Fill dw[k, c]: for each tap, a product of planes an image."""
    channel = k // (dy.shape[1] // groups) * dw.shape[1] + c
    for r in range(dw.shape[2]):
        down = r * dilation[0] - padding[0]
        for s in range(dw.shape[3]):
            across = s * dilation[1] - padding[1]
            total = dy.dtype.type(0)
            for n in range(dy.shape[0]):
                total += product(dy[n, k], x[n, channel], down, across, stride)
            dw[k, c, r, s] = total


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
