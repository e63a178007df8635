"""Gradients under dense windows of 2 × 2 and 3 × 3: one row of windows at a time.

A vector of neighbouring windows hands back, for each row of taps, a vector of inputs (two, of even and odd
columns, where the stride is 2): dy at the windows' own place under tap 0, a lane further under the next, and
for the maximum only where the winner's number is the tap's. A row of dx lies under up to three rows of
windows; what those above it have handed back is carried along in the first cache until the last has come,
and then written, once, in the order of memory. The taps are unrolled, their numbers are vectors.
"""

import numpy as np

from kernels.core import jit, simd
from kernels.pool.register.laid_out import BAND, lay_out, number_steps


@jit.inlined
def won(match, total, value, number, code):
    """Add dy of the windows, or (`match`) of those that this tap won."""
    if not match:
        return total + value
    return simd.select(number == code, total + value, total)


@jit.inlined
def tap_row(match, size, stride, values, taken, codes, start):
    """What a row of taps hands back to a vector of inputs: its even and odd phase where the stride is 2."""
    v0, v1, v2 = values
    n0, n1, n2 = taken
    c0, c1, c2 = codes
    even = won(match, start[0], v0, n0, c0)
    odd = start[1]
    if stride == 2:
        odd = won(match, odd, v0, n0, c1)
    else:
        even = won(match, even, v1, n1, c1)
    if size == 3 and stride == 2:
        even = won(match, even, v1, n1, c2)
    elif size == 3:
        even = won(match, even, v2, n2, c2)
    return even, odd


@jit.inlined
def codes_of(codes, r, size):
    """Return a row of taps' numbers, a vector each; of two taps the second twice."""
    at = r * size * simd.lanes(codes)
    first, second = simd.vector(codes, at), simd.vector(codes, at + simd.lanes(codes))
    if size == 2:
        return first, second, second
    return first, second, simd.vector(codes, at + 2 * simd.lanes(codes))


@jit.inlined
def put_inside(value, row, place, at, width):
    """Write what lies in [0, width) of a row."""
    if at >= 0 and at + simd.lanes(row) <= width:
        simd.put_vector(value, row, place + at)
    else:
        simd.put_vector_between(value, row, place + at, -at, width - at)


@jit.inlined
def put_pair(pair, stride, row, place, at, width):
    """Write a vector of inputs, or two phases interleaved."""
    even, odd = pair
    if stride == 2:
        even, odd = simd.interleave(even, odd)
        put_inside(odd, row, place, at + simd.lanes(row), width)
    put_inside(even, row, place, at, width)


@jit.inlined
def small_row(
    match, dys, numbers, codes, at, size, stride, dx, place, ih, height, width, left, carried
):
    """Add one row of dense windows, `stride` apart, to the rows of dx below it, and write what is complete.

    What the last rows of taps hand back is carried on to the next row of windows.
    """
    lanes = simd.lanes(dys)
    nothing = simd.splat(0, dys)
    room = carried.size // 2
    v_last, n_last = nothing, simd.splat(-1, dys)
    for q in range(0, width + left, lanes * stride):
        here = at + q // stride
        v0, n0 = simd.vector(dys, here), v_last
        if match:
            n0 = simd.vector(numbers, here)
        v1, n1 = simd.shifted(v_last, v0, -1), simd.shifted(n_last, n0, -1)
        v2, n2 = simd.shifted(v_last, v0, -2), simd.shifted(n_last, n0, -2)
        v_last, n_last = v0, n0
        values, taken = (v0, v1, v2), (n0, n1, n2)
        start = nothing, nothing
        if size > stride:
            start = simd.vector(carried, q), simd.vector(carried, q + lanes)
        first = tap_row(match, size, stride, values, taken, codes[0], start)
        start = nothing, nothing
        if size == 3 and stride == 1:
            start = simd.vector(carried, room + q), nothing
        second = tap_row(match, size, stride, values, taken, codes[1], start)
        if stride == 1:
            simd.put_vector(second[0], carried, q)
        if size == 3:
            third = tap_row(match, size, stride, values, taken, codes[2], (nothing, nothing))
            if stride == 1:
                simd.put_vector(third[0], carried, room + q)
            else:
                simd.put_vector(third[0], carried, q)
                simd.put_vector(third[1], carried, q + lanes)
        if 0 <= ih < height:
            put_pair(first, stride, dx, place + ih * width, q - left, width)
        if stride == 2 and 0 <= ih + 1 < height:
            put_pair(second, stride, dx, place + (ih + 1) * width, q - left, width)


@jit.inlined
def small_planes(
    match, share_of, dy, kept, y, first, last, size, stride, padding, window, weights, factors, dx, lost, scratch, bounds, codes
):  # fmt: skip
    """Fill the planes [first, last) of dx under dense windows, and (`match`) of lost."""
    lanes = simd.lanes(dx)
    out, extent = (dy.shape[2], dy.shape[3]), (dx.shape[2], dx.shape[3])
    grads, flat, ys = dy.reshape(dy.size), dx.reshape(dx.size), y.reshape(y.size)
    span = (extent[1] + padding[1] + 3 * lanes - 1) // lanes * lanes
    carried, scratch = scratch[: 2 * span], scratch[2 * span :]
    half = scratch.size // (2 * lanes) * lanes  # all begin on a boundary
    dys, numbers = scratch[:half], scratch[half:]
    dys[:] = 0
    numbers[:] = -1
    pitch = (span // stride + 3 * lanes - 1) // lanes * lanes
    code = number_steps((size, size), (1, 1), extent[1], window)
    steps = (extent[0] + padding[0] + stride - 1) // stride
    last_row = size - 1
    rows_of_codes = (
        codes_of(codes, 0, size), codes_of(codes, 1, size), codes_of(codes, last_row, size)
    )  # fmt: skip
    for plane in range(first, last):
        base, to = plane * out[0] * out[1], plane * extent[0] * extent[1]
        carried[:] = 0
        bad = simd.splat(0, dys)
        for low in range(0, steps, BAND):
            for oh in range(low, min(low + BAND, out[0])):
                ih = oh * stride - padding[0]
                bad = bad + lay_out(
                    match, share_of, grads, kept, ys, base + oh * out[1], out[1],
                    0 if window else ih * extent[1] - padding[1], 0 if window else stride, weights,
                    factors[oh], bounds, (max(0, -ih), min(size, extent[0] - ih)), code,
                    dys, numbers, (oh - low) * pitch + lanes,
                )  # fmt: skip
            for oh in range(low, min(low + BAND, steps)):
                row = oh - low if oh < out[0] else BAND  # that of no windows stays empty
                small_row(
                    match, dys, numbers, rows_of_codes, row * pitch + lanes, size, stride, flat, to,
                    oh * stride - padding[0], extent[0], extent[1], padding[1], carried,
                )  # fmt: skip
        if match:
            lost[plane] = np.int64(simd.sum_of(bad))
