"""Loops in vectors over a stretch of neighbours: what the upper rungs are made of.

A mean is a float64; `hi` is its rounding to x's dtype and `lo` the rest. x − hi is exact where x is near the mean
(Sterbenz), and the small rest goes into a constant that is added anyway: so a mean a thousand times
as large as the deviations costs no digit of x̂.

With `weight` one a stretch (a channel), what is done to an element is one subtraction and one or two
multiply-adds with numbers that are computed once. In `row_…` each element has a weight of its own.

Each loop reads a vector ahead of what it writes: a load whose address agrees with that of a store under way in
its last twelve bits waits for it, needlessly, and where an input lies a few bytes off the output's line every
load does (layer norm of 4096×1024: 1.13 ms without, 1.00 with).

`stream` says that the output goes past the caches: `kernels.core.simd.streaming`.

Source: Sterbenz, "Floating-Point Computation", 1974, theorem 4.3.1.
"""

from kernels.core import jit, simd
from kernels.core.rows import BLOCK
from kernels.core.simd.streaming import put_streaming


@jit.inlined
def split(mean, like):
    """Return the mean rounded to the dtype of `like`, and what that left, in float64."""
    hi = like.dtype.type(mean)
    return hi, mean - hi


@jit.inlined
def put(value, y, i, stream):
    """Write a whole vector, past the caches if `stream`."""
    if stream:
        put_streaming(value, y, i)
    else:
        simd.put_vector(value, y, i)


@jit.inlined
def normalise(x, at, length, hi, scale, add, y, stream):
    """y = (x − hi) · scale + add."""
    lanes = simd.lanes(x)
    i, end = at, at + length
    v = simd.vector_part(x, i, length)
    while i + 2 * lanes <= end:
        ahead = simd.vector(x, i + lanes)
        put(simd.fma(v - hi, scale, add), y, i, stream)
        v = ahead
        i += lanes
    while i < end:  # the last whole vector, then what is left of one
        v = simd.vector_part(x, i, end - i) - hi
        simd.put_vector_part(simd.fma(v, scale, add), y, i, end - i)
        i += lanes


@jit.inlined
def row_normalise(x, at, length, hi, scale, add, weight, bias, first, y, stream):
    """y = ((x − hi) · scale + add) · weight + bias, weights from `first` on."""
    lanes = simd.lanes(x)
    i, c, end = at, first, at + length
    v = simd.vector_part(x, i, length)
    while i + 2 * lanes <= end:
        ahead = simd.vector(x, i + lanes)
        v = simd.fma(v - hi, scale, add)
        put(simd.fma(v, simd.vector(weight, c), simd.vector(bias, c)), y, i, stream)
        v = ahead
        i += lanes
        c += lanes
    while i < end:
        v = simd.fma(simd.vector_part(x, i, end - i) - hi, scale, add)
        w, b = simd.vector_part(weight, c, end - i), simd.vector_part(bias, c, end - i)
        simd.put_vector_part(simd.fma(v, w, b), y, i, end - i)
        i += lanes
        c += lanes


@jit.inlined
def sums(dy, x, at, length, hi):
    """Σ dy and Σ dy · (x − hi), each block in vectors, the blocks in float64."""
    lanes = simd.lanes(x)
    plain, along = 0.0, 0.0
    for low in range(at, at + length, BLOCK):
        i, end = low, min(low + BLOCK, at + length)
        a, b, aa, bb = simd.splat(0, x), simd.splat(0, x), simd.splat(0, x), simd.splat(0, x)
        while i + 2 * lanes <= end:
            g = simd.vector(dy, i)
            a = a + g
            aa = simd.fma(g, simd.vector(x, i) - hi, aa)
            g = simd.vector(dy, i + lanes)
            b = b + g
            bb = simd.fma(g, simd.vector(x, i + lanes) - hi, bb)
            i += 2 * lanes
        while i < end:  # one vector, then what is left of one
            g = simd.vector_part(dy, i, end - i)
            a = a + g
            aa = simd.fma(g, simd.vector_part(x, i, end - i) - hi, aa)
            i += lanes
        plain += simd.sum_of(a + b)
        along += simd.sum_of(aa + bb)
    return plain, along


@jit.inlined
def gradient(dy, x, at, length, hi, p, q, t, dx, stream):
    """dx = p · dy + q · (x − hi) + t."""
    lanes = simd.lanes(x)
    i, end = at, at + length
    g, v = simd.vector_part(dy, i, length), simd.vector_part(x, i, length)
    while i + 2 * lanes <= end:
        g_ahead, v_ahead = simd.vector(dy, i + lanes), simd.vector(x, i + lanes)
        put(simd.fma(g, p, simd.fma(v - hi, q, t)), dx, i, stream)
        g, v = g_ahead, v_ahead
        i += lanes
    while i < end:
        v = simd.fma(simd.vector_part(x, i, end - i) - hi, q, t)
        v = simd.fma(simd.vector_part(dy, i, end - i), p, v)
        simd.put_vector_part(v, dx, i, end - i)
        i += lanes


@jit.inlined
def row_sums(dy, x, at, length, hi, weight, first):
    """Σ g and Σ g · (x − hi), g = dy · weight, weights from `first` on."""
    lanes = simd.lanes(x)
    plain, along = 0.0, 0.0
    for low in range(0, length, BLOCK):
        i, c, end = at + low, first + low, at + min(low + BLOCK, length)
        a, b, aa, bb = simd.splat(0, x), simd.splat(0, x), simd.splat(0, x), simd.splat(0, x)
        while i + 2 * lanes <= end:
            g = simd.vector(dy, i) * simd.vector(weight, c)
            a = a + g
            aa = simd.fma(g, simd.vector(x, i) - hi, aa)
            g = simd.vector(dy, i + lanes) * simd.vector(weight, c + lanes)
            b = b + g
            bb = simd.fma(g, simd.vector(x, i + lanes) - hi, bb)
            i += 2 * lanes
            c += 2 * lanes
        while i < end:
            g = simd.vector_part(dy, i, end - i) * simd.vector_part(weight, c, end - i)
            a = a + g
            aa = simd.fma(g, simd.vector_part(x, i, end - i) - hi, aa)
            i += lanes
            c += lanes
        plain += simd.sum_of(a + b)
        along += simd.sum_of(aa + bb)
    return plain, along


