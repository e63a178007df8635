"""Batch norm of (N, C): a channel is a column, and the rows are walked as they lie.

Down a column the elements lie C apart: alone, each would bring a cache line of which it is a sixteenth, and
where C is a power of two all of them fall into the same few places of the cache. So a row, or `TILE` columns
of it, is added to rows of sums, which stay in the first-level cache: a channel's statistics are one place in
each. As in `kernels.core.rows` the deviations are from a guess, which the first quarter of a block of
rows gives, and blocks are merged in float64.

Measured on a Zen 4, float32, one core, 512×1024: 0.17 ms, 33 times as fast as `naive`; a vector of columns at a
time, over all rows, took 0.57.
"""

import math

from kernels.core import jit, simd, stack
from kernels.normalization.naive import follow

TILE = 256  # columns
BLOCK = 256  # rows


@jit.inlined
def clear(sums, width):
    """Set the first `width` to zero."""
    for j in range(width):
        sums[j] = 0


@jit.inlined
def add_about(x, at, rows, stride, width, shift, plain, square):
    """plain[j] += x − shift[j] and square[j] += (x − shift[j])² down `width` columns of x."""
    lanes = simd.lanes(x)
    for row in range(rows):
        i, j = at + row * stride, 0
        while j + lanes <= width:
            v = simd.vector(x, i + j) - simd.vector(shift, j)
            a, aa = simd.vector(plain, j), simd.vector(square, j)
            simd.put_vector(a + v, plain, j)
            simd.put_vector(simd.fma(v, v, aa), square, j)
            j += lanes
        if j < width:
            v = simd.vector_part(x, i + j, width - j) - simd.vector_part(shift, j, width - j)
            a, aa = simd.vector_part(plain, j, width - j), simd.vector_part(square, j, width - j)
            simd.put_vector_part(a + v, plain, j, width - j)
            simd.put_vector_part(simd.fma(v, v, aa), square, j, width - j)


@jit.inlined
def moments(x, at, rows, stride, width, mean, squares, shift, plain, square):
    """Put mean and Σ (x − mean)² of `width` columns into `mean` and `squares`; the rest is room for sums."""
    for low in range(0, rows, BLOCK):
        high = min(low + BLOCK, rows)
        n = high - low
        quarter = (n + 3) // 4
        clear(plain, width)
        clear(square, width)
        for j in range(width):
            shift[j] = x[at + low * stride + j]
        add_about(x, at + low * stride, quarter, stride, width, shift, plain, square)
        for j in range(width):
            shift[j] += plain[j] / quarter
        clear(plain, width)
        clear(square, width)
        add_about(x, at + low * stride, n, stride, width, shift, plain, square)
        for j in range(width):
            spread = square[j] - plain[j] * (plain[j] / n)
            spread = 0.0 if spread < 0 else spread  # a NaN stays
            middle = shift[j] + plain[j] / n
            if low == 0:
                mean[j], squares[j] = middle, spread
            else:
                delta, part = middle - mean[j], n / high
                mean[j] += delta * part
                squares[j] += spread + delta * delta * (low * part)


@jit.inlined
def normalise(x, at, rows, stride, width, hi, scale, add, y):
    """y = (x − hi[j]) · scale[j] + add[j] down `width` columns, the last row first."""
    lanes = simd.lanes(x)
    for row in range(rows - 1, -1, -1):
        i, j = at + row * stride, 0
        while j + lanes <= width:
            v = simd.vector(x, i + j) - simd.vector(hi, j)
            v = simd.fma(v, simd.vector(scale, j), simd.vector(add, j))
            simd.put_vector(v, y, i + j)
            j += lanes
        if j < width:
            left = width - j
            v = simd.vector_part(x, i + j, left) - simd.vector_part(hi, j, left)
            s, a = simd.vector_part(scale, j, left), simd.vector_part(add, j, left)
            simd.put_vector_part(simd.fma(v, s, a), y, i + j, left)


