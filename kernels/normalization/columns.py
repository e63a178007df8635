"""Batch norm of (N, C): a channel is a column, and a vector holds LANES columns side by side.

Down a column the elements lie C apart: alone, each would bring a cache line of which it is a sixteenth.
A vector of neighbouring columns uses the line whole, and a channel's statistics are one lane of the sums. As
in `kernels.core.rows`, blocks of rows are walked twice, about a guess, and merged in float64 lane by lane.
"""

import math

from kernels.core import jit, simd, stack
from kernels.normalization.naive import follow

BLOCK = 256  # rows that are walked twice, 16 KB


@jit.inlined
def moments(x, at, rows, stride, width, mean, squares):
    """Put mean and Σ (x − mean)² of each lane of a column of vectors into `mean` and `squares`."""
    shift, plain, square = stack.empty(16, x), stack.empty(16, x), stack.empty(16, x)
    for lane in range(width):
        mean[lane], squares[lane] = 0.0, 0.0
    for low in range(0, rows, BLOCK):
        high = min(low + BLOCK, rows)
        n = high - low
        first = simd.vector_part(x, at + low * stride, width)
        a = simd.splat(0, x)
        for row in range(low, high):
            a = a + (simd.vector_part(x, at + row * stride, width) - first)
        guess = simd.fma(a, x.dtype.type(1 / n), first)
        a, aa = simd.splat(0, x), simd.splat(0, x)
        for row in range(low, high):
            v = simd.vector_part(x, at + row * stride, width) - guess
            a = a + v
            aa = simd.fma(v, v, aa)
        simd.put_vector(guess, shift, 0)
        simd.put_vector(a, plain, 0)
        simd.put_vector(aa, square, 0)
        for lane in range(width):
            delta = shift[lane] + plain[lane] / n - mean[lane]
            spread = square[lane] - plain[lane] * (plain[lane] / n)
            mean[lane] += delta * (n / high)
            squares[lane] += delta * delta * (low * (n / high))
            squares[lane] += 0.0 if spread < 0 else spread  # a NaN stays


@jit.inlined
def batch_norm(
    x, n, c, weight, bias, training, momentum, eps, running_mean, running_var, first, last,
    mean, rstd, y,
):  # fmt: skip
    """Fill the channels [first, last) of y, mean and rstd."""
    lanes = simd.lanes(x)
    m, squares = stack.empty(16, mean), stack.empty(16, mean)
    his, scales, adds = stack.empty(16, x), stack.empty(16, x), stack.empty(16, x)
    for low in range(first, last, lanes):
        width = min(lanes, last - low)
        if training:
            moments(x, low, n, c, width, m, squares)
        for lane in range(width):
            i = low + lane
            if training:
                variance = squares[lane] / n
                mean[i], rstd[i] = m[lane], 1 / math.sqrt(variance + eps)
                follow(running_mean, running_var, i, m[lane], variance, n, momentum)
            his[lane] = mean[i]
            scales[lane] = rstd[i] * weight[i]
            adds[lane] = bias[i] - (mean[i] - his[lane]) * (rstd[i] * weight[i])
        hi, scale = simd.vector_part(his, 0, width), simd.vector_part(scales, 0, width)
        add = simd.vector_part(adds, 0, width)
        for row in range(n - 1, -1, -1):
            at = row * c + low
            v = simd.vector_part(x, at, width) - hi
            simd.put_vector_part(simd.fma(v, scale, add), y, at, width)


@jit.inlined
def gradients(dy, x, n, c, mean, rstd, weight, training, first, last, dw, db, moving, dx):
    """Fill the channels [first, last) of dx if `moving`, and of dw and db unless they are empty."""
    lanes = simd.lanes(x)
    plain, along = stack.empty(16, mean), stack.empty(16, mean)
    his, a, aa = stack.empty(16, x), stack.empty(16, x), stack.empty(16, x)
    ps, qs, ts = stack.empty(16, x), stack.empty(16, x), stack.empty(16, x)
    for start in range(first, last, lanes):
        width = min(lanes, last - start)
        for lane in range(width):
            his[lane] = mean[start + lane]
            plain[lane], along[lane] = 0.0, 0.0
        hi = simd.vector_part(his, 0, width)
        for low in range(0, n, BLOCK):
            g, gg = simd.splat(0, x), simd.splat(0, x)
            for row in range(low, min(low + BLOCK, n)):
                v = simd.vector_part(dy, row * c + start, width)
                g = g + v
                gg = simd.fma(v, simd.vector_part(x, row * c + start, width) - hi, gg)
            simd.put_vector(g, a, 0)
            simd.put_vector(gg, aa, 0)
            for lane in range(width):
                plain[lane] += a[lane]
                along[lane] += aa[lane]
        for lane in range(width):
            i = start + lane
            r, lo = rstd[i], mean[i] - his[lane]
            total = (along[lane] - lo * plain[lane]) * r
            if dw.size:
                dw[i] = total
            if db.size:
                db[i] = plain[lane]
            if moving:
                p = r * weight[i]
                q = -p * r * (total / n) if training else 0.0
                ps[lane], qs[lane] = p, q
                ts[lane] = -lo * q - p * (plain[lane] / n) if training else 0.0
        if moving:
            p, q = simd.vector_part(ps, 0, width), simd.vector_part(qs, 0, width)
            t = simd.vector_part(ts, 0, width)
            for row in range(n - 1, -1, -1):
                at = row * c + start
                v = simd.fma(simd.vector_part(x, at, width) - hi, q, t)
                v = simd.fma(simd.vector_part(dy, at, width), p, v)
                simd.put_vector_part(v, dx, at, width)
