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


def lp_pool2d(x, kernel_size, *, p=2, stride=None, padding=0, dilation=1, ceil_mode=False):
    """(R·S times the mean of xᵖ)^(1/p); an error of the sum moves its root by 1/p as much, in proportion."""
    with np.errstate(invalid="ignore", divide="ignore"):
        powers = np.asarray(x, np.float64) ** p
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        mean, scale, taps = avg_pool2d(powers, kernel_size, ceil_mode=ceil_mode, **options)
        total, size = mean * taps, scale * taps
        y = total ** (1 / p)
        slope = np.where(total == 0, 0, np.abs(y / total) / p)
        return y, np.abs(y) + size * slope * (1 + p), taps


def lp_pool2d_dx(
    dy, x, y, kernel_size, *, p=2, stride=None, padding=0, dilation=1, ceil_mode=False
):
    """x^(p − 1) · Σ dy · y^(1 − p), each scaled as its root was; nothing where y is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.asarray(y, np.float64)
        share = np.where(y == 0, 0, np.asarray(dy, np.float64) * y ** (1 - p))
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        mean, scale, taps = avg_pool2d_dx(
            share, x.shape, kernel_size, ceil_mode=ceil_mode, **options
        )
        power = np.asarray(x, np.float64) ** (p - 1)
        return mean * taps * power, scale * taps * np.abs(power) * (1 + p), taps


def _stretches(inputs, outputs):
    """First input under each window, and the first after it."""
    return [(o * inputs // outputs, -(-(o + 1) * inputs // outputs)) for o in range(outputs)]


def _adaptive_size(shape, output_size):
    pair = _pairs(output_size) if output_size is not None else shape[2:]
    return tuple(n if o is None else o for n, o in zip(shape[2:], pair))


def _adaptive_windows(shape, size):
    for i, (top, bottom) in enumerate(_stretches(shape[2], size[0])):
        for j, (left, right) in enumerate(_stretches(shape[3], size[1])):
            yield i, j, slice(top, bottom), slice(left, right)


def adaptive_avg_pool2d(x, output_size):
    """Mean of each stretch of rows and columns."""
    x = np.asarray(x, np.float64)
    size = _adaptive_size(x.shape, output_size)
    y, scale = np.zeros((2, *x.shape[:2], *size))
    terms = 1
    for i, j, rows, columns in _adaptive_windows(x.shape, size):
        block = x[:, :, rows, columns]
        y[:, :, i, j] = block.mean((2, 3))
        scale[:, :, i, j] = np.abs(block).mean((2, 3))
        terms = max(terms, block.shape[2] * block.shape[3])
    return y, scale, terms


def adaptive_avg_pool2d_dx(dy, input_shape):
    """Each dy spread evenly over its stretch."""
    dy = np.asarray(dy, np.float64)
    dx, scale, count = np.zeros(input_shape), np.zeros(input_shape), np.zeros(input_shape[2:])
    for i, j, rows, columns in _adaptive_windows(input_shape, dy.shape[2:]):
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        share = dy[:, :, i, j][:, :, None, None] / area
        dx[:, :, rows, columns] += share
        scale[:, :, rows, columns] += np.abs(share)
        count[rows, columns] += 1
    return dx, scale, int(count.max())


def adaptive_max_pool2d(x, output_size, return_indices=False):
    """Largest of each stretch: the first of equals, the last of NaNs."""
    x = np.asarray(x, np.float64)
    size = _adaptive_size(x.shape, output_size)
    y = np.zeros((*x.shape[:2], *size))
    index = np.zeros(y.shape, np.int64)
    for i, j, rows, columns in _adaptive_windows(x.shape, size):
        block = x[:, :, rows, columns]
        flat = block.reshape(*x.shape[:2], block.shape[2] * block.shape[3])
        won = flat.argmax(2)
        nan = np.isnan(flat)
        last = flat.shape[2] - 1 - nan[:, :, ::-1].argmax(2)
        won = np.where(nan.any(2), last, won)
        y[:, :, i, j] = np.take_along_axis(flat, won[:, :, None], 2)[:, :, 0]
        down, across = won // block.shape[3], won % block.shape[3]
        index[:, :, i, j] = (rows.start + down) * x.shape[3] + columns.start + across
    judged = y, np.abs(y), 1
    return (judged, index) if return_indices else judged


def adaptive_max_pool2d_dx(dy, indices, input_shape):
    """Each dy to the input that won."""
    return _scatter(dy, indices, input_shape)


def _scatter(values, indices, shape):
    values = np.asarray(values, np.float64)
    flat = np.zeros((shape[0] * shape[1], shape[2] * shape[3]))
    scale, count = np.zeros_like(flat), np.zeros_like(flat)
    planes = np.arange(len(flat))[:, None]
    places = np.asarray(indices).reshape(len(flat), values.shape[2] * values.shape[3])
    values = values.reshape(places.shape)
    np.add.at(flat, (planes, places), values)
    np.add.at(scale, (planes, places), np.abs(values))
    np.add.at(count, (planes, places), 1)
    return flat.reshape(shape), scale.reshape(shape), int(count.max(initial=1))


def max_unpool2d(y, indices, output_shape):
    """Each value at its place; the last of those that share one."""
    y = np.asarray(y, np.float64)
    shape = (*y.shape[:2], *output_shape[-2:])
    x = np.zeros((shape[0] * shape[1], shape[2] * shape[3]))
    size = y.shape[2] * y.shape[3]
    places, values = np.asarray(indices).reshape(len(x), size), y.reshape(len(x), size)
    for i in range(size):
        x[np.arange(len(x)), places[:, i]] = values[:, i]
    x = x.reshape(shape)
    return x, np.abs(x), 0


def max_unpool2d_dx(dx, indices):
    """The gradient at each value's place."""
    dx, indices = np.asarray(dx, np.float64), np.asarray(indices)
    flat = dx.reshape(*dx.shape[:2], dx.shape[2] * dx.shape[3])
    places = indices.reshape(*dx.shape[:2], indices.shape[2] * indices.shape[3])
    dy = np.take_along_axis(flat, places, 2).reshape(indices.shape)
    return dy, np.abs(dy), 0
