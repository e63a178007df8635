"""Rows: their largest element, sums, exponentials, softmax. What softmax, losses, attention and norms share.

A row is `count` neighbours of a flat array from `start` on: whole vectors, then what is left of one. A
softmax's row is read from memory once and then lies in a cache for the other passes,

    m = max x,    Σ = Σ exp(x − m),    y = exp(x − m)/Σ

which cost, 1024 float32 in the first cache, 0.02, 0.18 and 0.03 ns an element. Keeping a running
maximum and rescaling the sum where it grows (Milakov and Gimelshein) saves the first pass and computes
the exponentials twice, or waits in a chain of multiplications; it is for rows that no cache holds.

Sums run in vectors, `BLOCK` elements at a time, and over blocks in float64: LANES sums of at most
BLOCK/LANES terms lose less than a sum in order. `across` are the same for rows whose elements are `stride`
apart, as many neighbouring rows at once as a vector has lanes.

A NaN, a +inf or nothing but −inf makes a NaN of the sum, and so of all of the row.

Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867.
"""

from kernels.core import jit, simd, vecmath

BLOCK = 2048  # elements of a row that are summed in vectors
DEEP = 64  # the same of a row that lies across
LEAST = -float("inf")


@jit.inlined
def largest(x, start, count):
    """Return the largest element, of four vectors' worth at a time; what it is where one is NaN is not said."""
    step = simd.lanes(x)
    end = start + count
    a = simd.splat(LEAST, x)
    b, c, d = a, a, a
    i = start
    while i + 4 * step <= end:
        a = vecmath.at_least(simd.vector(x, i), a)
        b = vecmath.at_least(simd.vector(x, i + step), b)
        c = vecmath.at_least(simd.vector(x, i + 2 * step), c)
        d = vecmath.at_least(simd.vector(x, i + 3 * step), d)
        i += 4 * step
    a, c = vecmath.at_least(a, b), vecmath.at_least(c, d)
    while i < end:
        a = vecmath.at_least(simd.vector_between(x, i, 0, end - i, LEAST), a)
        i += step
    return simd.largest_of(vecmath.at_least(a, c))


@jit.inlined
def exp_sum(x, start, count, top, y):
    """y = exp(x − top); return their sum, in float64."""
    step = simd.lanes(x)
    total = 0.0
    for low in range(start, start + count, BLOCK):
        end = min(low + BLOCK, start + count)
        part = simd.splat(0.0, x)
        i = low
        while i + step <= end:
            e = vecmath.exp(simd.vector(x, i) - top)
            simd.put_vector(e, y, i)
            part = part + e
            i += step
        if i < end:
            e = vecmath.exp(simd.vector_between(x, i, 0, end - i, LEAST) - top)
            simd.put_vector_part(e, y, i, end - i)
            part = part + e
        total += simd.sum_of(part)
    return total


@jit.inlined
def exp_total(x, start, count, top):
    """Return Σ exp(x − top), in float64."""
    step = simd.lanes(x)
    total = 0.0
    for low in range(start, start + count, BLOCK):
        end = min(low + BLOCK, start + count)
        part = simd.splat(0.0, x)
        i = low
        while i + step <= end:
            part = part + vecmath.exp(simd.vector(x, i) - top)
            i += step
        if i < end:
            part = part + vecmath.exp(simd.vector_between(x, i, 0, end - i, LEAST) - top)
        total += simd.sum_of(part)
    return total


@jit.inlined
def total_of(x, start, count):
    """Return Σ x, in float64."""
    step = simd.lanes(x)
    total = 0.0
    for low in range(start, start + count, BLOCK):
        end = min(low + BLOCK, start + count)
        a = simd.splat(0.0, x)
        b = a
        i = low
        while i + 2 * step <= end:
            a = a + simd.vector(x, i)
            b = b + simd.vector(x, i + step)
            i += 2 * step
        while i < end:
            a = a + simd.vector_part(x, i, end - i)
            i += step
        total += simd.sum_of(a + b)
    return total


@jit.inlined
def product_of(x, z, start, count):
    """Return Σ x·z, in float64."""
    step = simd.lanes(x)
    total = 0.0
    for low in range(start, start + count, BLOCK):
        end = min(low + BLOCK, start + count)
        a = simd.splat(0.0, x)
        b = a
        i = low
        while i + 2 * step <= end:
            a = simd.fma(simd.vector(x, i), simd.vector(z, i), a)
            b = simd.fma(simd.vector(x, i + step), simd.vector(z, i + step), b)
            i += 2 * step
        while i < end:
            left = end - i
            a = simd.fma(simd.vector_part(x, i, left), simd.vector_part(z, i, left), a)
            i += step
        total += simd.sum_of(a + b)
    return total


