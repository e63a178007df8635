"""Forward and dx: rows of A are filters (for dx channels), columns of B positions, and no column matrix is made.

A block makes 128 or 64 rows × 128 positions, in 8 warps of 64 × 32 or 4 of 32 × 64. A step multiplies one tap's next 32
channels (16 of float32): 64 bytes a row and a position. Taps are walked outside, channels inside, so the loop tests a
position once for a tap, and divides nothing; only where a group's channels would fill less than three quarters of the
steps are channels and taps one index, looked up in a list of at most 512 (`loads`).

While a step is multiplied, the next one's A comes by `cp.async`, 16 bytes a piece, into the other half of the shared
memory, and its B into registers: a thread loads half or all of a step's channels at one position, so neighbouring threads
read neighbouring elements, whatever the tap's shift does to their alignment. It packs them along channels, stores 16 bytes
at a time, and the block meets at one barrier a step. 128 × 128: 16 loads of an element, 12 `ldmatrix` and 32 `mma` a
thread's step of 16-bit elements.

At the end the sums go through shared memory, and a warp writes 32 neighbouring positions of one row.
"""

from functools import cache

import numpy as np

from kernels.conv.cuda.tensor_core import loads, tile, walk
from kernels.conv.cuda.tensor_core.loads import BN, LISTED
from kernels.conv.cuda.tensor_core.tile import PITCH, SPREAD, WORDS
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import float_of, load_run, narrow, wait_copies, widen


