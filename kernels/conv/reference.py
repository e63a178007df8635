"""The oracle: NumPy only, float64 accumulation, imports nothing of ours.

Each function takes what the public function takes and returns (value, scale, terms): the result, the
sum of the magnitudes that went into each element, and how many there were. A rung passes where
|got − value| ≤ (4 + √terms)·eps·scale.

The padded input is seen through a strided view with axes (n, c, oh, ow, r, s), so that every
direction is one `einsum`.
"""

import numpy as np


def _pairs(value):
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def _pads(padding, size, kernel, stride, dilation):
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0), (0, 0))
        pads = []
        for n, k, s, d in zip(size, kernel, stride, dilation):
            total = max(0, (int(np.ceil(n / s)) - 1) * s + d * (k - 1) + 1 - n)
            less, more = total // 2, (total + 1) // 2
            pads.append((more, less) if padding == "same_lower" else (less, more))
        return tuple(pads)
    return tuple(_pairs(side) for side in _pairs(padding))


def _windows(xp, kernel, stride, dilation):
    """View a padded input (N, C, PH, PW) as (N, C, OH, OW, R, S)."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    view = np.lib.stride_tricks.sliding_window_view(xp, reach, (2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _setup(x, w, stride, padding, dilation):
    stride, dilation = _pairs(stride), _pairs(dilation)
    pads = _pads(padding, x.shape[2:], w.shape[2:], stride, dilation)
    xp = np.pad(np.asarray(x, np.float64), ((0, 0), (0, 0), *pads))
    return stride, dilation, pads, xp


def _grouped(windows, groups):
    n, c, *rest = windows.shape
    return windows.reshape(n, groups, c // groups, *rest)


def conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None):
    """y[n, k, oh, ow] = b[k] + Σ_crs x[n, c, oh·stride + r·dilation − pad, …] · w[k, c, r, s]."""
    stride, dilation, _, xp = _setup(x, w, stride, padding, dilation)
    windows = _grouped(_windows(xp, w.shape[2:], stride, dilation), groups)
    wg = np.asarray(w, np.float64).reshape(groups, -1, *w.shape[1:])
    bias = np.zeros(len(w)) if b is None else np.asarray(b, np.float64)

    def apply(windows, wg, bias):
        y = np.einsum("ngchwrs,gkcrs->ngkhw", windows, wg, optimize=True)
        return y.reshape(y.shape[0], len(w), *y.shape[3:]) + bias[:, None, None]

    y = apply(windows, wg, bias)
    scale = apply(np.abs(windows), np.abs(wg), np.abs(bias))
    if activation == "relu":
        y = np.where(y < 0, 0, y)
    return y, scale, int(np.prod(w.shape[1:])) + 1


def conv2d_dx(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of the data: each tap's share of dy·w is added where that tap read."""
    stride, dilation, pads, xp = _setup(x, w, stride, padding, dilation)
    dy = np.asarray(dy, np.float64)
    n, _, oh, ow = dy.shape
    dyg = dy.reshape(n, groups, len(w) // groups, oh, ow)
    wg = np.asarray(w, np.float64).reshape(groups, -1, *w.shape[1:])

    def scatter(dyg, wg):
        total = np.zeros_like(xp)
        for r in range(w.shape[2]):
            for s in range(w.shape[3]):
                share = np.einsum("ngkhw,gkc->ngchw", dyg, wg[..., r, s], optimize=True)
                top, left = r * dilation[0], s * dilation[1]
                rows = slice(top, top + (oh - 1) * stride[0] + 1, stride[0])
                columns = slice(left, left + (ow - 1) * stride[1] + 1, stride[1])
                total[:, :, rows, columns] += share.reshape(n, x.shape[1], oh, ow)
        (top, _), (left, _) = pads
        return total[:, :, top : top + x.shape[2], left : left + x.shape[3]]

    terms = len(w) // groups * w.shape[2] * w.shape[3]
    return scatter(dyg, wg), scatter(np.abs(dyg), np.abs(wg)), terms


def conv2d_dw(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of the weights: dy against the windows of x, summed over images and positions."""
    stride, dilation, _, xp = _setup(x, w, stride, padding, dilation)
    windows = _grouped(_windows(xp, w.shape[2:], stride, dilation), groups)
    dy = np.asarray(dy, np.float64)
    dyg = dy.reshape(len(dy), groups, len(w) // groups, *dy.shape[2:])

    def correlate(dyg, windows):
        return np.einsum("ngkhw,ngchwrs->gkcrs", dyg, windows, optimize=True).reshape(w.shape)

    terms = dy.shape[0] * dy.shape[2] * dy.shape[3]
    return correlate(dyg, windows), correlate(np.abs(dyg), np.abs(windows)), terms


def conv2d_db(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1):
    """Gradient of the bias: dy summed over images and positions."""
    dy = np.asarray(dy, np.float64)
    terms = dy.shape[0] * dy.shape[2] * dy.shape[3]
    return dy.sum((0, 2, 3)), np.abs(dy).sum((0, 2, 3)), terms
