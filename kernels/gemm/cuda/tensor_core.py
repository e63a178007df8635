"""Rung: tensor cores, which multiply a tile of 16 × 8 for a whole warp at once.

    c[g, i, j] = Σ_k a[g, i, k] · b[g, k, j]     A and B of float16, bfloat16, or float32 read as TF32; sums in float32

The shapes and FLOPs are the CPU's (`kernels.gemm.naive`). A block of 128 threads makes 128 × 128 of C and reads
128 · K elements of A and of B for it: 64 FLOPs for each byte of 16-bit elements, 32 for float32's.

Against `register_tile` the inner product changes hands. There each thread multiplies 8 × 8 numbers one by one; here one
`mma` does 16 × 8 × 16 multiply-adds (half of them for TF32) out of fragments that are spread over a warp's registers, and
a warp keeps 64 × 64 of C. One instruction for 2048 multiply-adds leaves no time for loads: `cp.async` brings the tile
after the next to shared memory, past the registers, while this one is multiplied, with one barrier for each tile
(`warp_tile`). What tiles hang over is filled with zeros in both factors along k, and not stored along i and j, so NaN
and Inf stay in the sums that read them. `cp.async` takes 16 bytes from a 16-byte boundary: a matrix whose lines have
another length is first copied to lines that have (`padded`), or, where k is short, loaded one element at a time. Where
C has fewer tiles than the device multiprocessors, tiles are 64 × 64, and k is split into up to 8 parts, whose sums are
added in their order.

TF32 keeps 10 of 23 bits of each factor, so float32 arrays come here only when asked to: ``algorithm="tensor_core"`` or
``kernels.precision("tf32")``. No GPU has timed this rung yet.

Sources: PTX ISA 8.7, "Warp-level matrix instructions" (fragments), "Data movement: cp.async"; NVIDIA CUTLASS,
"Efficient GEMM in CUDA" (the tiling in three levels, the stages); Markidis et al., "NVIDIA Tensor Core
Programmability, Performance & Precision", 2018 (what the rounding of the factors costs).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.launch import each, kernel
from kernels.core.cuda.operations import commit_copies, narrow, narrow2, wait_copies, widen
from kernels.core.device_array import DeviceArray
from kernels.gemm.cuda import padded, tensor_plan, warp_tile
from kernels.gemm.cuda.warp_tile import STAGES, THREADS

PENDING = STAGES - 2  # groups of copies that may still be on their way when a tile is multiplied
ADDERS = 256  # threads of a block that adds parts
BAND = 16  # rows of tiles that are walked through together, so that their parts of A and B stay in the L2


@cache
def _kernel(size: int, along_a: bool, along_b: bool, rows: int, columns: int) -> Any:
    """Make the kernel for elements of `size` bytes, A and B each in lines along or across k, and a tile's extents."""
    tile = warp_tile.make(size, along_a, along_b, rows, columns)
    depth, shape_a, shape_b, shape_sums = tile.depth, tile.shape_a, tile.shape_b, tile.sums
    fragments_a, fragments_b, corner, clear = tile.words_a, tile.words_b, tile.corner, tile.clear
    fill_a, fill_b, multiply = tile.fill_a, tile.fill_b, tile.multiply
    down, right = shape_sums[:2]

    def blocks(
        a, b, aligned_a, aligned_b, m, n, k, pitch_a, pitch_b, step_a, step_b, parts, paired,
        bias, biased, relu, c,
    ):  # fmt: skip
        tiles = -(-m // rows) * -(-n // columns)
        return (c.size // (m * n * parts) * tiles if tiles else 0, parts)

    @inlined
    def fill(
        a, b, start_a, start_b, aligned_a, aligned_b, m, n, k, pitch_a, pitch_b, row, column, k0,
        tile_a, tile_b, stage,
    ):  # fmt: skip
        if along_a:
            fill_a(a, start_a, m, k, pitch_a, row, k0, aligned_a, tile_a, stage)
        else:
            fill_a(a, start_a, k, m, pitch_a, k0, row, aligned_a, tile_a, stage)
        if along_b:
            fill_b(b, start_b, n, k, pitch_b, column, k0, aligned_b, tile_b, stage)
        else:
            fill_b(b, start_b, k, n, pitch_b, k0, column, aligned_b, tile_b, stage)

    @inlined
    def finish(sums, column, n, bias, biased, relu):
        """Add the bias of each column, and clip: before anything is rounded to 16 bits."""
        if biased:
            for j in range(right):
                for element in range(2):
                    s = column + j * 8 + element
                    added = widen(bias[s]) if s < n else np.float32(0)
                    for i in range(down):
                        sums[i, j, element] += added
                        sums[i, j, element + 2] += added
        if relu:
            for i in range(down):
                for j in range(right):
                    for element in range(4):
                        if sums[i, j, element] < 0:
                            sums[i, j, element] = 0

    @inlined
    def store(sums, c, start, row, column, m, n, paired, bias, biased, relu):
        first_row, first_column = corner()
        row, column = row + first_row, column + first_column
        finish(sums, column, n, bias, biased, relu)
        if paired:
            for i in range(down):
                for p in range(2):
                    r = row + i * 16 + p * 8
                    for j in range(right):
                        s = column + j * 8
                        if r < m and s < n:
                            narrow2(sums[i, j, p * 2], sums[i, j, p * 2 + 1], c, start + r * n + s)
        else:
            for i in range(down):
                for element in range(4):
                    r = row + i * 16 + (element >> 1) * 8
                    for j in range(right):
                        s = column + j * 8 + (element & 1)
                        if r < m and s < n:
                            c[start + r * n + s] = narrow(sums[i, j, element], c)

    @kernel(THREADS, blocks)
    def tensor_core(
        a, b, aligned_a, aligned_b, m, n, k, pitch_a, pitch_b, step_a, step_b, parts, paired,
        bias, biased, relu, c,
    ):  # fmt: skip
        tile_a = cuda.shared.array(shape_a, a.dtype, alignment=16)
        tile_b = cuda.shared.array(shape_b, b.dtype, alignment=16)
        words_a = cuda.local.array(fragments_a, np.uint32)
        words_b = cuda.local.array(fragments_b, np.uint32)
        sums = cuda.local.array(shape_sums, np.float32)
        high, wide = (m + rows - 1) // rows, (n + columns - 1) // columns
        g, place = cuda.blockIdx.x // (high * wide), cuda.blockIdx.x % (high * wide)
        band = place // (BAND * wide) * BAND
        height = min(BAND, high - band)
        row = (band + place % (BAND * wide) % height) * rows
        column = place % (BAND * wide) // height * columns
        start_a, start_b = g * step_a, g * step_b
        steps = ((k + depth - 1) // depth + parts - 1) // parts
        first = cuda.blockIdx.y * steps * depth
        last = min(k, first + steps * depth)
        clear(sums)
        for ahead in range(STAGES - 1):
            k0 = first + ahead * depth
            if k0 < last:
                fill(
                    a, b, start_a, start_b, aligned_a, aligned_b, m, n, k, pitch_a, pitch_b,
                    row, column, k0, tile_a, tile_b, ahead,
                )  # fmt: skip
            commit_copies()
        stage, ahead = 0, STAGES - 1
        for now in range(first, last, depth):
            wait_copies(PENDING)
            cuda.syncthreads()  # this stage is full, and nobody reads the one that is filled next
            k0 = now + (STAGES - 1) * depth
            if k0 < last:
                fill(
                    a, b, start_a, start_b, aligned_a, aligned_b, m, n, k, pitch_a, pitch_b,
                    row, column, k0, tile_a, tile_b, ahead,
                )  # fmt: skip
            commit_copies()  # an empty group too, so that the last but one is always this tile's
            multiply(a, tile_a, tile_b, stage, words_a, words_b, sums)
            ahead, stage = stage, stage + 1 if stage < STAGES - 1 else 0
        batch = cuda.gridDim.x // (high * wide)
        start = (cuda.blockIdx.y * batch + g) * m * n
        store(sums, c, start, row, column, m, n, paired, bias, biased, relu)

    return tensor_core


class _Operand(NamedTuple):
    """A matrix as the kernel reads it."""

    flat: DeviceArray
    pitch: int
    step: int
    aligned: bool


def _operand(x: DeviceArray, room: DeviceArray | None) -> _Operand:
    """Describe a matrix (1 or batch, lines, elements), copied into `room` where there is one."""
    batch, lines, elements = x.shape
    pitch, flat = elements, x.reshape(-1)
    if room is not None:
        pitch = padded.pitch(elements, x.dtype.itemsize)
        padded.copy(flat, batch * lines, elements, pitch, room)
        flat = room
    aligned = flat.pointer % 16 == 0 and pitch * x.dtype.itemsize % 16 == 0
    return _Operand(flat, pitch, lines * pitch if batch > 1 else 0, aligned)


def _part(scratch: DeviceArray | None, start: int, nbytes: int, dtype: Any) -> DeviceArray | None:
    """View `nbytes` of scratch from `start` on; None for none."""
    if scratch is None or nbytes == 0:
        return None
    count, where = nbytes // dtype.itemsize, {"device": scratch.device, "stream": scratch.stream}
    return DeviceArray.packed(scratch.pointer + start, (count,), dtype, scratch.owner, **where)


@kernel(ADDERS, lambda parts, bias, biased, relu, c: each(c, ADDERS))
def add_parts(parts, bias, biased, relu, c):
    """c[i] = Σ_p parts[p, i], in the order of p; then the bias of its column (the last axis), and relu."""
    i = cuda.grid(1)
    if i < c.size:
        total = parts[0, i]
        for p in range(1, parts.shape[0]):
            total += parts[p, i]
        if biased:
            total += widen(bias[i % bias.size])
        if relu and total < 0:
            total = np.float32(0)
        c[i] = narrow(total, c)


def matmul(a, b, transpose_a, transpose_b, c, scratch=None):
    """C = op(A) · op(B), batched."""
    _product(a, b, transpose_a, transpose_b, c, scratch)


def linear(x, w, b, relu, y, scratch=None):
    """y = x · wᵀ + b, clipped below at zero if asked; what is stored in 16 bits is rounded once, at the end."""
    _product(
        x.reshape(1, *x.shape), w.reshape(1, *w.shape), False, True, y.reshape(1, *y.shape), scratch,
        b, relu,
    )  # fmt: skip


def _product(a, b, transpose_a, transpose_b, c, scratch, bias=None, relu=False):
    """Launch what a product takes: copies of odd lines, the tiles, the sums of k's parts."""
    batch, m, n = c.shape
    k, size = a.shape[1 if transpose_a else 2], a.dtype.itemsize
    shape = (batch, m, n, k, a.shape[2], b.shape[2], size)
    plan = tensor_plan.plan(*shape)
    if scratch is None:
        plan = plan._replace(parts=1, pad_a=False, pad_b=False)
    sums, room_a, room_b = tensor_plan.rooms(plan, *shape)
    left = _operand(a, _part(scratch, sums, room_a, a.dtype))
    right = _operand(b, _part(scratch, sums + room_a, room_b, b.dtype))
    split = _part(scratch, 0, plan.parts * c.size * 4 if sums else 0, np.dtype(np.float32))
    target = c.reshape(-1) if split is None else split
    paired = target.pointer % (2 * target.dtype.itemsize) == 0 and n % 2 == 0
    _kernel(size, not transpose_a, bool(transpose_b), plan.rows, plan.columns)(
        left.flat, right.flat, left.aligned, right.aligned, m, n, k,
        left.pitch, right.pitch, left.step, right.step, plan.parts, paired,
        left.flat if bias is None else bias, bias is not None and split is None,
        relu and split is None, target,
    )  # fmt: skip
    if split is not None:
        added = c.reshape(-1) if bias is None else bias
        add_parts(split.reshape(plan.parts, c.size), added, bias is not None, relu, c.reshape(-1))
