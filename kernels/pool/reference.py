"""The oracle: NumPy only, float64 accumulation, imports nothing of ours.

Each function takes what the public function takes and returns (value, scale, terms), as in the other
families. A maximum is exact: its scale is its own magnitude.
"""

import numpy as np


def _pairs(value):
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def _geometry(shape, kernel_size, stride, padding, dilation, ceil_mode):
    """Per axis: kernel, stride, dilation, (before, after), outputs."""
    axes = []
    kernel, dilation = _pairs(kernel_size), _pairs(dilation)
    stride = kernel if stride is None else _pairs(stride)
    for axis, (n, k, s, d) in enumerate(zip(shape[2:], kernel, stride, dilation)):
        if isinstance(padding, str):
            total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
            pads = (total // 2, total - total // 2)
            pads = (0, 0) if padding == "valid" else pads[::-1] if "lower" in padding else pads
        else:
            pads = _pairs(_pairs(padding)[axis])
        reach = n + sum(pads) - d * (k - 1) - 1
        outputs = (-(-reach // s) if ceil_mode else reach // s) + 1
        if ceil_mode and (outputs - 1) * s >= n + pads[0]:
            outputs -= 1
        axes.append((k, s, d, pads, outputs))
    return axes


def _taps(shape, axes):
    """Yield (r, s, outputs' rows, outputs' columns, inputs' rows, inputs' columns) that exist."""
    (kh, sh, dh, (top, _), oh), (kw, sw, dw, (left, _), ow) = axes
    for r in range(kh):
        for s in range(kw):
            o, p = np.arange(oh), np.arange(ow)
            i, j = o * sh - top + r * dh, p * sw - left + s * dw
            rows, columns = (i >= 0) & (i < shape[2]), (j >= 0) & (j < shape[3])
            yield r, s, o[rows, None], p[columns], i[rows, None], j[columns]


def max_pool2d(
    x, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """Largest value under each window; the first of equals, the last of NaNs."""
    axes = _geometry(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    best = np.full((*x.shape[:2], axes[0][4], axes[1][4]), -np.inf)
    index = np.full(best.shape, -1, np.int64)
    for r, s, o, p, i, j in _taps(x.shape, axes):
        value, old = np.asarray(x[:, :, i, j], np.float64), best[:, :, o, p]
        better = (value > old) | np.isnan(value) | (index[:, :, o, p] < 0)
        best[:, :, o, p] = np.where(better, value, old)
        code = r * axes[1][0] + s if return_indices == "window" else i * x.shape[3] + j
        index[:, :, o, p] = np.where(better, code, index[:, :, o, p])
    judged = best, np.abs(best), 1
    return (judged, index) if return_indices else judged


def max_pool2d_dx(
    dy, indices, input_shape, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False
):
    """Send each dy to the input that won its window."""
    axes = _geometry(input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    dx, scale = np.zeros(input_shape), np.zeros(input_shape)
    for r, s, o, p, i, j in _taps(input_shape, axes):
        code = r * axes[1][0] + s if indices.dtype == np.uint8 else i * input_shape[3] + j
        share = np.where(indices[:, :, o, p] == code, np.asarray(dy[:, :, o, p], np.float64), 0)
        dx[:, :, i, j] += share
        scale[:, :, i, j] += np.abs(share)
    return dx, scale, axes[0][0] * axes[1][0]


def _divisors(shape, axes, include):
    """Taps that count in the mean of each window (OH, OW)."""
    counts = []
    for n, (k, s, d, (before, after), outputs) in zip(shape[2:], axes):
        at = np.arange(outputs)[:, None] * s - before + np.arange(k) * d
        counts.append(((at < n + after) if include else (at >= 0) & (at < n)).sum(1))
    return counts[0][:, None] * counts[1]


def avg_pool2d(
    x,
    kernel_size,
    *,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    count_include_pad=True,
):
    """Mean under each window."""
    axes = _geometry(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    total = np.zeros((*x.shape[:2], axes[0][4], axes[1][4]))
    scale = np.zeros_like(total)
    for _, _, o, p, i, j in _taps(x.shape, axes):
        value = np.asarray(x[:, :, i, j], np.float64)
        total[:, :, o, p] += value
        scale[:, :, o, p] += np.abs(value)
    divisor = _divisors(x.shape, axes, count_include_pad)
    return total / divisor, scale / divisor, axes[0][0] * axes[1][0]


def avg_pool2d_dx(
    dy,
    input_shape,
    kernel_size,
    *,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    count_include_pad=True,
):
    """Spread each dy evenly over its window."""
    axes = _geometry(input_shape, kernel_size, stride, padding, dilation, ceil_mode)
    share = np.asarray(dy, np.float64) / _divisors(input_shape, axes, count_include_pad)
    dx, scale = np.zeros(input_shape), np.zeros(input_shape)
    for _, _, o, p, i, j in _taps(input_shape, axes):
        dx[:, :, i, j] += share[:, :, o, p]
        scale[:, :, i, j] += np.abs(share[:, :, o, p])
    return dx, scale, axes[0][0] * axes[1][0]
