"""The block tiles of the three directions, their threads, and the choice among them.

A block has 256 threads, whatever its tile, and a thread of float32 makes 512 fused multiply-adds a step (256 in the
smallest tile). Where the tile is smaller than 128 × 128, the threads are Z *slices* of the inner extent: slice z
multiplies terms 8z to 8z + 7 of each step, for the same outputs, and at the end the slices' sums are added in their
order through shared memory. So small problems get up to sixteen times as many blocks, and these still are eight
warps: what hides latency is kept, and an inner extent is cut without a word written to memory.

float64 takes tiles half as long either way: a sum fills two registers.

Source: NVIDIA's CUTLASS, "Efficient GEMM in CUDA", parallelized reductions ("sliced-K").
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from kernels.core.cuda.choices import MULTIPROCESSORS
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.operations import copy1
from kernels.gemm.cuda import tile

THREADS = 256
DEPTH = 8  # terms that a slice takes from each step
STORES = 2.0  # steps that the outputs of a tile cost


class Choice(NamedTuple):
    """A tile of a block and of a thread, and what a step of it takes next to one of the first."""

    BM: int
    BN: int
    TM: int
    TN: int
    step: float


# instructions a step, read off the PTX: a smaller tile loads more for as many multiplies
CHOICES = {
    4: (
        Choice(128, 128, 8, 8, 1.0),
        Choice(64, 128, 8, 8, 1.03),
        Choice(64, 64, 8, 8, 1.06),
        Choice(32, 32, 8, 4, 0.62),
    ),
    8: (Choice(64, 64, 4, 4, 1.0), Choice(32, 64, 4, 4, 1.03), Choice(32, 32, 4, 4, 1.06)),
}


class Block(NamedTuple):
    """A tile, cut into slices; the functions are `kernels.gemm.cuda.tile`'s, and `combine`."""

    BM: int
    BN: int
    Z: int
    BK: int
    TM: int
    TN: int
    PAD: int  # elements that end each row of a shared array
    VECTOR: int  # elements in 16 bytes
    place: Callable
    clear: Callable
    multiply: Callable
    row: Callable
    column: Callable
    combine: Callable


@functools.cache
def block(bm: int, bn: int, itemsize: int) -> Block:
    """Make the functions for a block of 256 threads over a tile of bm × bn."""
    tm, tn = next(each[2:4] for each in CHOICES[itemsize] if each[:2] == (bm, bn))
    made = tile.make(bm, bn, DEPTH, tm, tn, itemsize)
    slices, own = THREADS // made.THREADS, made.THREADS
    fold = -(-own // bn)

    @inlined
    def copy_row(sums, place, over, at, other):
        """Read what slice `place` wrote."""
        for j in range(tn):
            copy1(sums, (place, j * fold + over, at), other, j)

    @inlined
    def combine(sums, i, z, u, acc, other):
        """Row i of acc becomes the sum over slices, in their order, in slice i % Z; `sums` is free shared memory."""
        over, at = u // bn, u % bn
        if slices > 1:
            first = i % 2 * slices  # two halves in turn: one barrier a row
            for j in range(tn):
                copy1(acc, (i, j), sums, (first + z, j * fold + over, at))
            cuda.syncthreads()
            if z == i % slices:
                copy_row(sums, first, over, at, other)
                for j in range(tn):
                    acc[i, j] = other[j]
                for each in range(1, slices):
                    copy_row(sums, first + each, over, at, other)
                    for j in range(tn):
                        acc[i, j] += other[j]

    return Block(
        bm, bn, slices, slices * DEPTH, tm, tn, made.VECTOR, made.VECTOR,
        made.place, made.clear, made.multiply, made.row, made.column, combine,
    )  # fmt: skip


def steps_of(extent: int, step: int) -> int:
    """Steps that cover an extent."""
    return -(-extent // step)


def best(
    rows: int,
    columns: int,
    times: int,
    inner: Callable[[int], int],
    itemsize: int,
    parts: int = 1,
    without: tuple[int, int] | None = None,
) -> tuple[float, int, tuple[int, int]]:
    """Choose a tile, and into how many parts (at most `parts`) the inner extent is cut, by shape alone.

    Parameters
    ----------
    rows, columns, times : int
        Extents of one product, and how many there are.
    inner : callable (BK) -> int
        Steps of the inner extent.
    itemsize : int
    parts : int
        Into how many the inner extent may be cut.
    without : (BM, BN), optional
        A tile that is not to be had.

    Returns
    -------
    time, parts, (BM, BN)
        The least time, if a multiprocessor takes one block after the other and a step takes as long as any; in steps.
    """
    found = []
    for order, (bm, bn, _, _, step) in enumerate(CHOICES[itemsize]):
        if (bm, bn) == without:
            continue
        blocks = steps_of(rows, bm) * steps_of(columns, bn) * times
        steps = inner(block(bm, bn, itemsize).BK)
        for cut in range(1, max(1, min(parts, steps)) + 1):
            rounds = steps_of(blocks * cut, MULTIPROCESSORS)
            time = rounds * (step * steps_of(steps, cut) + STORES) + STORES * (cut > 1)
            found.append((time, cut, order, (bm, bn)))
    time, cut, _, size = min(found)
    return time, cut, size
