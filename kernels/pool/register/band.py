"""Windows of any size, stride and dilation: a strip's rows folded across into a buffer, then down.

The buffer holds a vector for each row of x that a band of outputs sees. It is written and read a whole
vector at a time at the same places, so what was just stored is passed on before it reaches the cache.
"""

from kernels.core import jit, simd

BAND = 16  # rows of outputs: those of x then stay in the first cache from strip to strip


def rows_in_band(kernel: int, stride: int, dilation: int) -> int:
    """Rows of x that a band of outputs sees."""
    return (BAND - 1) * stride + dilation * (kernel - 1) + 1


@jit.inlined
def taps_of(xs, row, column, width, stride, fill):
    """Read one tap of a strip: lane l at `column` + l · stride, `fill` outside the row."""
    lanes = simd.lanes(xs)
    if stride == 1:
        return simd.vector_between(xs, row + column, -column, width - column, fill)
    if stride == 2:
        high = column + lanes
        first = simd.vector_between(xs, row + column, -column, width - column, fill)
        second = simd.vector_between(xs, row + high, -high, width - high, fill)
        return simd.deinterleave(first, second)[0]
    low = (-column + stride - 1) // stride if column < 0 else 0
    high = (width - column + stride - 1) // stride
    return simd.vector_apart(xs, row + column, stride, low, high, fill)


@jit.inlined
def band(
    fold,
    term,
    finish,
    fill,
    xs,
    base,
    size,
    column,
    options,
    ys,
    to,
    out,
    o,
    first,
    last,
    weights,
    factors,
    rows,
):
    """Fill the outputs [o, o + lanes) of the rows [first, last) of a plane."""
    kernel, stride, padding, dilation = options
    lanes = simd.lanes(xs)
    top = first * stride[0] - padding[0]
    bottom = min(size[0], (last - 1) * stride[0] - padding[0] + dilation[0] * (kernel[0] - 1) + 1)
    for ih in range(max(0, top), bottom):
        row = base + ih * size[1]
        value = term(taps_of(xs, row, column, size[1], stride[1], fill))
        for s in range(1, kernel[1]):
            tap = taps_of(xs, row, column + s * dilation[1], size[1], stride[1], fill)
            value = fold(value, term(tap))
        simd.put_vector(value, rows, (ih - top) * lanes)
    for oh in range(first, last):
        ih = oh * stride[0] - padding[0]
        r = 0 if ih >= 0 else (-ih + dilation[0] - 1) // dilation[0]
        value = simd.vector(rows, (ih + r * dilation[0] - top) * lanes)
        for below in range(r + 1, kernel[0]):
            if ih + below * dilation[0] >= size[0]:
                break
            value = fold(value, simd.vector(rows, (ih + below * dilation[0] - top) * lanes))
        value = finish(value, weights, o, factors[oh])
        simd.put_vector_part(value, ys, to + oh * out[1] + o, out[1] - o)
