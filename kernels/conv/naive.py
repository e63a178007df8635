"""Rung 0: the formula, one loop an index.

    y[n, k, oh, ow] = b[k] + Σ_c Σ_r Σ_s x[n, c, oh·stride + r·dilation − pad, …] · w[k, c, r, s]

x (N, C, H, W), w (K, C/groups, R, S), y (N, K, OH, OW). 2·N·K·OH·OW·C/groups·R·S FLOPs; the three
arrays moved once at the least. Each direction has a point function that computes one element and
reads whatever it needs ("gathers"), so the loops around it may run in any order, and on any device:
no two of them write one address. `padding` is the leading padding (top, left); how much follows at
the end is in the output's shape.

Source: the definition (cross-correlation), and its gradients as derived in this folder's README.
"""

from kernels.core import jit


@jit.fast
def y_point(x, w, n, k, oh, ow, stride, padding, dilation, groups):
    """Σ_crs of the window of x under output (oh, ow), times filter k."""
    channels = w.shape[1]
    first = k // (w.shape[0] // groups) * channels
    total = x.dtype.type(0)
    for c in range(channels):
        for r in range(w.shape[2]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            for s in range(w.shape[3]):
                iw = ow * stride[1] - padding[1] + s * dilation[1]
                if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                    total += x[n, first + c, ih, iw] * w[k, c, r, s]
    return total


@jit.fast
def dx_point(dy, w, n, c, ih, iw, stride, padding, dilation, groups):
    """Σ over the filters and taps that read x[n, c, ih, iw]."""
    channels = w.shape[1]
    filters = w.shape[0] // groups
    first = c // channels * filters
    total = dy.dtype.type(0)
    for k in range(first, first + filters):
        for r in range(w.shape[2]):
            up = ih + padding[0] - r * dilation[0]
            for s in range(w.shape[3]):
                across = iw + padding[1] - s * dilation[1]
                if up >= 0 and across >= 0 and up % stride[0] == 0 and across % stride[1] == 0:
                    oh = up // stride[0]
                    ow = across // stride[1]
                    if oh < dy.shape[2] and ow < dy.shape[3]:
                        total += dy[n, k, oh, ow] * w[k, c % channels, r, s]
    return total


@jit.fast
def dw_point(dy, x, k, c, r, s, channels, stride, padding, dilation, groups):
    """Σ over images and positions of dy times what tap (r, s) of channel c read there."""
    first = k // (dy.shape[1] // groups) * channels
    total = dy.dtype.type(0)
    for n in range(dy.shape[0]):
        for oh in range(dy.shape[2]):
            ih = oh * stride[0] - padding[0] + r * dilation[0]
            for ow in range(dy.shape[3]):
                iw = ow * stride[1] - padding[1] + s * dilation[1]
                if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                    total += dy[n, k, oh, ow] * x[n, first + c, ih, iw]
    return total


@jit.fast
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, one output at a time."""
    for n in range(y.shape[0]):
        for k in range(y.shape[1]):
            for oh in range(y.shape[2]):
                for ow in range(y.shape[3]):
                    value = b[k] + y_point(x, w, n, k, oh, ow, stride, padding, dilation, groups)
                    y[n, k, oh, ow] = y.dtype.type(0) if relu and value < 0 else value


@jit.fast
def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, one element of the data at a time."""
    for n in range(dx.shape[0]):
        for c in range(dx.shape[1]):
            for ih in range(dx.shape[2]):
                for iw in range(dx.shape[3]):
                    dx[n, c, ih, iw] = dx_point(
                        dy, w, n, c, ih, iw, stride, padding, dilation, groups
                    )


@jit.fast
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, one weight at a time."""
    for k in range(dw.shape[0]):
        for c in range(dw.shape[1]):
            for r in range(dw.shape[2]):
                for s in range(dw.shape[3]):
                    dw[k, c, r, s] = dw_point(
                        dy, x, k, c, r, s, dw.shape[1], stride, padding, dilation, groups
                    )


@jit.fast
def db(dy, db):
    """db[k] = Σ dy[:, k, :, :]."""
    for k in range(db.shape[0]):
        total = dy.dtype.type(0)
        for n in range(dy.shape[0]):
            for oh in range(dy.shape[2]):
                for ow in range(dy.shape[3]):
                    total += dy[n, k, oh, ow]
        db[k] = total
