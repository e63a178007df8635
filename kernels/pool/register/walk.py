"""Windows of 2 × 2 and 3 × 3 at stride 1 and 2: everything in registers.

A *strip* is one vector of outputs wide. For each row of x the taps of the strip's windows are folded
across, a vector a tap; where the stride is 2, two vectors are read and sorted into even and odd columns.
Then they are folded down: a row's fold stays in its register until the last window that holds it is done,
so x is read once. The masks of the strip's edges are made once for all of its rows.

Down a strip memory is met in steps of a row. That is as good as any order while the plane lies in the
first cache; a plane that does not is walked row by row instead (`stream`): folded down first, vector after
vector along the row, then across, with the next vector shifted in from the right.
"""

from kernels.core import jit, simd
from kernels.pool.register.ends import put


@jit.inlined
def across(fold, term, doubt, fill, xs, row, column, width, taps, stride):
    """Fold the taps of one row: those of lane l begin at `column` + l · stride. Also return doubt."""
    lanes = simd.lanes(xs)
    at, low, high = row + column, -column, width - column
    if stride == 1:
        first = simd.vector_between(xs, at, low, high, fill)
        last = simd.vector_between(xs, at + 1, low - 1, high - 1, fill)
        value = fold(term(first), term(last))
        if taps == 3:
            last = simd.vector_between(xs, at + 2, low - 2, high - 2, fill)
            value = fold(value, term(last))
        return value, doubt(first, last)
    first = simd.vector_between(xs, at, low, high, fill)
    last = simd.vector_between(xs, at + lanes, low - lanes, high - lanes, fill)
    even, odd = simd.deinterleave(term(first), term(last))
    value = fold(even, odd)
    unsure = doubt(first, last)
    if taps == 3:
        beyond = column + 2 * lanes  # the third tap of the last lane
        far = simd.vector_between(xs, row + beyond, 0, min(1, width - beyond), fill)
        third = simd.shifted(even, term(far), 1)
        value = fold(value, third)
        unsure = unsure | doubt(third, third)
    return value, unsure


@jit.inlined
def strip(
    fold, term, doubt, finish, fill, xs, base, size, column, top, taps, stride, ys, to, out, o, weights, factors
):  # fmt: skip
    """Fill the outputs [o, o + lanes) of all rows of a plane; return whether there was doubt."""
    nothing = simd.splat(fill, xs)
    above, between, unsure = nothing, nothing, doubt(nothing, nothing)
    oh = 0
    for step in range((out[0] - 1) * stride + taps):
        ih = step - top
        below = nothing
        if 0 <= ih < size[0]:
            row = base + ih * size[1]
            below, more = across(fold, term, doubt, fill, xs, row, column, size[1], taps, stride)
            unsure = unsure | more
        if step == oh * stride + taps - 1:
            value = fold(between, below) if taps == 2 else fold(fold(above, between), below)
            value = finish(value, weights, o, factors[oh])
            simd.put_vector_part(value, ys, to + oh * out[1] + o, out[1] - o)
            oh += 1
        above, between = between, below
    return simd.any_of(unsure)


@jit.inlined
def down(fold, term, doubt, fill, xs, row, pitch, rows, column, width):
    """Fold `rows` rows at the vector that begins at `column`, which may lie in the padding; and doubt."""
    first = reach(xs, row, column, width, fill)
    value, last = term(first), first
    if rows > 1:
        last = reach(xs, row + pitch, column, width, fill)
        value = fold(value, term(last))
    unsure = doubt(first, last)
    if rows > 2:
        last = reach(xs, row + 2 * pitch, column, width, fill)
        value = fold(value, term(last))
        unsure = unsure | doubt(last, last)
    return value, unsure


@jit.inlined
def reach(xs, row, column, width, fill):
    """Read a vector of a row, `fill` where it lies outside."""
    if column >= 0 and column + simd.lanes(xs) <= width:
        return simd.vector(xs, row + column)
    return simd.vector_between(xs, row + column, -column, width - column, fill)


@jit.inlined
def stream(
    fold, term, doubt, finish, fill, xs, row, rows, width, left, taps, stride, ys, to, count, weights, factor
):  # fmt: skip
    """Fill one row of outputs from `rows` rows of x; return whether there was doubt."""
    lanes = simd.lanes(xs)
    even = odd = simd.splat(fill, xs)
    unsure = doubt(even, even)
    for o in range(-lanes, count, lanes):
        column = (o + lanes) * stride - left
        first, more = down(fold, term, doubt, fill, xs, row, width, rows, column, width)
        unsure = unsure | more
        second = first
        if stride == 2:
            second, more = down(
                fold, term, doubt, fill, xs, row, width, rows, column + lanes, width
            )
            unsure = unsure | more
            first, second = simd.deinterleave(first, second)
        if o >= 0:
            value = fold(even, odd) if stride == 2 else fold(even, simd.shifted(even, first, 1))
            if taps == 3:
                third = (
                    simd.shifted(even, first, 1) if stride == 2 else simd.shifted(even, first, 2)
                )
                value = fold(value, third)
            put(finish(value, weights, o, factor), ys, to + o, count - o)
        even, odd = first, second
    return simd.any_of(unsure)
