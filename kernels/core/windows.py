"""Where the taps of a sliding window fall: integer arithmetic that compiled loops share."""

from kernels.core import jit


@jit.exact
def interval(out_size, in_size, stride, offset):
    """Bounds of the outputs o with 0 ≤ o·stride + offset < in_size."""
    if stride == 1:  # without the divisions, which take longer than a short row
        low, high = max(0, -offset), min(out_size, in_size - offset)
        return low, max(low, high)
    low = max(0, (-offset + stride - 1) // stride)
    high = min(out_size, (in_size - 1 - offset) // stride + 1)
    return low, max(low, high)


@jit.exact
def taps_below(start, step, taps, limit):
    """Count the t in [0, taps) with start + t·step < limit."""
    return max(0, min(taps, (limit - start + step - 1) // step))


@jit.exact
def taps_inside(start, step, taps, size):
    """Count the t in [0, taps) with 0 ≤ start + t·step < size."""
    return taps_below(start, step, taps, size) - taps_below(start, step, taps, 0)
