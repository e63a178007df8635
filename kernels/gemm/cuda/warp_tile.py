"""A block's tile on tensor cores: up to 128 × 128 of C by four warps, 64 × 64 each; what matmul and others share.

    C[rows × columns] += A[rows × BK] · B[BK × columns],   BK = 64 bytes: 32 elements of 16 bits, 16 of float32

Operands wait in shared memory in one of two orders, each a line of the global array after another: ``along``, a line for
each row of A (or column of B), 64 bytes along k; or ``across``, a line for each k. Every line is cut into chunks of 16
bytes, which are what `cp.async` writes and `ldmatrix` reads, and the chunks of a line are permuted (`swizzle`), so that
the eight that a warp reads at once lie in eight different groups of four banks:

    along    chunk ^ (line / 2) % 4      8 lines × 64 bytes: line parity picks half of the banks, the XOR a quarter of it
    across   chunk ^ line % 8            16 bits: the same chunk of 8 lines of 128 or 256 bytes
    across   chunk ^ 2 · (line % 4)      32 bits: 4 lines × 8 words, read as words: `ldmatrix` transposes 16 bits alone

Writes cover whole runs of eight chunks, in whatever order, so none of these accesses meets another in a bank. For one
step of 32 bytes along k a warp with 64 × 64 issues 8 `ldmatrix` (4 KB) for 32 `mma`; one with 32 × 32, 4 for 8.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.operations import copy_async
from kernels.core.cuda.tensor import ldmatrix, ldmatrix_transposed, mma, tf32

THREADS = 128  # four warps, two by two
STAGES = 3  # two tiles on their way while one is multiplied: 48 KB, all that a block has without asking for more
LINE = 64  # bytes along k of a tile


class Tile(NamedTuple):
    """How a block keeps its tile, and the device functions for it.

    Parameters
    ----------
    depth : int
        BK.
    shape_a, shape_b : tuple of int
        Of the shared arrays, of the matrices' dtype: stages, lines, elements.
    words_a, words_b, sums : tuple of int
        Shapes of the register arrays: fragments, ``uint32``; sums, ``float32``.
    fill_a, fill_b : (x, start, lines, elements, pitch, first, element, aligned, tile, stage)
        Start one tile of a matrix on its way into a stage; see `filler`.
    multiply : (like, tile_a, tile_b, stage, words_a, words_b, sums)
        Add the product of a stage's tiles to the sums of the calling warp.
    clear : (sums)
    corner : () -> row, column
        Where, in the block's tile, a thread's sums[0, 0, 0] belongs: sums[i, j, 2 · p + q] stands 16 · i + 8 · p rows
        below it, and 8 · j + q columns to its right.
    """

    depth: int
    shape_a: tuple[int, int, int]
    shape_b: tuple[int, int, int]
    words_a: tuple[int, int]
    words_b: tuple[int, int]
    sums: tuple[int, int, int]
    fill_a: Callable
    fill_b: Callable
    multiply: Callable
    clear: Callable
    corner: Callable


@cache
def make(size: int, along_a: bool, along_b: bool, rows: int = 128, columns: int = 128) -> Tile:
    """Make the tile for elements of `size` bytes, operands along or across k, rows and columns 64 or 128."""
    load_a, load_b = _loader(size, along_a, rows, True), _loader(size, along_b, columns, False)
    down, right = rows // 32, columns // 16  # a warp's: tiles of 16 rows, of 8 columns
    side_a, side_b = rows // 2, columns // 2

    @inlined
    def half(like, tile_a, tile_b, stage, step, a, b, sums):
        load_a(tile_a, stage, (cuda.threadIdx.x >> 6) * side_a, step, a)
        load_b(tile_b, stage, (cuda.threadIdx.x >> 5 & 1) * side_b, step, b)
        for i in range(down):
            for j in range(right):
                mma(like, a, (i, 0), b, (j >> 1, (j & 1) << 1), sums, (i, j, 0))

    @inlined
    def multiply(like, tile_a, tile_b, stage, a, b, sums):
        half(
            like, tile_a, tile_b, stage, 0, a, b, sums
        )  # no loop: the next loads may pass these mma
        half(like, tile_a, tile_b, stage, 1, a, b, sums)

    @inlined
    def clear(sums):
        for i in range(down):
            for j in range(right):
                for element in range(4):
                    sums[i, j, element] = 0

    @inlined
    def corner():
        t = cuda.threadIdx.x
        return (t >> 6) * side_a + (t >> 2 & 7), (t >> 5 & 1) * side_b + (t & 3) * 2

    return Tile(
        LINE // size,
        _shape(size, along_a, rows),
        _shape(size, along_b, columns),
        (rows // 32, 4),
        (columns // 32, 4),
        (down, right, 4),
        filler(size, along_a, rows),
        filler(size, along_b, columns),
        multiply,
        clear,
        corner,
    )


def _shape(size: int, along: bool, extent: int) -> tuple[int, int, int]:
    """Shape of an operand's shared memory: stages, lines, elements of a line."""
    return (STAGES, extent, LINE // size) if along else (STAGES, LINE // size, extent)


@cache
def swizzle(size: int, along: bool) -> Callable:
    """Make the function (line, chunk) -> where the chunk stands within its line."""

    def whole(line, chunk):
        return chunk ^ (line >> 1 & 3)

    def halves(line, chunk):
        return chunk ^ (line & 7)

    def words(line, chunk):
        return chunk ^ ((line & 3) << 1)

    return inlined(whole if along else halves if size == 2 else words)


@cache
def filler(size: int, along: bool, extent: int) -> Callable:
    """Make `fill`, which starts one tile of a matrix on its way into shared memory.

    It takes the matrix (flat) and where it starts; its lines, their elements and the distance between them; the first
    line and element of the tile; whether every line starts on a 16-byte boundary; the shared array and the stage.
    What lies outside is zero.
    """
    count = 16 // size
    chunks = _shape(size, along, extent)[2] // count
    bits = chunks.bit_length() - 1
    step, copies = THREADS // chunks, LINE * extent // 16 // THREADS
    place = swizzle(size, along)

    @inlined
    def fill(x, start, lines, elements, pitch, first, element, aligned, tile, stage):
        t = cuda.threadIdx.x
        chunk, line = t & (chunks - 1), t >> bits
        element += chunk * count
        column = place(line, chunk) * count
        offset = start + (first + line) * pitch + element
        if aligned:  # a chunk is inside or outside; what it holds past its line's end is zero
            for i in range(copies):
                inside = first + line + i * step < lines and element < elements
                here = offset + i * step * pitch
                copy_async(x, here, tile, (stage, line + i * step, column), inside)
        else:
            zero = x.dtype.type(0)
            for i in range(copies):
                for e in range(count):
                    inside = first + line + i * step < lines and element + e < elements
                    value = x[offset + i * step * pitch + e] if inside else zero
                    tile[stage, line + i * step, column + e] = value

    return fill


def _loader(size: int, along: bool, extent: int, is_a: bool) -> Callable:
    """Make the function that loads a warp's fragments of one operand: each of 16 rows (or columns) × 32 bytes of k.

    Of its four words, A's go through the rows first (two tiles of 8, then the next 16 bytes of k), B's through k.
    """
    count, place, pieces = 16 // size, swizzle(size, along), extent // 32
    row_bit, k_bit = (
        (3, 4) if is_a else (4, 3)
    )  # of the lane: which half of the rows, of k, its address is in
    low, high = (2, 1) if is_a else (1, 2)  # of the word: which half of k, of the rows, it is in

    @inlined
    def from_along(tile, stage, first, step, fragments):
        lane = cuda.threadIdx.x & 31
        row = (lane & 7) + ((lane >> row_bit & 1) << 3)
        column = place(row, step * 2 + (lane >> k_bit & 1)) * count
        for i in range(pieces):
            ldmatrix(tile, (stage, first + row + i * 16, column), fragments, (i, 0))
            if size == 4:
                for word in range(4):
                    fragments[i, word] = tf32(fragments[i, word])

    @inlined
    def from_across(tile, stage, first, step, fragments):
        lane = cuda.threadIdx.x & 31
        k = step * 16 + (lane & 7) + ((lane >> k_bit & 1) << 3)
        for i in range(pieces):
            chunk = (first >> 3) + i * 2 + (lane >> row_bit & 1)
            ldmatrix_transposed(tile, (stage, k, place(k, chunk) * count), fragments, (i, 0))

    @inlined
    def words_across(tile, stage, first, step, fragments):
        lane = cuda.threadIdx.x & 31
        group, k = lane >> 2, lane & 3
        for eighth in range(
            4
        ):  # of 32 rows; `swizzle` moves them about among themselves, by eights
            column = first + group + ((eighth ^ k) << 3)
            for i in range(eighth >> 1, pieces, 2):
                for part in range(2):
                    word = (high if eighth & 1 else 0) + (low if part else 0)
                    value = tile[stage, step * 8 + part * 4 + k, column + (i >> 1) * 32]
                    fragments[i, word] = tf32(value)

    return from_along if along else from_across if size == 2 else words_across