@cache
def make(rows, elements, phased, flat):
    """Make the kernel.

    Parameters
    ----------
    rows : {64, 128}
        Filters of a tile.
    elements : {1, 2}
        Elements to a word: of float32 one, of 16 bits two.
    phased : bool
        For dx with strides: a block's positions are those of one phase (`walk`), and there is no bias.
    flat : bool
        Whether channels and taps are walked as one index.
    """
    threads = 128 if rows == 64 else 256
    share = threads // BN  # threads to a position
    own = WORDS * elements // share  # elements of a step that a thread loads
    depth = WORDS * elements
    ROWS, COLUMNS = (2, 8) if rows == 64 else (4, 4)
    multiply, spread = tile.make(ROWS, COLUMNS)
    start, put, gather = loads.make(rows, elements, threads)
    ROOM, OF_B = 2 * (rows + BN) * PITCH, 2 * rows * PITCH
    RESIDENT = 3 if rows == 64 else 2  # blocks at a time: 168 or 128 registers a thread
    SUMS, WORDS_A, WORDS_B = ROWS * COLUMNS * 4, ROWS * 4, COLUMNS * 2

    def blocks(x, packed, b, images, inner, outer, groups, source, target, window, stride, *rest):
        high, wide = target
        phases = 1
        if phased:
            high, wide = -(-high // stride[0]), -(-wide // stride[1])
            phases = stride[0] * stride[1]
        return -(-images * high * wide // BN) * groups * -(-outer // rows), phases

    @kernel(threads, blocks, resident=RESIDENT)
    def product(
        x, packed, b, images, inner, outer, groups, source, target, window, stride, lead, dilation, relu, y
    ):  # fmt: skip
        room = cuda.shared.array(ROOM, np.uint32, alignment=16)
        places = cuda.shared.array(BN, np.int64)
        sums = cuda.local.array(SUMS, np.float32)
        fa = cuda.local.array(WORDS_A, np.uint32)
        fb = cuda.local.array(WORDS_B, np.uint32)
        raw = cuda.local.array(own, np.uint32)
        t = cuda.threadIdx.x
        tiles = (outer + rows - 1) // rows
        group = cuda.blockIdx.x % (tiles * groups) // tiles
        block = cuda.blockIdx.x % tiles
        high, wide = target
        if phased:
            first_h, high, tap_h, step_r, taps_r, base_h, back_h = walk.phase(
                cuda.blockIdx.y // stride[1], target[0], window[0], stride[0], lead[0], dilation[0]
            )
            first_w, wide, tap_w, step_s, taps_s, base_w, back_w = walk.phase(
                cuda.blockIdx.y % stride[1], target[1], window[1], stride[1], lead[1], dilation[1]
            )
        p = cuda.blockIdx.x // (tiles * groups) * BN + (t & (BN - 1))
        within = p < images * high * wide
        n = i = j = 0
        if within:
            n, i = p // (high * wide), p % (high * wide)
            i, j = i // wide, i % wide
        # from here on what varies in the loop has 32 bits, but for addresses: a register each, not two
        parts = np.int32((inner + depth - 1) // depth)
        if phased:
            ih, iw = np.int32(i + base_h), np.int32(j + base_w)
            down, right = np.int32(-back_h), np.int32(-back_w)
            taps_down, taps_right = np.int32(taps_r), np.int32(taps_s)
            i, j = first_h + i * stride[0], first_w + j * stride[1]
            # words from the end of a tap's weights to the next that is read
            skip_right = np.int32((step_s - 1) * parts * rows * WORDS)
            skip_down = np.int32((step_r * window[1] - taps_s * step_s) * parts * rows * WORDS)
            first_tap = tap_h * window[1] + tap_w
        else:
            ih, iw = np.int32(i * stride[0] - lead[0]), np.int32(j * stride[1] - lead[1])
            down, right = np.int32(dilation[0]), np.int32(dilation[1])
            taps_down, taps_right = np.int32(window[0]), np.int32(window[1])
            skip_right = skip_down = np.int32(0)
            first_tap = 0
        if t < BN:
            places[t] = (n * groups * outer * target[0] + i) * target[1] + j if within else -1
        tall, broad = np.int32(source[0]), np.int32(source[1])
        plane = source[0] * source[1]
        mine = (t >> 7) * own
        start_x = (n * groups * inner + group * inner + (0 if flat else mine)) * plane
        taps = window[0] * window[1]
        steps = np.int32(taps_down * taps_right * parts)
        if flat:
            offsets = cuda.shared.array(LISTED, np.int32)
            shifts = cuda.shared.array(LISTED, np.int32)
            loads.list_taps(inner, source, window, dilation, 0, LISTED, offsets, shifts)
            cuda.syncthreads()
            steps = np.int32((inner * taps + depth - 1) // depth)
            from_a = np.int32((group * tiles + block) * steps * rows * WORDS)
        else:
            from_a = np.int32(((group * tiles + block) * taps + first_tap) * parts * rows * WORDS)
        inside = within and 0 <= ih < tall and 0 <= iw < broad
        at = start_x + ih * source[1] + iw
        # from past a tap's channels to the next tap's, and from a row's last tap to the next row's first
        next_right, next_down = right - parts * depth * plane, down * source[1] - taps_right * right
        left = np.int32(inner - mine)
        limit = left if inside else np.int32(0)
        height, column, part, s = ih, iw, np.int32(0), np.int32(0)
        # the warp's first rows of A and of B
        row, first = np.int32((t >> 5 & 1) * ROWS * 16), np.int32((t >> 6) * COLUMNS * 8)
        for e in range(SUMS):
            sums[e] = 0

        if steps > 0:
            start(packed, from_a, room, 0)
            if flat:
                gather(x, at, ih, iw, tall, broad, within, mine, offsets, shifts, raw)
            else:
                load_run(x, at, plane, limit, raw, 0, own)
            put(raw, room, 0)
            wait_copies(0)
        cuda.syncthreads()
        for step in range(steps):
            buffer = step & 1
            if step + 1 < steps:
                from_a = np.int32(from_a + rows * WORDS)
                if flat:
                    listed = (step + 1) * depth + mine
                    start(packed, from_a, room, buffer ^ 1)
                    gather(x, at, ih, iw, tall, broad, within, listed, offsets, shifts, raw)
                else:
                    at += depth * plane
                    limit = np.int32(limit - depth)
                    part = np.int32(part + 1)
                    if part == parts:  # the next tap
                        part = np.int32(0)
                        column = np.int32(column + right)
                        at += next_right
                        from_a = np.int32(from_a + skip_right)
                        s = np.int32(s + 1)
                        if s == taps_right:
                            s = np.int32(0)
                            column = np.int32(column - taps_right * right)
                            height = np.int32(height + down)
                            at += next_down
                            from_a = np.int32(from_a + skip_down)
                        inside = within and 0 <= height < tall and 0 <= column < broad
                        limit = left if inside else np.int32(0)
                    start(packed, from_a, room, buffer ^ 1)
                    load_run(x, at, plane, limit, raw, 0, own)
            of_a = (buffer * rows + row) * PITCH
            of_b = OF_B + (buffer * BN + first) * PITCH
            multiply(y, room, of_a, of_b, fa, fb, sums)
            if step + 1 < steps:
                put(raw, room, buffer ^ 1)
                wait_copies(0)
            cuda.syncthreads()

        base = group * outer + block * rows
        place = places[t & (BN - 1)]
        within = place >= 0
        place += base * target[0] * target[1]
        # half of the positions, then the rest: neighbours are written together, out of what room there is
        for half in range(2):
            if first >> 6 == half:
                spread(sums, room, row, first & 63)
            cuda.syncthreads()
            if within and (t & (BN - 1)) >> 6 == half:
                for m in range(t >> 7, min(rows, outer - block * rows), share):
                    value = float_of(room[m * SPREAD + (t & 63)])
                    if not phased:
                        value += widen(b[base + m])
                    if relu and value < 0:
                        value = np.float32(0)
                    y[np.uint64(place + m * target[0] * target[1])] = narrow(value, y)
            cuda.syncthreads()

    return product