@jit.inlined
def row_gradient(dy, x, at, length, hi, p, q, t, weight, first, dx, stream):
    """dx = p · dy · weight + q · (x − hi) + t, weights from `first` on."""
    lanes = simd.lanes(x)
    i, c, end = at, first, at + length
    g, v = simd.vector_part(dy, i, length), simd.vector_part(x, i, length)
    while i + 2 * lanes <= end:
        g_ahead, v_ahead = simd.vector(dy, i + lanes), simd.vector(x, i + lanes)
        put(simd.fma(g * simd.vector(weight, c), p, simd.fma(v - hi, q, t)), dx, i, stream)
        g, v = g_ahead, v_ahead
        i += lanes
        c += lanes
    while i < end:
        v = simd.fma(simd.vector_part(x, i, end - i) - hi, q, t)
        g = simd.vector_part(dy, i, end - i) * simd.vector_part(weight, c, end - i)
        simd.put_vector_part(simd.fma(g, p, v), dx, i, end - i)
        i += lanes
        c += lanes


@jit.inlined
def row_both(
    dy, x, at, length, hi, p, q, t, scale, add, weight, first, dx, total, along, plain, stream
):
    """Do `row_gradient` and `row_add` on vectors that are read once."""
    lanes = simd.lanes(x)
    j = 0
    g, v = simd.vector_part(dy, at, length), simd.vector_part(x, at, length)
    while j + 2 * lanes <= length:
        g_ahead, v_ahead = simd.vector(dy, at + j + lanes), simd.vector(x, at + j + lanes)
        a, b = simd.vector(total, along + j), simd.vector(total, plain + j)
        v = v - hi
        gradient = simd.fma(g * simd.vector(weight, first + j), p, simd.fma(v, q, t))
        put(gradient, dx, at + j, stream)
        simd.put_vector(simd.fma(g, simd.fma(v, scale, add), a), total, along + j)
        simd.put_vector(b + g, total, plain + j)
        g, v = g_ahead, v_ahead
        j += lanes
    while j < length:
        left = length - j
        g = simd.vector_part(dy, at + j, left)
        v = simd.vector_part(x, at + j, left) - hi
        w = simd.vector_part(weight, first + j, left)
        a, b = simd.vector_part(total, along + j, left), simd.vector_part(total, plain + j, left)
        simd.put_vector_part(simd.fma(g * w, p, simd.fma(v, q, t)), dx, at + j, left)
        simd.put_vector_part(simd.fma(g, simd.fma(v, scale, add), a), total, along + j, left)
        simd.put_vector_part(b + g, total, plain + j, left)
        j += lanes


@jit.inlined
def row_add(dy, x, at, length, hi, scale, add, total, along, plain):
    """total[along + j] += dy · ((x − hi) · scale + add) and total[plain + j] += dy, element by element."""
    lanes = simd.lanes(x)
    j = 0
    while j + lanes <= length:
        g = simd.vector(dy, at + j)
        v = simd.fma(simd.vector(x, at + j) - hi, scale, add)
        a, b = simd.vector(total, along + j), simd.vector(total, plain + j)
        simd.put_vector(simd.fma(g, v, a), total, along + j)
        simd.put_vector(b + g, total, plain + j)
        j += lanes
    if j < length:
        left = length - j
        g = simd.vector_part(dy, at + j, left)
        v = simd.fma(simd.vector_part(x, at + j, left) - hi, scale, add)
        v = simd.fma(g, v, simd.vector_part(total, along + j, left))
        simd.put_vector_part(v, total, along + j, left)
        g = simd.vector_part(total, plain + j, left) + g
        simd.put_vector_part(g, total, plain + j, left)


@jit.inlined
def total(dy, at, length):
    """Σ dy, each block in vectors, the blocks in float64."""
    lanes = simd.lanes(dy)
    plain = 0.0
    for low in range(at, at + length, BLOCK):
        i, end = low, min(low + BLOCK, at + length)
        a, b = simd.splat(0, dy), simd.splat(0, dy)
        c, d = simd.splat(0, dy), simd.splat(0, dy)
        while i + 4 * lanes <= end:
            a = a + simd.vector(dy, i)
            b = b + simd.vector(dy, i + lanes)
            c = c + simd.vector(dy, i + 2 * lanes)
            d = d + simd.vector(dy, i + 3 * lanes)
            i += 4 * lanes
        while i < end:
            a = a + simd.vector_part(dy, i, end - i)
            i += lanes
        plain += simd.sum_of((a + b) + (c + d))
    return plain


@jit.inlined
def down(dy, first, last, length, total, place):
    """total[place + j] = Σ dy[row, j] over the rows [first, last)."""
    lanes = simd.lanes(dy)
    total[place : place + length] = 0
    for row in range(first, last):
        j, at = 0, row * length
        while j + lanes <= length:
            v = simd.vector(total, place + j) + simd.vector(dy, at + j)
            simd.put_vector(v, total, place + j)
            j += lanes
        if j < length:
            left = length - j
            v = simd.vector_part(total, place + j, left) + simd.vector_part(dy, at + j, left)
            simd.put_vector_part(v, total, place + j, left)
