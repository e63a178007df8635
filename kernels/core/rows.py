"""Mean and variance of neighbours in memory, in vectors, without cancellation.

    moments: mean = Σ x / M and Σ (x − mean)², read from memory once, 3 operations and one more an element

The data are taken in blocks of `BLOCK` elements, which stay in the first-level cache. The mean of a block's
first quarter is a guess g, and Σ d and Σ d² of all of it about the guess give

    mean = g + Σ d / n        squares = Σ d² − (Σ d)² / n

where no more than a factor cancels (`guess` says why). Blocks are merged in float64: the mean
moves by the difference δ of the two means times the newcomer's share, the squares add up, and δ²·n·m / (n + m)
more. So a float32 array a million times as far from zero as it is wide has its variance to six digits, and
one that is constant has a variance of exactly 0. Deviations beyond 1.8e19 overflow a float32 when squared.

Source: Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance: Analysis and
Recommendations", The American Statistician 37(3), 1983: (1.7), the two-pass algorithm corrected, and
(2.1), merging.
"""

from kernels.core import jit, simd, stack

BLOCK = 4096  # elements: 16 or 32 KB, which a first-level cache of 32 or 48 KB still holds
SAMPLE = 64  # elements: what the sums take at a time


@jit.inlined
def sum_about(x, start, strips, stride, length, shift, mask):
    """Σ (x − shift) over `strips` stretches of x that begin `stride` apart; `mask` holds ones."""
    lanes = simd.lanes(x)
    a, b, c, d = simd.splat(0, x), simd.splat(0, x), simd.splat(0, x), simd.splat(0, x)
    for strip in range(strips):
        i = start + strip * stride
        end = i + length
        while i + 4 * lanes <= end:
            a = a + (simd.vector(x, i) - shift)
            b = b + (simd.vector(x, i + lanes) - shift)
            c = c + (simd.vector(x, i + 2 * lanes) - shift)
            d = d + (simd.vector(x, i + 3 * lanes) - shift)
            i += 4 * lanes
        while i + lanes <= end:
            a = a + (simd.vector(x, i) - shift)
            i += lanes
        if i < end:  # absent lanes: 0 − shift · 0
            inside = simd.vector_part(mask, 0, end - i)
            b = b + simd.fma(inside, -shift, simd.vector_part(x, i, end - i))
    return simd.sum_of((a + b) + (c + d))


@jit.inlined
def squares_about(x, start, strips, stride, length, shift, mask):
    """Σ (x − shift) and Σ (x − shift)², as `sum_about`."""
    lanes = simd.lanes(x)
    a, b, c, d = simd.splat(0, x), simd.splat(0, x), simd.splat(0, x), simd.splat(0, x)
    aa, bb, cc, dd = simd.splat(0, x), simd.splat(0, x), simd.splat(0, x), simd.splat(0, x)
    for strip in range(strips):
        i = start + strip * stride
        end = i + length
        while i + 4 * lanes <= end:
            v = simd.vector(x, i) - shift
            a = a + v
            aa = simd.fma(v, v, aa)
            v = simd.vector(x, i + lanes) - shift
            b = b + v
            bb = simd.fma(v, v, bb)
            v = simd.vector(x, i + 2 * lanes) - shift
            c = c + v
            cc = simd.fma(v, v, cc)
            v = simd.vector(x, i + 3 * lanes) - shift
            d = d + v
            dd = simd.fma(v, v, dd)
            i += 4 * lanes
        while i + lanes <= end:
            v = simd.vector(x, i) - shift
            a = a + v
            aa = simd.fma(v, v, aa)
            i += lanes
        if i < end:
            inside = simd.vector_part(mask, 0, end - i)
            v = simd.fma(inside, -shift, simd.vector_part(x, i, end - i))
            b = b + v
            bb = simd.fma(v, v, bb)
    return simd.sum_of((a + b) + (c + d)), simd.sum_of((aa + bb) + (cc + dd))


@jit.exact
def moments(x, start, strips, stride, length, centred):
    """Mean and Σ (x − mean)² of `strips` stretches that begin `stride` apart, in float64.

    Not centred: 0 and Σ x².
    """
    together = max(1, BLOCK // length)  # short stretches share a block, long ones are cut
    count, mean, squares = 0, 0.0, 0.0
    mask = stack.empty(16, x)
    for lane in range(16):
        mask[lane] = 1
    for strip in range(0, strips, together):
        several = min(together, strips - strip)
        for low in range(0, length, BLOCK):
            at, width = start + strip * stride + low, min(BLOCK, length - low)
            n = several * width
            share = 1.0 / n
            shift = x.dtype.type(0)
            if centred:
                shift = guess(x, at, several, stride, width, mask)
            plain, square = squares_about(x, at, several, stride, width, shift, mask)
            if not centred:
                squares += square
                continue
            spread = square - plain * (plain * share)
            spread = 0.0 if spread < 0 else spread  # a NaN stays
            middle = shift + plain * share
            if count == 0:
                mean, squares = middle, spread
            else:
                delta, part = middle - mean, n / (count + n)
                mean += delta * part
                squares += spread + delta * delta * (count * part)
            count += n
    return mean, squares


@jit.inlined
def guess(x, start, strips, stride, length, mask):
    """Mean of the first quarter of a block, rounded to x's dtype.

    It may be as wrong as the data like. If it is δ from the mean, then Σ (x − mean)² is at least n/4 · δ²,
    for the quarter's own elements are δ away on average; so Σ d² = Σ (x − mean)² + n·δ² is at most five
    times the first, and no more than that factor is lost in the difference.
    """
    if strips == 1:
        length = min(length, (length + 4 * SAMPLE - 1) // (4 * SAMPLE) * SAMPLE)
    strips = (strips + 3) // 4
    total = sum_about(x, start, strips, stride, length, x[start], mask)
    return x.dtype.type(x[start] + total / (strips * length))
