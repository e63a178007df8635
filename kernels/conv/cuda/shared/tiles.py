"""Tiles of the shared-memory rung: how a block's threads lie over outputs, and what fits beside each other.

A block has 256 threads. Each sums 16 maps (filters, or channels of dx) at one position; LANES of them share a
position, so that a block makes a tile of WIDE × HIGH positions of 16·LANES maps. Narrow images take a narrow tile
and more maps.
"""

import math

from kernels.core.cuda import choices

THREADS = 256
MAPS = 16  # sums of a thread
TILES = ((32, 8, 1), (16, 8, 2), (8, 8, 4))  # WIDE, HIGH, LANES
PATCH = 3072  # elements of x (or dy) that a block holds; with the weights 48 KB of float64
WEIGHTS = 3072
DW_PATCH = 4096
DW_POSITIONS = 32  # neighbours in a row of y that a block of dw holds at a time, at most
ENOUGH = 2 * choices.MULTIPROCESSORS  # blocks
PAD = 4  # between rows of weights: stores then meet 8 banks instead of 2


def reach(tile, taps, stride, dilation, direction):
    """Rows or columns that a tile's positions need of the other array: an upper bound for dx."""
    span = (taps - 1) * dilation
    if direction == "forward":
        return (tile - 1) * stride + span + 1
    return (tile - 1 + span) // stride + 2


def fitting(width, r, s, stride, dilation, direction):
    """Return the tiles in which one channel fits, those that waste the fewest columns first."""
    found = []
    for wide, high, lanes in TILES:
        rows = reach(high, r, stride[0], dilation[0], direction)
        columns = reach(wide, s, stride[1], dilation[1], direction)
        if rows * columns <= PATCH and r * s * (MAPS * lanes + PAD) <= WEIGHTS:
            found.append((math.ceil(width / wide) * wide, -wide, (wide, high, lanes)))
    return [tile for *_, tile in sorted(found)]


def refuses(problem, direction):
    """Why a problem cannot be done in tiles, or None."""
    p = problem
    if direction == "db":
        return None
    if p.itemsize < 4:
        return choices.halves(p, direction)
    if direction == "dw":
        return None if columns(p.ow, *_dw(p))[0] else "a channel's taps do not fit its block"
    width = p.ow if direction == "forward" else p.w
    if fitting(width, p.r, p.s, p.stride, p.dilation, direction):
        return None
    return (
        f"what {p.r}×{p.s} taps, {p.dilation[0]}×{p.dilation[1]} apart, reach from a tile is more than "
        "a block's shared memory holds"
    )


def _dw(problem):
    p = problem
    return p.c // p.groups, p.r, p.s, p.stride[1], p.dilation[1]


def columns(width, channels, r, s, stride, dilation):
    """Channels of dw for a block (0: not even one fits), and the positions of y that it holds at a time."""
    positions = min(DW_POSITIONS, 1 << (width - 1).bit_length())
    while positions:
        wide = (positions - 1) * stride + (s - 1) * dilation + 1
        most = min(channels, THREADS // (r * s), DW_PATCH // (r * wide))
        if most or positions == 1:
            return most, positions
        positions //= 2
    return 0, 0


def parts(problem):
    """Into how many parts the sum over images and positions is split: by shape alone."""
    p = problem
    channels = p.c // p.groups
    held, positions = columns(p.ow, channels, p.r, p.s, p.stride[1], p.dilation[1])
    if not held:
        return 1
    blocks = p.groups * -(-p.k // p.groups // MAPS) * -(-channels // held)
    pieces = p.n * p.oh * -(-p.ow // positions)
    return max(1, min(choices.PARTS, -(-ENOUGH // blocks), pieces // 8))


def scratch(problem, direction):
    """Elements for the parts of dw, where there are several."""
    count = parts(problem) if direction == "dw" else 1
    return count * problem.k * problem.taps if count > 1 else 0
