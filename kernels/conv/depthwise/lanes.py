"""Which lanes of a vector lie inside the image, tap by tap: integers with a bit for each lane."""

from kernels.core import jit, simd

TAPS = 8  # room: seven taps across, and one more where they are read in pairs


@jit.inlined
def between(low, high, count):
    """The lanes in [low, high) of `count`."""
    low, high = max(low, 0), min(high, count)
    return (1 << high) - (1 << low) if high > low else 0


@jit.inlined
def lanes_of_taps(like, width, count, first, pad, lanes):
    """Fill lanes[s]: outputs first + lane below `count` whose column first + lane + s − pad exists."""
    for s in range(TAPS):
        here = first + s - pad
        lanes[s] = between(-here, min(count - first, width - here), simd.lanes(like))


@jit.inlined
def lanes_of_pairs(like, width, count, first, pad, lanes):
    """Fill lanes[s], lanes[s + 1] for the two vectors that taps s and s + 1 are taken from: stride 2."""
    wide = simd.lanes(like)
    for s in range(0, TAPS, 2):
        here = 2 * first + s - pad
        high = min(2 * (count - first), width - here)
        lanes[s] = between(-here, high, wide)
        lanes[s + 1] = between(-here - wide, high - wide, wide)


@jit.inlined
def lanes_of_rows(width, pad, lanes):
    """Fill lanes[s] for two rows of an image, one behind the other in a vector."""
    for s in range(TAPS):
        row = between(pad - s, width + pad - s, width)
        lanes[s] = row | row << width
