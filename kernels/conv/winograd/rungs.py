"""The two sizes of tile, forward and for the gradient of the data, and what they ask for.

np.int64(4) is 4 to Python; to Numba it says that the number is no part of the callee's type, which would
otherwise be compiled once for each. So would it for the index of a `prange`, which is unsigned.
"""

import numpy as np
from numba import prange

from kernels.conv.winograd import error
from kernels.conv.winograd.run import room, rows_of, share, share_dx
from kernels.conv.winograd.weights import APART
from kernels.core import jit, precision, simd, threads


@jit.parallel
def forward_2x2(x, w, b, stride, padding, dilation, groups, relu, y, packed, scratch):
    """Fill y, 2 × 2 outputs at a time."""
    for i in prange(scratch.shape[0]):
        part = np.int64(i)
        share(
            np.int64(2), x, w.shape[0] // groups, padding, groups, b, relu, y, packed, scratch, part
        )


@jit.parallel
def forward_4x4(x, w, b, stride, padding, dilation, groups, relu, y, packed, scratch):
    """Fill y, 4 × 4 outputs at a time."""
    for i in prange(scratch.shape[0]):
        part = np.int64(i)
        share(
            np.int64(4), x, w.shape[0] // groups, padding, groups, b, relu, y, packed, scratch, part
        )


@jit.parallel
def dx_2x2(dy, w, stride, padding, dilation, groups, dx, packed, scratch):
    """Fill dx: dy convolved with the filters turned by half a turn."""
    for i in prange(scratch.shape[0]):
        part = np.int64(i)
        share_dx(np.int64(2), dy, w.shape[1], padding, groups, dx, packed, scratch, part)


@jit.parallel
def dx_4x4(dy, w, stride, padding, dilation, groups, dx, packed, scratch):
    """Fill dx: dy convolved with the filters turned by half a turn."""
    for i in prange(scratch.shape[0]):
        part = np.int64(i)
        share_dx(np.int64(4), dy, w.shape[1], padding, groups, dx, packed, scratch, part)


def refuses(m):
    """Make what says why a problem cannot be done with tiles of m × m."""

    def reason(problem, direction):
        p = problem
        if (p.r, p.s) != (3, 3):
            return f"it is for 3×3 filters, not {p.r}×{p.s}"
        if p.stride != (1, 1) or p.dilation != (1, 1):
            return f"it is for stride 1 and dilation 1, not {p.stride} and {p.dilation}"
        if precision.strict():
            return "its rounding error is larger, and precision is 'strict'"
        return error.refusal(m, p, direction)

    return reason


def _sides(problem, direction):
    """Channels of a group that are summed and that are written, and the plane that is written."""
    p = problem
    filters, channels = p.k // p.groups, p.c // p.groups
    if direction == "forward":
        return (channels, filters), (p.oh, p.ow)
    return (filters, channels), (p.h, p.w)


def packed(m):
    """Elements that the weights take in Winograd's domain, for tiles of m × m."""

    def size(problem, direction):
        (sums, outs), _ = _sides(problem, direction)
        width = simd.columns_of(problem.dtype)
        return problem.groups * -(-outs // width) * (m + 2) ** 2 * (width * sums + APART)

    return size


def scratch(m):
    """Pieces of work, and elements for each, for tiles of m × m."""

    def size(problem, direction):
        channels, (_, width) = _sides(problem, direction)
        across = -(-width // m)
        rows = rows_of(across, channels)
        return threads.most(), room(rows, across, channels, m, simd.columns_of(problem.dtype))

    return size


def growth(m):
    """How many times a plain sum's bound its error may reach, on the largest sum of the output.

    Short sums come closest: with one channel 4×4 tiles were seen at 1.2 times it, long ones far below.
    """
    return lambda problem, direction: {2: 1.0, 4: 4.0}[m]
