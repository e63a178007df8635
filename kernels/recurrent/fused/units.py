"""Rung 3: few rows. Threads take units instead of rows, and meet after each step.

A single row leaves `fused` one thread, and a tile with one row in four in use. Here the inputs' part of all
steps comes first, as whole tiles over time; what is left of a step is W_hh times one vector, which costs what
reading W_hh costs. Each thread keeps the panels of its own units, half of W_hh on two cores, in its own second
cache, and all meet after each step (`kernels.core.meeting`): the next needs every unit's h. One region for all
of the sequence.

Scratch: the counters, and the inputs' part, 4·H numbers a step.
"""

import numpy as np
from numba import prange

from kernels.core import jit, meeting, simd, stack, threads
from kernels.recurrent.fused.tile import BUFFER, FOUR, ROWS, bias_panels, blocks, blocks_of, product
from kernels.recurrent.fused.walk import PAD, begin, longest_first, still_walking
from kernels.recurrent.gates import lstm_row

MOST = ROWS  # rows of a batch: from the next on `fused` has tiles for two threads
PARTS = 32  # threads at most
SHARES = 32  # pieces of the inputs' part
DONE, PRESENT, FIRST = 0, 1, 2  # counters: pieces done, threads that came, each thread's claims
WORDS = (
    2 * meeting.APART * (PARTS + FIRST)
)  # of the scratch, for the counters: 8 bytes are two float32


