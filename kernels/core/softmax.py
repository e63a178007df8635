"""Rows: their largest element, sums, exponentials, softmax. What activations, losses and attention share.

A row is `count` neighbours of a flat array from `start` on: whole vectors, then what is left of one. A
softmax's row is read from memory once and then lies in a cache for the other passes,

    m = max x,    Σ = Σ exp(x − m),    y = exp(x − m)/Σ

which cost, 1024 float32 in the second cache, 0.03, 0.18 and 0.03 ns an element, and 0.06 between them. The
exponentials wait in a `room` of one row, which stays in the cache, so that each element of y is written once,
past the caches where y is large. Keeping a running maximum and rescaling the sum where it grows (Milakov and Gimelshein) saves the
first pass, and computes the exponentials twice; it is for rows that no cache holds.

Sums run in vectors, `BLOCK` elements at a time, and over blocks in float64: LANES sums of at most
BLOCK/LANES terms lose less than a sum in order. Rows whose elements lie apart: `core.panels`.

A NaN, a +inf or nothing but −inf makes a NaN of the sum, and so of all of the row.

Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", arXiv 1805.02867.
"""

from kernels.core import jit, simd, vecmath
from kernels.core.simd.streaming import put_streaming

BLOCK = 2048  # elements of a row that are summed in vectors
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
def put(value, y, i, stream):
    """Write a vector, past the caches where `stream`."""
    if stream:
        put_streaming(value, y, i)
    else:
        simd.put_vector(value, y, i)


@jit.inlined
def exp_sum(x, start, count, top, room, at):
    """Fill `count` elements of the room from `at` on with exp(x − top); return their sum, in float64."""
    step = simd.lanes(x)
    total = 0.0
    for low in range(0, count, BLOCK):
        end = min(low + BLOCK, count)
        part = simd.splat(0.0, x)
        whole = low + (end - low) // step * step
        for i in range(low, whole, step):
            e = vecmath.exp_below(simd.vector(x, start + i) - top)
            simd.put_vector(e, room, at + i)
            part = part + e
        if whole < end:
            rest = simd.vector_between(x, start + whole, 0, end - whole, LEAST)
            e = vecmath.exp_below(rest - top)
            simd.put_vector_part(e, room, at + whole, end - whole)
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
        whole = low + (end - low) // step * step
        for i in range(low, whole, step):
            part = part + vecmath.exp_below(simd.vector(x, i) - top)
        if whole < end:
            rest = simd.vector_between(x, whole, 0, end - whole, LEAST)
            part = part + vecmath.exp_below(rest - top)
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
def scale(room, at, count, factor, y, start, stream):
    """Fill a row of y with the room's elements times a factor."""
    step = simd.lanes(y)
    factors = simd.splat(factor, y)
    whole = count // step * step
    if stream:
        for i in range(0, whole, step):
            put_streaming(simd.vector(room, at + i) * factors, y, start + i)
    else:
        for i in range(0, whole, step):
            simd.put_vector(simd.vector(room, at + i) * factors, y, start + i)
    left = count - whole
    last = simd.vector_part(room, at + whole, left) * factors
    simd.put_vector_part(last, y, start + whole, left)


@jit.inlined
def shift(x, start, count, top, less, y, stream):
    """Fill a row of y with (x − top) − less."""
    step = simd.lanes(y)
    lesses = simd.splat(less, y)
    whole = start + count // step * step
    if stream:
        for i in range(start, whole, step):
            put_streaming((simd.vector(x, i) - top) - lesses, y, i)
    else:
        for i in range(start, whole, step):
            simd.put_vector((simd.vector(x, i) - top) - lesses, y, i)
    left = start + count - whole
    last = (simd.vector_part(x, whole, left) - top) - lesses
    simd.put_vector_part(last, y, whole, left)


@jit.inlined
def softmax_dx(dy, y, start, count, dx, stream):
    """Fill a row of dx."""
    total = simd.splat(product_of(dy, y, start, count), dx)
    step = simd.lanes(dx)
    i = start
    while i + step <= start + count:
        put(simd.vector(y, i) * (simd.vector(dy, i) - total), dx, i, stream)
        i += step
    left = start + count - i
    last = simd.vector_part(y, i, left) * (simd.vector_part(dy, i, left) - total)
    simd.put_vector_part(last, dx, i, left)


@jit.inlined
def log_softmax_dx(dy, y, start, count, dx, stream):
    """Fill a row of dx."""
    less = simd.splat(-total_of(dy, start, count), dx)
    step = simd.lanes(dx)
    i = start
    while i + step <= start + count:
        e = vecmath.exp(simd.vector(y, i))
        put(simd.fma(e, less, simd.vector(dy, i)), dx, i, stream)
        i += step
    left = start + count - i
    last = vecmath.exp(simd.vector_part(y, i, left))
    simd.put_vector_part(simd.fma(last, less, simd.vector_part(dy, i, left)), dx, i, left)
