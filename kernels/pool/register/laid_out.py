"""What a gradient reads: rows of dy with zeros around them, and their winners' numbers.

No load of a tap needs a mask then. A number is a float, counted from its window's corner: the tap, or by
how much the plane's flat index grows, so that an input knows its own. One that names no tap of its window
is no input's, and moves nothing.

Such numbers are counted as they are laid out. Where the taps of a window that exist begin at `low`, a good
number is low + r·p + o, with p how far the rows of taps lie apart in numbers: a multiplication by 1/p and a
rounding give r, what is left is o, and both must lie between bounds.
"""

from kernels.core import jit, simd
from kernels.core.windows import taps_below
from kernels.pool.register.ends import part, put

BAND = 32  # rows of dy laid out at a time
EXACT = 1 << 20  # numbers below this come out of the arithmetic above unharmed in float32


@jit.inlined
def number_steps(kernel, dilation, width, window):
    """By how much a tap's number grows from row to row, and from column to column; one over the first."""
    down, along = (kernel[1], 1) if window else (dilation[0] * width, dilation[1])
    return down, along, 1 / down


@jit.exact
def number_taps(kernel, stride, padding, dilation, width, window, lows, highs, codes):
    """Fill each column's bounds for good numbers, and a vector of each tap's number."""
    down, along, _ = number_steps(kernel, dilation, width, window)
    for ow in range(lows.shape[0]):
        start = ow * stride[1] - padding[1]
        s0 = taps_below(start, dilation[1], kernel[1], 0)
        s1 = taps_below(start, dilation[1], kernel[1], width)
        lows[ow], highs[ow] = s0 * along, (s1 - 1 - s0) * along
    lanes = codes.shape[0] // (kernel[0] * kernel[1])
    for tap in range(kernel[0] * kernel[1]):
        for lane in range(lanes):
            codes[tap * lanes + lane] = tap // kernel[1] * down + tap % kernel[1] * along


@jit.inlined
def lay_out(
    match, share_of, dy, kept, ys, at, width, corner, apart, weights, factor, bounds, rows, code, dys, numbers, place
):  # fmt: skip
    """Copy a row of dy, and of winners' numbers; return how many of these are no tap of their windows."""
    lanes = simd.lanes(dys)
    lows, highs = bounds
    down, along, rate = code
    wrong = simd.splat(0, dys)
    for o in range(0, width, lanes):
        left = width - o
        value = share_of(part(dy, at + o, left), weights, o, factor, ys, at + o, left)
        put(value, dys, place + o, left)
        if match:
            number = simd.numbers(kept, at + o, left, corner + o * apart, apart, dys)
            put(number, numbers, place + o, left)
            low, high = simd.vector(lows, o), simd.vector(highs, o)
            ahead = number - low
            r = simd.rint(simd.fma(ahead, rate, 0.5 * rate - 0.5))
            rest = simd.fma(r, -down, ahead)
            good = (r >= rows[0]) & (r < rows[1]) & (rest >= 0) & (rest <= high)
            if along != 1:  # every place between is a tap where columns are not spread apart
                good = good & (simd.rint(rest * (1 / along)) * along == rest)
            wrong = simd.select(good | (low < 0), wrong, wrong + 1)
    return wrong