def scratch(problem, direction):
    """Threads, and elements for each: in all the counters, then a row of panels for each step."""
    lanes = simd.lanes_of(problem.dtype)
    count = blocks(problem.h, lanes)
    parts = max(1, min(threads.most(), count, PARTS))
    rows = (problem.t + 1) * problem.b
    return parts, -(-(WORDS + rows * count * FOUR * lanes) // parts)


def refuses(problem, direction):
    """Why it cannot do a problem."""
    if problem.projected:
        return "a projection wants all units of a step before the next"
    if not 1 <= problem.b <= MOST:
        return f"it is for 1 to {MOST} rows, and there are {problem.b}"
    return None


@jit.exact
def inputs_share(x, bias, hidden, packed, z, share, count):
    """Compute W_ih·x + b for every `count`-th group of rows, in the order of the panels."""
    rows, d = x.shape
    lanes = simd.lanes(packed)
    width = FOUR * lanes
    blocks = blocks_of(hidden, lanes)
    start = bias_panels(bias, hidden, lanes, np.int64(FOUR))
    x = x.reshape(x.size)
    places = np.empty(PAD, np.int64)
    low, high = share * rows // count, (share + 1) * rows // count
    for block in range(blocks):
        for row in range(low, high, ROWS):
            for i in range(PAD):
                places[i] = min(row + i, high - 1) * d
            tile = simd.alike(start, block * width, ROWS, FOUR)
            tile = product(tile, x, simd.places_of(places, 0), packed, block * d * width, width, d)
            z_start = (row * blocks + block) * width
            if row + ROWS <= high:
                simd.store(tile, z, z_start, blocks * width)
            else:
                simd.store_part(tile, z, z_start, blocks * width, high - row, width)


@jit.inlined
def single(h, at, packed, start, width, depth, buffer):
    """The product of one row: two sums a vector, for even and odd k, so that none waits for the last."""
    even, odd = simd.zero_of(packed, 1, FOUR), simd.zero_of(packed, 1, FOUR)
    places = simd.places_of(at, 0)
    for k in range(0, depth - 1, 2):
        even = simd.multiply_add_at(even, h, places, k, packed, start + k * width)
        odd = simd.multiply_add_at(odd, h, places, k + 1, packed, start + (k + 1) * width)
    if depth % 2:
        even = simd.multiply_add_at(even, h, places, depth - 1, packed, start + (depth - 1) * width)
    simd.store(even + odd, buffer, 0, width)


@jit.exact
def step_of_block(
    block, step, active, mine, first, stride, before, after, peepholes, clip, coupled, c, gates, h, hidden,
    saved, packed, recurrent, z, buffer, places,
):  # fmt: skip
    """One block of units through one step, a row at a time."""
    lanes = simd.lanes(packed)
    width = FOUR * lanes
    blocks = blocks_of(hidden, lanes)
    unit, panel = block * lanes, recurrent + block * hidden * width
    for group in range(0, active, ROWS):
        count = min(ROWS, active - group)
        for i in range(PAD):
            row = first[mine[group + min(i, count - 1)]] + step * stride
            places[i] = (row + before) * hidden
        if count == 1:
            single(h, places, packed, panel, width, hidden, buffer)
        else:
            tile = simd.zero_of(packed, ROWS, FOUR)
            tile = product(tile, h, simd.places_of(places, 0), packed, panel, width, hidden)
            simd.store(tile, buffer, 0, width)
        for i in range(count):
            b = mine[group + i]
            row = first[b] + step * stride
            for u in range(width):
                buffer[i * width + u] += z[(row * blocks + block) * width + u]
            cell_before, cell_after = b, b
            if saved:
                cell_before, cell_after = row + before, row + after
            lstm_row(
                buffer, i * width, lanes, c, cell_before * hidden + unit, peepholes, hidden, unit, clip,
                coupled, saved, gates, row * FOUR * hidden + unit, c, cell_after * hidden + unit, h,
                (row + after) * hidden + unit, min(lanes, hidden - unit),
            )  # fmt: skip


@jit.inlined
def part_end(part, parts, blocks):
    """One past the last block of a part."""
    return (part + 1) * blocks // parts


@jit.exact
def walk(
    d, peepholes, first, lengths, stride, before, after, clip, coupled, c, gates, h, packed, z, counters,
    part, parts,
):  # fmt: skip
    """Take one thread's units through all steps, and others' where these do not come."""
    hidden = c.shape[1]
    saved = gates.shape[0] > 0
    lanes = simd.lanes(packed)
    blocks = blocks_of(hidden, lanes)
    recurrent = blocks * d * FOUR * lanes
    c, h, gates, peepholes = (
        c.reshape(c.size),
        h.reshape(h.size),
        gates.reshape(gates.size),
        peepholes.reshape(peepholes.size),
    )
    mine = longest_first(lengths)
    buffer, places = stack.empty(BUFFER, packed), np.zeros(PAD, np.int64)
    meeting.add(counters, PRESENT, 1)
    active = mine.shape[0]
    for step in range(lengths[mine[0]]):
        active = still_walking(lengths, mine, active, step)
        owner, looks = part, 0
        while meeting.read(counters, DONE) < (step + 1) * blocks:
            own = part_end(owner, parts, blocks) - part_end(owner - 1, parts, blocks)
            piece = meeting.claim(counters, FIRST + owner, (step + 1) * own)
            if piece >= 0:
                block = part_end(owner - 1, parts, blocks) + piece - step * own
                step_of_block(
                    block, step, active, mine, first, stride, before, after, peepholes, clip, coupled, c,
                    gates, h, hidden, saved, packed, recurrent, z, buffer, places,
                )  # fmt: skip
                meeting.add(counters, DONE, 1)
                continue
            meeting.pause()
            looks += 1
            if looks > meeting.PATIENCE or meeting.read(counters, PRESENT) < parts:
                owner = (owner + 1) % parts


@jit.exact
def prepare(h0, c0, first, lengths, before, saved, c, h, counters):
    """Write the initial states, and set the counters to zero."""
    hidden = c.shape[1]
    mine = longest_first(lengths)
    flat_c, flat_h, h0, c0 = (
        c.reshape(c.size),
        h.reshape(h.size),
        h0.reshape(h0.size),
        c0.reshape(c0.size),
    )
    begin(mine, h0, hidden, first, before, flat_h)
    if saved:
        begin(mine, c0, hidden, first, before, flat_c)
    else:
        for u in range(c0.shape[0]):
            flat_c[u] = c0[u]
    for i in range(counters.shape[0]):
        counters[i] = 0


@jit.parallel
def forward(
    x, w_ih, w_hh, bias, peepholes, w_proj, h0, c0, first, lengths, stride, before, after, clip, coupled,
    c, gates, m, h, packed, scratch,
):  # fmt: skip
    """The inputs' part over threads; then all steps, in one region."""
    flat = scratch.reshape(scratch.size)
    counters, z = flat[:WORDS], flat[WORDS:]
    prepare(h0, c0, first, lengths, before, gates.shape[0] > 0, c, h, counters)
    for i in prange(SHARES):
        inputs_share(x, bias, np.int64(c.shape[1]), packed, z, np.int64(i), np.int64(SHARES))
    for i in prange(scratch.shape[0]):
        walk(
            np.int64(x.shape[1]), peepholes, first, lengths, stride, before, after, clip, coupled, c, gates,
            h, packed, z, counters, np.int64(i), np.int64(scratch.shape[0]),
        )  # fmt: skip
