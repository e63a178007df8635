"""dw: rows of A are filters, columns of B channels under taps, and what is summed are positions.

    dw[k, c, r, s] = Σ_{n, oh, ow} dy[n, k, oh, ow] · x[n, c, oh·stride + r·dilation − pad, …]

Both operands lie with positions inside, as the tiles want them, so a half warp reads 16 words of one row: neighbouring
positions, two of 16 bits to a thread. A thread keeps its place in the positions (image, row, column) and adds a step's
length to it in that mixed radix, with carries instead of divisions; whether a tap lies inside the image it tests once a
step where a tile's columns are channels under one tap, else (few channels) for each row of a list (`loads`).

A block makes 64 × 64 or 128 × 128 of dw, 4 or 8 warps, one barrier a step. Since dw is small and the sum long, the
positions are split into at most 8 parts, by shape alone; each part's sums are written in float32 and added in order.
"""

from functools import cache

import numpy as np

from kernels.conv.cuda.tensor_core import tile
from kernels.conv.cuda.tensor_core.loads import list_taps
from kernels.conv.cuda.tensor_core.tile import PITCH, SPREAD, WORDS
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import float_of, load_run
from kernels.core.cuda.tensor import tf32

PASSES = 8  # rows of each operand that a thread loads, a step


def blocks_of(inner, outer, groups, taps, side, flat):
    """Tiles of the product."""
    columns = -(-inner * taps // side) if flat else taps * -(-inner // side)
    return groups * -(-outer // side) * columns


@cache
def make(side, elements, flat):
    """Make the kernel for tiles of side × side.

    Parameters
    ----------
    side : {64, 128}
    elements : {1, 2}
        Elements to a word.
    flat : bool
        Whether columns are channels and taps as one index; else a tile's columns are channels under one tap.
    """
    ROWS, COLUMNS = side // 32, 4
    threads = 2 * side
    step_rows = threads // WORDS
    multiply, spread = tile.make(ROWS, COLUMNS)
    ROOM, OF_B = 4 * side * PITCH, 2 * side * PITCH
    SUMS, WORDS_A, WORDS_B = ROWS * COLUMNS * 4, ROWS * 4, COLUMNS * 2
    LOADED = PASSES * elements
    depth = WORDS * elements

    def blocks(dy, x, images, inner, outer, groups, source, target, window, stride, lead, dilation, parts, *rest):  # fmt: skip
        return blocks_of(inner, outer, groups, window[0] * window[1], side, flat), parts

    @inlined
    def put(raw, room, place):
        """Store what a thread loaded: one word of every row that it has."""
        for i in range(PASSES):
            if elements == 1:
                word = tf32(raw[i])
            else:
                word = raw[i] | (raw[PASSES + i] << np.uint32(16))
            room[place + i * step_rows * PITCH] = word

    @kernel(threads, blocks, resident=3 if side == 64 else 1)
    def dw(
        dy, x, images, inner, outer, groups, source, target, window, stride, lead, dilation, parts, like,
        partial,
    ):  # fmt: skip
        room = cuda.shared.array(ROOM, np.uint32, alignment=16)
        sums = cuda.local.array(SUMS, np.float32)
        fa = cuda.local.array(WORDS_A, np.uint32)
        fb = cuda.local.array(WORDS_B, np.uint32)
        raw_a = cuda.local.array(LOADED, np.uint32)
        raw_b = cuda.local.array(LOADED, np.uint32)
        oh, ow = cuda.local.array(2, np.int32), cuda.local.array(2, np.int32)
        n = cuda.local.array(2, np.int32)
        t = cuda.threadIdx.x
        tiles, taps = (outer + side - 1) // side, window[0] * window[1]
        unit = cuda.blockIdx.x
        block, unit = unit % tiles, unit // tiles
        group, unit = unit % groups, unit // groups
        m0, j0, tap = block * side, unit * side, 0
        if not flat:
            tap, j0 = unit % taps, unit // taps * side
        tall, broad = np.int32(source[0]), np.int32(source[1])
        high, wide = np.int32(target[0]), np.int32(target[1])
        plane_x, plane_y = source[0] * source[1], target[0] * target[1]
        step_h, step_w = np.int32(stride[0]), np.int32(stride[1])
        base_h = np.int32(tap // window[1] * dilation[0] - lead[0])
        base_w = np.int32(tap % window[1] * dilation[1] - lead[1])

        # a half warp reads a line of positions; the other half's line lies 4 rows, that is 16 banks, further
        word, lane_row = t & 15, t >> 4
        lane_row = (lane_row >> 3) * 8 + (lane_row & 1) * 4 + ((lane_row >> 1) & 3)
        rows_a = np.int32((outer - m0 - lane_row + step_rows - 1) // step_rows)
        rows_b = np.int32((inner - j0 - lane_row + step_rows - 1) // step_rows)
        from_y = (group * outer + m0 + lane_row) * plane_y
        from_x = (group * inner + (0 if flat else j0 + lane_row)) * plane_x
        image_x, image_y = groups * inner * plane_x, groups * outer * plane_y
        if flat:
            offsets = cuda.shared.array(side, np.int32)
            shifts = cuda.shared.array(side, np.int32)
            list_taps(inner, source, window, dilation, j0, side, offsets, shifts)
            cuda.syncthreads()

        positions = images * target[0] * target[1]
        whole = (positions + depth - 1) // depth
        share = (whole + parts - 1) // parts
        first = min(whole, cuda.blockIdx.y * share)
        steps = np.int32(min(share, whole - first))
        left = np.int32(min(positions - first * depth, steps * depth) - word * elements)
        # what one step adds to a position: columns, rows, images
        add_w, add_h = np.int32(depth % target[1]), np.int32(depth // target[1] % target[0])
        add_n = np.int32(depth // target[1] // target[0])
        for e in range(elements):
            p = first * depth + word * elements + e
            n[e], ow[e] = p // plane_y, p % plane_y
            oh[e], ow[e] = ow[e] // target[1], ow[e] % target[1]
        for e in range(SUMS):
            sums[e] = 0
        row, column = (t >> 5 & 1) * ROWS * 16, (t >> 6) * 32
        place = lane_row * PITCH + word

        for step in range(-1, steps):
            buffer = step & 1
            if step + 1 < steps:
                for e in range(elements):
                    there = e < left
                    ih, iw = np.int32(oh[e] * step_h + base_h), np.int32(ow[e] * step_w + base_w)
                    at_y = from_y + n[e] * image_y + oh[e] * target[1] + ow[e]
                    at_x = from_x + n[e] * image_x + ih * source[1] + iw
                    limit = rows_a if there else 0
                    load_run(dy, at_y, step_rows * plane_y, limit, raw_a, e * PASSES, PASSES)
                    if flat:
                        for i in range(PASSES):
                            shift = shifts[lane_row + i * step_rows]
                            h, v = np.int32(ih + (shift >> 16)), np.int32(iw + (shift & 0xFFFF))
                            inside = there and 0 <= h < tall and 0 <= v < broad
                            at = at_x + offsets[lane_row + i * step_rows]
                            load_run(x, at, 0, 1 if inside else 0, raw_b, e * PASSES + i, 1)
                    else:
                        inside = there and 0 <= ih < tall and 0 <= iw < broad
                        limit = rows_b if inside else 0
                        load_run(x, at_x, step_rows * plane_x, limit, raw_b, e * PASSES, PASSES)
                    ow[e] += add_w
                    oh[e] += add_h
                    n[e] += add_n
                    if ow[e] >= wide:
                        ow[e] -= wide
                        oh[e] += 1
                    if oh[e] >= high:
                        oh[e] -= high
                        n[e] += 1
                left = np.int32(left - depth)
            if step >= 0:
                of_a, of_b = (buffer * side + row) * PITCH, OF_B + (buffer * side + column) * PITCH
                multiply(like, room, of_a, of_b, fa, fb, sums)
            if step + 1 < steps:
                put(raw_a, room, (buffer ^ 1) * side * PITCH + place)
                put(raw_b, room, OF_B + (buffer ^ 1) * side * PITCH + place)
            cuda.syncthreads()

        out = (cuda.blockIdx.y * groups + group) * outer * inner * taps
        for half in range(0, side, 64):
            if column & ~63 == half:
                spread(sums, room, row, column & 63)
            cuda.syncthreads()
            j = j0 + half + (t & 63)
            if j < (inner * taps if flat else inner):
                at = out + (j if flat else j * taps + tap)
                for m in range(t >> 6, min(side, outer - m0), threads // 64):
                    partial[at + (m0 + m) * inner * taps] = float_of(room[m * SPREAD + (t & 63)])
            cuda.syncthreads()

    return dw