@jit.inlined
def softmax(x, start, count, y):
    """Fill a row of y."""
    total = exp_sum(x, start, count, largest(x, start, count), y)
    factor = simd.splat(1.0 / total, y)
    step = simd.lanes(y)
    i = start
    while i + step <= start + count:
        simd.put_vector(simd.vector(y, i) * factor, y, i)
        i += step
    left = start + count - i
    simd.put_vector_part(simd.vector_part(y, i, left) * factor, y, i, left)


@jit.inlined
def softmax_dx(dy, y, start, count, dx):
    """Fill a row of dx."""
    total = simd.splat(product_of(dy, y, start, count), dx)
    step = simd.lanes(dx)
    i = start
    while i + step <= start + count:
        simd.put_vector(simd.vector(y, i) * (simd.vector(dy, i) - total), dx, i)
        i += step
    left = start + count - i
    last = simd.vector_part(y, i, left) * (simd.vector_part(dy, i, left) - total)
    simd.put_vector_part(last, dx, i, left)


@jit.inlined
def log_softmax(x, start, count, y):
    """Fill a row of y."""
    top = largest(x, start, count)
    less = simd.splat(vecmath.log(exp_total(x, start, count, top)), y)
    step = simd.lanes(y)
    i = start
    while i + step <= start + count:
        simd.put_vector((simd.vector(x, i) - top) - less, y, i)
        i += step
    left = start + count - i
    simd.put_vector_part((simd.vector_part(x, i, left) - top) - less, y, i, left)


@jit.inlined
def log_softmax_dx(dy, y, start, count, dx):
    """Fill a row of dx."""
    less = simd.splat(-total_of(dy, start, count), dx)
    step = simd.lanes(dx)
    i = start
    while i + step <= start + count:
        simd.put_vector(simd.fma(vecmath.exp(simd.vector(y, i)), less, simd.vector(dy, i)), dx, i)
        i += step
    left = start + count - i
    last = vecmath.exp(simd.vector_part(y, i, left))
    simd.put_vector_part(simd.fma(last, less, simd.vector_part(dy, i, left)), dx, i, left)


@jit.inlined
def largest_across(x, start, count, stride, width):
    """Return the largest of each of `width` neighbouring rows."""
    top = simd.splat(LEAST, x)
    for j in range(count):
        top = vecmath.at_least(simd.vector_part(x, start + j * stride, width), top)
    return top


@jit.inlined
def softmax_across(x, start, count, stride, width, y):
    """Fill `width` neighbouring rows of y."""
    top = largest_across(x, start, count, stride, width)
    total = simd.splat(0.0, y)
    for low in range(0, count, DEEP):
        part = simd.splat(0.0, y)
        for j in range(low, min(low + DEEP, count)):
            i = start + j * stride
            e = vecmath.exp(simd.vector_part(x, i, width) - top)
            simd.put_vector_part(e, y, i, width)
            part = part + e
        total = total + part
    factor = simd.splat(1.0, y) / total
    for j in range(count):
        i = start + j * stride
        simd.put_vector_part(simd.vector_part(y, i, width) * factor, y, i, width)


@jit.inlined
def softmax_dx_across(dy, y, start, count, stride, width, dx):
    """Fill `width` neighbouring rows of dx."""
    total = simd.splat(0.0, dx)
    for low in range(0, count, DEEP):
        part = simd.splat(0.0, dx)
        for j in range(low, min(low + DEEP, count)):
            i = start + j * stride
            part = simd.fma(simd.vector_part(dy, i, width), simd.vector_part(y, i, width), part)
        total = total + part
    for j in range(count):
        i = start + j * stride
        share = simd.vector_part(y, i, width) * (simd.vector_part(dy, i, width) - total)
        simd.put_vector_part(share, dx, i, width)


@jit.inlined
def log_softmax_across(x, start, count, stride, width, y):
    """Fill `width` neighbouring rows of y."""
    top = largest_across(x, start, count, stride, width)
    total = simd.splat(0.0, y)
    for low in range(0, count, DEEP):
        part = simd.splat(0.0, y)
        for j in range(low, min(low + DEEP, count)):
            part = part + vecmath.exp(simd.vector_part(x, start + j * stride, width) - top)
        total = total + part
    less = vecmath.log(total)
    for j in range(count):
        i = start + j * stride
        simd.put_vector_part((simd.vector_part(x, i, width) - top) - less, y, i, width)


@jit.inlined
def log_softmax_dx_across(dy, y, start, count, stride, width, dx):
    """Fill `width` neighbouring rows of dx."""
    total = simd.splat(0.0, dx)
    for low in range(0, count, DEEP):
        part = simd.splat(0.0, dx)
        for j in range(low, min(low + DEEP, count)):
            part = part + simd.vector_part(dy, start + j * stride, width)
        total = total + part
    for j in range(count):
        i = start + j * stride
        share = vecmath.exp(simd.vector_part(y, i, width)) * total
        simd.put_vector_part(simd.vector_part(dy, i, width) - share, dx, i, width)
