"""Rung 3: few rows. Threads take units instead of rows, and meet after each step.

A single row leaves `fused` one thread, and a tile with one row in four in use. Here the inputs' part of all
steps comes first, as whole tiles over time; what is left of a step is W_hh times one vector, which costs what
reading W_hh costs. Each thread keeps the panels of its own units, half of W_hh on two cores, in its own second
cache, and all meet after each step (`kernels.core.meeting`): the next needs every unit's h. One region for all
of the sequence.

One walk serves the three cells, told apart by their number of gates: 4, 3, 1. Scratch: the counters, and the
inputs' part, G·H numbers a step.

Measured on a Zen 4, float32, two threads, T 100, B 1, 256 units of 256 inputs: 1.0 ms where `fused` takes 3.9.
"""

import numpy as np
from numba import prange

from kernels.core import jit, meeting, simd, stack, threads
from kernels.recurrent.fused.gru import THREE
from kernels.recurrent.fused.tile import (
    BUFFER,
    FOUR,
    ROWS,
    bias_panels,
    blocks,
    blocks_of,
    product,
    single,
)
from kernels.recurrent.fused.walk import PAD, begin, longest_first, still_walking
from kernels.recurrent.gates import gru_pair_row, lstm_row, rnn_row

MOST = ROWS  # rows of a batch: from the next on `fused` has tiles for two threads
PARTS = 32  # threads at most
SHARES = 32  # pieces of the inputs' part
DONE, PRESENT, FIRST = 0, 1, 2  # counters: pieces done, threads that came, each thread's claims
WORDS = 2 * meeting.APART * (PARTS + FIRST)  # the counters' room: 8 bytes are two float32


