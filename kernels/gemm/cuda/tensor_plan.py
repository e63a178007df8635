"""How a product is laid out for `tensor_core`, by its shape alone: so the same bits come out each time.

Tiles are 128 × 128 where there are enough of them for the multiprocessors, else 64 × 64, and then k is split. What the
parts' sums and the copies of odd lines take is scratch.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from kernels.core.cuda import choices
from kernels.core.cuda.choices import MULTIPROCESSORS, PARTS
from kernels.gemm.cuda import padded, warp_tile

STEPS = 16  # tiles along k of a part, at least
DEEP = 4  # tiles along k from which on odd lines are copied to a pitch of whole 16 bytes


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


def growth(problem, direction):
    """By how much the rung may exceed a plain sum's bound."""
    return choices.tf32_growth(problem, problem.k)


def work(problem):
    """Blocks, FLOPs of each, launches, and bytes moved beside A, B and C: what its cost is made of."""
    shape = shape_of(problem)
    laid = plan(*shape)
    tiles = problem.batch * -(-problem.m // laid.rows) * -(-problem.n // laid.columns)
    flops = 2 * laid.rows * laid.columns * -(-problem.k // laid.parts)
    launches = 1 + laid.pad_a + laid.pad_b + (laid.parts > 1)
    return tiles * laid.parts, flops, launches, 2 * sum(rooms(laid, *shape))