@jit.inlined
def batch_norm(
    x, n, c, weight, bias, training, momentum, eps, running_mean, running_var, first, last,
    mean, rstd, y,
):  # fmt: skip
    """Fill the channels [first, last) of y, mean and rstd."""
    m, squares = stack.empty(256, mean), stack.empty(256, mean)
    hi, scale, add = stack.empty(256, x), stack.empty(256, x), stack.empty(256, x)
    for low in range(first, last, TILE):
        width = min(TILE, last - low)
        if training:
            moments(x, low, n, c, width, m, squares, hi, scale, add)
        for j in range(width):
            i = low + j
            if training:
                variance = squares[j] / n
                mean[i], rstd[i] = m[j], 1 / math.sqrt(variance + eps)
                follow(running_mean, running_var, i, m[j], variance, n, momentum)
            hi[j] = mean[i]
            scale[j] = rstd[i] * weight[i]
            add[j] = bias[i] - (mean[i] - hi[j]) * (rstd[i] * weight[i])
        normalise(x, low, n, c, width, hi, scale, add, y)


@jit.inlined
def add_products(dy, x, at, rows, stride, width, hi, plain, along):
    """plain[j] += dy and along[j] += dy · (x − hi[j]) down `width` columns."""
    lanes = simd.lanes(x)
    for row in range(rows):
        i, j = at + row * stride, 0
        while j + lanes <= width:
            g, v = simd.vector(dy, i + j), simd.vector(x, i + j) - simd.vector(hi, j)
            a, aa = simd.vector(plain, j), simd.vector(along, j)
            simd.put_vector(a + g, plain, j)
            simd.put_vector(simd.fma(g, v, aa), along, j)
            j += lanes
        if j < width:
            left = width - j
            g = simd.vector_part(dy, i + j, left)
            v = simd.vector_part(x, i + j, left) - simd.vector_part(hi, j, left)
            a, aa = simd.vector_part(plain, j, left), simd.vector_part(along, j, left)
            simd.put_vector_part(a + g, plain, j, left)
            simd.put_vector_part(simd.fma(g, v, aa), along, j, left)


@jit.inlined
def gradient(dy, x, at, rows, stride, width, hi, p, q, t, dx):
    """dx = p[j] · dy + q[j] · (x − hi[j]) + t[j] down `width` columns, the last row first."""
    lanes = simd.lanes(x)
    for row in range(rows - 1, -1, -1):
        i, j = at + row * stride, 0
        while j + lanes <= width:
            v = simd.vector(x, i + j) - simd.vector(hi, j)
            v = simd.fma(v, simd.vector(q, j), simd.vector(t, j))
            simd.put_vector(simd.fma(simd.vector(dy, i + j), simd.vector(p, j), v), dx, i + j)
            j += lanes
        if j < width:
            left = width - j
            v = simd.vector_part(x, i + j, left) - simd.vector_part(hi, j, left)
            v = simd.fma(v, simd.vector_part(q, j, left), simd.vector_part(t, j, left))
            g = simd.vector_part(dy, i + j, left)
            v = simd.fma(g, simd.vector_part(p, j, left), v)
            simd.put_vector_part(v, dx, i + j, left)


@jit.inlined
def gradients(dy, x, n, c, mean, rstd, weight, training, first, last, dw, db, moving, dx):
    """Fill the channels [first, last) of dx if `moving`, and of dw and db unless they are empty."""
    plain, along = stack.empty(256, mean), stack.empty(256, mean)
    hi, p, q, t = stack.empty(256, x), stack.empty(256, x), stack.empty(256, x), stack.empty(256, x)
    for start in range(first, last, TILE):
        width = min(TILE, last - start)
        for j in range(width):
            hi[j] = mean[start + j]
            plain[j], along[j] = 0.0, 0.0
        for low in range(0, n, BLOCK):
            clear(p, width)
            clear(q, width)
            rows = min(BLOCK, n - low)
            add_products(dy, x, low * c + start, rows, c, width, hi, p, q)
            for j in range(width):
                plain[j] += p[j]
                along[j] += q[j]
        for j in range(width):
            i = start + j
            r, lo = rstd[i], mean[i] - hi[j]
            total = (along[j] - lo * plain[j]) * r
            if dw.size:
                dw[i] = total
            if db.size:
                db[i] = plain[j]
            if moving:
                p[j] = r * weight[i]
                slope = -r * weight[i] * r * (total / n) if training else 0.0
                q[j] = slope
                t[j] = -lo * slope - r * weight[i] * (plain[j] / n) if training else 0.0
        if moving:
            gradient(dy, x, start, n, c, width, hi, p, q, t, dx)
