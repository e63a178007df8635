"""Which lanes of a vector lie inside the image, tap by tap: integers with a bit for each lane."""

import numpy as np

from kernels.core import jit, simd

TAPS = 8  # numbers for a strip: seven taps across, and one to spare
THREE, FIVE, SEVEN = (0,) * 3, (0,) * 5, (0,) * 7  # windows, whose size is their type's
PARTS = 64  # pieces of work at most
PART = 1 << 18  # multiply-adds of a piece at least


@jit.inlined
def between(low, high, count):
    """The lanes in [low, high) of `count`."""
    low, high = max(low, 0), min(high, count)
    return (1 << high) - (1 << low) if high > low else 0


@jit.exact
def lanes_of(like, width, count, pad, two):
    """Return TAPS numbers for each strip of `count` outputs on rows `width` long.

    Stride 1: number s is for tap s, the outputs whose column + s − pad exists.
    Stride 2: number s is for the vector that begins s vectors behind the first tap of the first output.
    """
    wide = simd.lanes(like)
    numbers = np.empty((count + wide - 1) // wide * TAPS, np.int64)
    for place in range(numbers.shape[0]):
        s, first = place % TAPS, place // TAPS * wide
        if two:
            here = 2 * first + s * wide - pad
            numbers[place] = between(-here, width - here, wide)
        else:
            here = first + s - pad
            numbers[place] = between(-here, min(count - first, width - here), wide)
    return numbers


@jit.exact
def parts_of(planes, rows, width, taps):
    """Pieces of work: enough to keep the threads busy, none too small."""
    return max(1, min(PARTS, planes, planes * rows * width * taps // PART))