def scratch(problem, direction):
    """Threads, and elements for each: in all the counters, then a row of panels for each step."""
    p, lanes = problem, simd.lanes_of(problem.dtype)
    vectors, wide = (FOUR, FOUR * lanes) if p.gates == 1 else (p.gates, lanes)
    count = blocks(p.h, wide)
    parts = max(1, min(threads.most(), count, PARTS))
    rows = (p.t + 1) * p.b
    return parts, -(-(WORDS + rows * count * vectors * lanes) // parts)


def refuses(problem, direction):
    """Why it cannot do a problem."""
    if problem.projected:
        return "a projection wants all units of a step before the next"
    if not 1 <= problem.b <= MOST:
        return f"it is for 1 to {MOST} rows, and there are {problem.b}"
    return None


@jit.inlined
def extent(cell, lanes):
    """Return the columns of a panel, and how many units they are."""
    if cell == 1:
        return FOUR * lanes, FOUR * lanes
    return cell * lanes, lanes


@jit.exact
def inputs_share(cell, x, bias, hidden, packed, z, share, count):
    """Compute W_ih·x + b for all steps, some of the panels; z has a row of panels for each step."""
    rows, d = x.shape
    width, units = extent(cell, simd.lanes(packed))
    blocks = blocks_of(hidden, units)
    start = bias_panels(bias, hidden, simd.lanes(packed), cell)
    x = x.reshape(x.size)
    places = np.empty(PAD, np.int64)
    for block in range(share * blocks // count, (share + 1) * blocks // count):
        for row in range(0, rows, ROWS):
            for i in range(PAD):
                places[i] = min(row + i, rows - 1) * d
            at, to = simd.places_of(places, 0), (row * blocks + block) * width
            high = min(ROWS, rows - row)
            if cell == THREE:
                tile = simd.alike(start, block * width, ROWS, THREE)
                tile = product(tile, x, at, packed, block * (d + hidden) * width, width, d)
                simd.store_part(tile, z, to, blocks * width, high, width)
            else:
                tile = simd.alike(start, block * width, ROWS, FOUR)
                tile = product(tile, x, at, packed, block * (d + hidden) * width, width, d)
                simd.store_part(tile, z, to, blocks * width, high, width)


@jit.inlined
def states_part(cell, count, h, places, packed, panel, start, begin, width, hidden, buffer):
    """W_hh times the states of up to ROWS rows, begun with what lies at start[begin]."""
    at = simd.places_of(places, 0)
    if cell == THREE:
        if count == 1:
            even, odd = simd.alike(start, begin, 1, THREE), simd.zero_of(start, 1, THREE)
            single(even, odd, h, at, packed, panel, width, hidden, buffer)
        else:
            tile = simd.alike(start, begin, ROWS, THREE)
            tile = product(tile, h, at, packed, panel, width, hidden)
            simd.store(tile, buffer, 0, width)
    elif count == 1:
        even, odd = simd.alike(start, begin, 1, FOUR), simd.zero_of(start, 1, FOUR)
        single(even, odd, h, at, packed, panel, width, hidden, buffer)
    else:
        tile = simd.alike(start, begin, ROWS, FOUR)
        tile = product(tile, h, at, packed, panel, width, hidden)
        simd.store(tile, buffer, 0, width)


@jit.inlined
def block_step(
    cell, block, step, active, mine, first, stride, before, after, peepholes, clip, flag, c, gates, h,
    hidden, saved, packed, d, start, z, buffer, places,
):  # fmt: skip
    """One block of units through one step: the product for up to ROWS rows, then the gates of each."""
    lanes = simd.lanes(packed)
    width, units = extent(cell, lanes)
    blocks = blocks_of(hidden, units)
    unit = block * units
    count = min(units, hidden - unit)
    for group in range(0, active, ROWS):
        rows = min(ROWS, active - group)
        for i in range(PAD):
            row = first[mine[group + min(i, rows - 1)]] + step * stride
            places[i] = (row + before) * hidden
        panel = (block * (d + hidden) + d) * width
        states_part(
            cell, rows, h, places, packed, panel, start, block * width, width, hidden, buffer
        )
        for i in range(rows):
            b = mine[group + i]
            row = first[b] + step * stride
            to, brought = (row + after) * hidden + unit, (row * blocks + block) * width
            if cell == THREE:
                gru_pair_row(
                    z, brought, buffer, i * width, lanes, h, places[i] + unit, clip, saved, gates,
                    row * FOUR * hidden + unit, hidden, h, to, count,
                )  # fmt: skip
                continue
            for u in range(width):
                buffer[i * width + u] += z[brought + u]
            if cell == FOUR:
                old, new = b, b
                if saved:
                    old, new = row + before, row + after
                lstm_row(
                    buffer, i * width, lanes, c, old * hidden + unit, peepholes, hidden, unit, clip, flag,
                    saved, gates, row * FOUR * hidden + unit, c, new * hidden + unit, h, to, count,
                )  # fmt: skip
            else:
                rnn_row(buffer, i * width, clip, flag, h, to, count)


@jit.inlined
def part_end(part, parts, blocks):
    """One past the last block of a part."""
    return (part + 1) * blocks // parts


@jit.exact
def walk(
    cell, d, bias, peepholes, first, lengths, stride, before, after, clip, flag, c, gates, h, packed, z,
    counters, part, parts,
):  # fmt: skip
    """Take one thread's units through all steps, and others' where these do not come."""
    hidden, lanes = h.shape[1], simd.lanes(packed)
    saved = gates.shape[0] > 0
    width, units = extent(cell, lanes)
    blocks = blocks_of(hidden, units)
    start = np.zeros(blocks * width, packed.dtype)
    if cell == THREE:  # q has a bias of its own
        start[:] = bias_panels(bias[hidden:], hidden, lanes, cell)
        for block in range(blocks):
            start[block * width : block * width + 2 * lanes] = 0
    c, h, gates = c.reshape(c.size), h.reshape(h.size), gates.reshape(gates.size)
    peepholes = peepholes.reshape(peepholes.size)
    mine = longest_first(lengths)
    buffer, places = stack.empty(BUFFER, packed), np.zeros(PAD, np.int64)
    meeting.add(counters, PRESENT, 1)
    active = mine.shape[0]
    for step in range(lengths[mine[0]]):
        active = still_walking(lengths, mine, active, step)
        owner, finished, looks = part, 0, 0
        while True:
            low = part_end(owner - 1, parts, blocks)
            own = part_end(owner, parts, blocks) - low
            piece = meeting.claim(counters, FIRST + owner, (step + 1) * own)
            if piece >= 0:
                place = piece - step * own
                if step % 2:  # there and back, so that the last block is still in the first cache
                    place = own - 1 - place
                block_step(
                    cell, low + place, step, active, mine, first, stride, before, after,
                    peepholes, clip, flag, c, gates, h, hidden, saved, packed, d, start, z,
                    buffer, places,
                )  # fmt: skip
                finished += 1
                continue
            if finished > 0:
                meeting.add(counters, DONE, finished)
                finished = 0
            if meeting.read(counters, DONE) >= (step + 1) * blocks:
                break
            meeting.pause()
            looks += 1
            if looks > meeting.PATIENCE or meeting.read(counters, PRESENT) < parts:
                owner = (owner + 1) % parts


@jit.exact
def prepare(cell, h0, c0, first, lengths, before, saved, c, h, counters):
    """Write the initial states, and set the counters to zero."""
    hidden = h.shape[1]
    mine = longest_first(lengths)
    begin(mine, h0.reshape(h0.size), hidden, first, before, h.reshape(h.size))
    flat, cells = c.reshape(c.size), c0.reshape(c0.size)
    if cell == FOUR and saved:
        begin(mine, cells, hidden, first, before, flat)
    elif cell == FOUR:
        for u in range(cells.shape[0]):
            flat[u] = cells[u]
    for i in range(counters.shape[0]):
        counters[i] = 0


@jit.parallel
def forward(
    cell, x, bias, peepholes, h0, c0, first, lengths, stride, before, after, clip, flag, c, gates, h, packed,
    scratch,
):  # fmt: skip
    """The inputs' part over threads; then all steps, in one region."""
    flat = scratch.reshape(scratch.size)
    counters, z = flat[:WORDS], flat[WORDS:]
    prepare(cell, h0, c0, first, lengths, before, gates.shape[0] > 0, c, h, counters)
    for i in prange(SHARES):
        hidden = np.int64(h.shape[1])
        inputs_share(cell, x, bias, hidden, packed, z, np.int64(i), np.int64(SHARES))
    for i in prange(scratch.shape[0]):
        walk(
            cell, np.int64(x.shape[1]), bias, peepholes, first, lengths, stride, before, after, clip, flag,
            c, gates, h, packed, z, counters, np.int64(i), np.int64(scratch.shape[0]),
        )  # fmt: skip


def lstm(
    kernel, x, w_ih, w_hh, bias, peepholes, w_proj, h0, c0, first, lengths, stride, before, after, clip,
    coupled, c, gates, m, h, packed, scratch,
):  # fmt: skip
    """The LSTM's arguments."""
    kept = peepholes, h0, c0, first, lengths, stride, before, after, clip, coupled, c, gates, h
    _run(kernel, 4, x, w_hh, bias, *kept, packed, scratch)


def gru(
    kernel, x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, linear_before_reset, gates,
    h, packed, scratch,
):  # fmt: skip
    """The GRU's."""
    none = np.empty((0, h.shape[1]), h.dtype)
    kept = none, h0, none, first, lengths, stride, before, after, clip, False, none, gates, h
    _run(kernel, 3, x, w_hh, bias, *kept, packed, scratch)


def rnn(
    kernel,
    x,
    w_ih,
    w_hh,
    bias,
    h0,
    first,
    lengths,
    stride,
    before,
    after,
    clip,
    relu,
    h,
    packed,
    scratch,
):
    """The plain cell's."""
    none = np.empty((0, h.shape[1]), h.dtype)
    kept = none, h0, none, first, lengths, stride, before, after, clip, relu, none, none, h
    _run(kernel, 1, x, w_hh, bias, *kept, packed, scratch)


def _run(kernel, cell, x, w_hh, *rest):
    work = 2 * x.shape[0] * (x.shape[1] + w_hh.shape[1]) * w_hh.shape[0]
    threads.run(kernel, (np.int64(cell), x, *rest), work)
