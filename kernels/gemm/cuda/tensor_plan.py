"""How a product is laid out for `tensor_core`, by its shape alone: so the same bits come out each time.

Tiles are 128 × 128 where there are enough of them for the multiprocessors, else 64 × 64, and then k is split. What the
parts' sums and the copies of odd lines take is scratch.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from kernels.core import precision
from kernels.gemm.cuda import padded, warp_tile

MULTIPROCESSORS = 132  # of an H100 or H200
PARTS, STEPS = 8, 16  # of k: at most so many parts, of at least so many tiles each
DEEP = 4  # tiles along k from which on odd lines are copied to a pitch of whole 16 bytes
ROUNDED = 2 * 2.0**-11 + 2.0**-22  # of |a|·|b|, where both are rounded to TF32


class Plan(NamedTuple):
    """A tile's rows and columns, the parts that k is split into, and whether A and B are copied."""

    rows: int
    columns: int
    parts: int
    pad_a: bool
    pad_b: bool


@cache
def plan(batch: int, m: int, n: int, k: int, line_a: int, line_b: int, size: int) -> Plan:
    """Plan a product by its shape alone, so that the same bits come out each time."""
    rows, columns = 64 if m <= 64 else 128, 64 if n <= 64 else 128
    if batch * -(-m // rows) * -(-n // columns) < MULTIPROCESSORS:
        rows = columns = 64
    tiles, steps = batch * -(-m // rows) * -(-n // columns), -(-k * size // warp_tile.LINE)
    parts = max(1, min(PARTS, MULTIPROCESSORS // max(1, tiles), steps // STEPS))
    odd_a, odd_b = (steps >= DEEP and line * size % 16 != 0 for line in (line_a, line_b))
    return Plan(rows, columns, parts, odd_a, odd_b)


def rooms(laid, batch, m, n, k, line_a, line_b, size):
    """Bytes of scratch for the sums of the parts, for A, and for B; each a multiple of 16."""
    sums = -(-laid.parts * batch * m * n * 4 // 16) * 16 if laid.parts > 1 else 0
    room_a = batch * (m * k // line_a) * padded.pitch(line_a, size) * size if laid.pad_a else 0
    room_b = batch * (n * k // line_b) * padded.pitch(line_b, size) * size if laid.pad_b else 0
    return sums, room_a, room_b


def shape_of(problem):
    """What `plan` takes, of a problem."""
    line_a = problem.m if problem.transpose_a else problem.k
    line_b = problem.k if problem.transpose_b else problem.n
    return problem.batch, problem.m, problem.n, problem.k, line_a, line_b, problem.itemsize


def scratch(problem, direction):
    """Elements for the sums of k's parts, and for copies of odd lines."""
    shape = shape_of(problem)
    return sum(rooms(plan(*shape), *shape)) // problem.itemsize


def refuses(problem, direction):
    """Refuse devices without these tensor cores, float64, and float32 where nothing may be rounded."""
    major, minor = problem.capability
    if (major, minor) < (8, 0):
        return f"its instructions need compute capability 8.0, and this device has {major}.{minor}"
    if problem.itemsize == 8:
        return "it multiplies float16, bfloat16, and float32 rounded to TF32, not float64"
    if problem.itemsize == 4 and precision.strict():
        return "it rounds float32 to TF32, which precision('strict') leaves out"
    return None


def growth(problem, direction):
    """By how much TF32 may exceed a plain sum's bound: both factors are rounded, by at most 2⁻¹¹ of themselves."""
    if problem.itemsize < 4:
        return None  # products of 16-bit elements are exact in float32
    return 1 + ROUNDED / ((4 + problem.k**0.5) * 2.0**-23)


def work(problem):
    """Blocks, FLOPs of each, launches, and bytes moved beside A, B and C: what its cost is made of."""
    shape = shape_of(problem)
    laid = plan(*shape)
    tiles = problem.batch * -(-problem.m // laid.rows) * -(-problem.n // laid.columns)
    flops = 2 * laid.rows * laid.columns * -(-problem.k // laid.parts)
    launches = 1 + laid.pad_a + laid.pad_b + (laid.parts > 1)
    return tiles * laid.parts, flops, launches, 2 * sum(rooms(laid, *shape))
