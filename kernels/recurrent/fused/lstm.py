"""The LSTM, fused: a tile is LANES units' gates i, f, g, o for QUAD_ROWS batch rows.

    z = W_ih·x_t + W_hh·h_{t−1} + b        one tile, over both depths, begun with b
    c_t, h_t                               as soon as it leaves the registers

Back through time the columns are the states' instead: dh_{t−1} = W_hhᵀ·dz_t, four vectors of units a tile,
and the gates' gradient at once. 8·rows·H·(D + H) FLOPs forward, 8·rows·H·H back; each step reads the weights once a
thread, x and where they are saved writes gates and cells once. Scratch: eight tiles, and a few integers a batch row.

Measured on one core of a Zen 4, float32: 97 to 111 GFLOP/s of the 117 that the tile reaches alone; the README's table
has it beside `batched`. Sources: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Gers, Schraudolph and
Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", 2002 (peepholes); Sak, Senior and Beaufays, "Long
Short-Term Memory Recurrent Neural Network Architectures", 2014 (projection).
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd, stack
from kernels.recurrent.fused.tile import (
    BUFFER,
    FOUR,
    GROUP,
    ROWS,
    bias_panels,
    blocks_of,
    product,
    product_from,
    single,
)
from kernels.recurrent.fused.walk import PAD, begin, dealt, places, still_walking
from kernels.recurrent.gates import lstm_row, lstm_row_backward

PARTS = ROWS * FOUR  # of a product, between which the gates' rows are asked for


@jit.exact
def forward_share(
    x, bias, peepholes, projected, h0, c0, first, lengths, stride, before, after, clip, coupled, c,
    gates, m, h, packed, share, count,
):  # fmt: skip
    """Walk the rows of one share through all of their steps."""
    d, hidden, p = x.shape[1], c.shape[1], h.shape[1]
    saved = gates.shape[0] > 0
    lanes = simd.lanes(packed)
    width = FOUR * lanes
    blocks = blocks_of(hidden, lanes)
    panel = (d + p) * width  # W_ih's and W_hh's of a block
    projection = blocks * panel  # where W_proj's begin
    start = bias_panels(bias, hidden, lanes, np.int64(FOUR))
    x, c, h, gates = (
        x.reshape(x.size),
        c.reshape(c.size),
        h.reshape(h.size),
        gates.reshape(gates.size),
    )
    m = m.reshape(m.size)
    target = m if projected else h
    peepholes, h0, c0 = peepholes.reshape(peepholes.size), h0.reshape(h0.size), c0.reshape(c0.size)
    buffer = stack.empty(BUFFER, packed)
    mine = dealt(lengths, share, count)
    active = mine.shape[0]
    begin(mine, h0, p, first, before, h)
    if saved:
        begin(mine, c0, hidden, first, before, c)
    else:  # the cells have no row a step: each is written over
        for b in mine:
            for u in range(b * hidden, (b + 1) * hidden):
                c[u] = c0[u]
    room = active + PAD
    at_x, at_h, to_h = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    at_c, to_c, to_gates = (
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    steps = lengths[mine[0]] if active > 0 else 0
    for step in range(steps):
        active = still_walking(lengths, mine, active, step)
        places(mine, active, first, step, stride, 0, d, at_x)
        places(mine, active, first, step, stride, before, p, at_h)
        if projected:
            places(mine, active, first, step, stride, 0, hidden, to_h)
        else:
            places(mine, active, first, step, stride, after, p, to_h)
        if saved:
            places(mine, active, first, step, stride, before, hidden, at_c)
            places(mine, active, first, step, stride, after, hidden, to_c)
            places(mine, active, first, step, stride, 0, FOUR * hidden, to_gates)
        else:
            for i in range(active):
                at_c[i] = to_c[i] = mine[i] * hidden
                to_gates[i] = 0
        for r in range(active):  # the next step's inputs will have come when it does
            simd.prefetch(x, at_x[r] + stride * d, d)
        for block in range(blocks):
            unit = block * lanes
            for group in range(0, active, GROUP):
                end = min(group + GROUP, active)
                for row in range(group, end, ROWS):
                    tile = simd.alike(start, block * width, ROWS, FOUR)
                    at = simd.places_of(at_x, row)
                    tile = product(tile, x, at, packed, block * panel, width, d)
                    at = simd.places_of(at_h, row)
                    tile = product(tile, h, at, packed, block * panel + d * width, width, p)
                    simd.store(tile, buffer, (row - group) * width, width)
                for r in range(group, end):
                    lstm_row(
                        buffer, (r - group) * width, lanes, c, at_c[r] + unit, peepholes, hidden, unit, clip,
                        coupled, saved, gates, to_gates[r] + unit, c, to_c[r] + unit,
                        target, to_h[r] + unit, min(lanes, hidden - unit),
                    )  # fmt: skip
        if projected:
            places(mine, active, first, step, stride, after, p, at_h)
            for out in range(0, p, width):
                for row in range(0, active, ROWS):
                    tile = simd.zero_of(packed, ROWS, FOUR)
                    at = simd.places_of(to_h, row)
                    tile = product(tile, m, at, packed, projection + out * hidden, width, hidden)
                    simd.store(tile, buffer, 0, width)
                    for r in range(row, min(row + ROWS, active)):
                        for u in range(min(width, p - out)):
                            h[at_h[r] + out + u] = buffer[(r - row) * width + u]


@jit.parallel
def forward(
    x, w_ih, w_hh, bias, peepholes, w_proj, h0, c0, first, lengths, stride, before, after, clip, coupled,
    c, gates, m, h, packed, shares,
):  # fmt: skip
    """All shares, each on a thread."""
    for i in prange(shares.shape[0]):
        forward_share(
            x, bias, peepholes, w_proj.shape[0] > 0, h0, c0, first, lengths, stride, before, after, clip,
            coupled, c, gates, m, h, packed, np.int64(i), np.int64(shares.shape[0]),
        )  # fmt: skip


@jit.inlined
def ask(dy, gates, c, dz, row, gate, hidden, unit, units, before, after):
    """Have a quarter of what a row's gates will read and write brought nearer."""
    simd.prefetch(gates, (row * FOUR + gate) * hidden + unit, units)
    simd.prefetch(dz, (row * FOUR + gate) * hidden + unit, units)
    if gate == 0:
        simd.prefetch(dy, row * hidden + unit, units)
    elif gate == 1:
        simd.prefetch(c, (row + before) * hidden + unit, units)
    elif gate == 2:
        simd.prefetch(c, (row + after) * hidden + unit, units)


@jit.inlined
def asking_product(
    dy, gates, c, dz, at, row, count, places, packed, panel, width, terms, hidden, unit, units, before,
    after, buffer,
):  # fmt: skip
    """A tile's product; what its gates will read is asked for a little at a time, or the weights would have to wait."""
    tile = simd.zero_of(packed, ROWS, FOUR)
    for part in range(PARTS):
        i, gate = part // FOUR, part % FOUR
        if i < count:
            ask(dy, gates, c, dz, at[row + i], gate, hidden, unit, units, before, after)
        low, high = part * terms // PARTS, (part + 1) * terms // PARTS
        tile = product_from(tile, dz, places, packed, panel, width, low, high)
    simd.store(tile, buffer, 0, width)


@jit.exact
def backward_share(
    dy, peepholes, projected, first, lengths, stride, before, after, clip, coupled, gates, c, dh, dc,
    dh0, dc0, dp, dz, packed, share, count,
):  # fmt: skip
    """Walk the rows of one share back: dz of every step, and the gradients of the first states."""
    hidden, p = c.shape[1], dy.shape[1]
    deep = FOUR * hidden
    width = FOUR * simd.lanes(packed)
    projection = blocks_of(p, width) * width * deep  # where W_proj's panels begin
    dy, c, gates, dz = (
        dy.reshape(dy.size),
        c.reshape(c.size),
        gates.reshape(gates.size),
        dz.reshape(dz.size),
    )
    dh, dh0, dp = dh.reshape(dh.size), dh0.reshape(dh0.size), dp.reshape(dp.size)
    peepholes = peepholes.reshape(peepholes.size)
    dc, dc0 = dc.reshape(dc.size), dc0.reshape(dc0.size)
    buffer = stack.empty(BUFFER, packed)
    mine = dealt(lengths, share, count)
    rows = mine.shape[0]
    if rows == 0:
        return
    for b in mine:
        for u in range(b * hidden, (b + 1) * hidden):
            dc0[u] = dc[u]
    room = rows + PAD
    at, ahead_at = np.empty(room, np.int64), np.empty(room, np.int64)
    active = 0  # rows that have this step
    for step in range((lengths[mine[0]] if rows > 0 else 0) - 1, -2, -1):
        ahead = active  # and the one after it
        if ahead > 0:
            places(mine, ahead, first, step + 1, stride, 0, deep, ahead_at)
        active = still_walking(lengths, mine, rows, step)
        places(mine, active, first, step, stride, 0, 1, at)
        for panel in range(blocks_of(p, width)):
            unit = panel * width
            units = min(width, p - unit)
            for row in range(0, active, ROWS):
                end = min(row + ROWS, active)
                back = simd.places_of(ahead_at, row)
                terms = deep if row < ahead else 0
                if lengths.shape[0] == 1:  # a batch of one row: no tile of more
                    even, odd = simd.zero_of(packed, 1, FOUR), simd.zero_of(packed, 1, FOUR)
                    single(even, odd, dz, back, packed, unit * deep, width, terms, buffer)
                else:
                    rows_asked = min(ROWS, end - row) if step >= 0 and not projected else 0
                    asking_product(
                        dy, gates, c, dz, at, row, rows_asked, back, packed, unit * deep, width, terms,
                        hidden, unit, units, before, after, buffer,
                    )  # fmt: skip
                for r in range(row, end):
                    above, to = (r - row) * width, mine[r] * p + unit
                    if r >= ahead:  # its last step: what comes back is the last state's own
                        for u in range(units):
                            buffer[above + u] = dh[to + u]
                    if step < 0:
                        for u in range(units):
                            dh0[to + u] = buffer[above + u]
                    elif projected:
                        for u in range(at[r] * p + unit, at[r] * p + unit + units):
                            dp[u] = buffer[above + u - at[r] * p - unit] + dy[u]
                    else:
                        for u in range(units):
                            buffer[above + u] += dy[at[r] * p + unit + u]
                        lstm_row_backward(
                            buffer, above, gates, at[r] * deep + unit, hidden,
                            c, (at[r] + before) * hidden + unit, (at[r] + after) * hidden + unit,
                            peepholes, unit, clip, coupled, dc0, to, dz, at[r] * deep + unit, hidden, units,
                        )  # fmt: skip
        if projected and step >= 0:
            places(mine, active, first, step, stride, 0, p, ahead_at)
            for panel in range(blocks_of(hidden, width)):
                unit = panel * width
                units = min(width, hidden - unit)
                for row in range(0, active, ROWS):
                    tile = simd.zero_of(packed, ROWS, FOUR)
                    back = simd.places_of(ahead_at, row)
                    tile = product(tile, dp, back, packed, projection + unit * p, width, p)
                    simd.store(tile, buffer, 0, width)
                    for r in range(row, min(row + ROWS, active)):
                        lstm_row_backward(
                            buffer, (r - row) * width, gates, at[r] * deep + unit, hidden,
                            c, (at[r] + before) * hidden + unit, (at[r] + after) * hidden + unit, peepholes,
                            unit, clip, coupled, dc0, mine[r] * hidden + unit, dz, at[r] * deep + unit,
                            hidden, units,
                        )  # fmt: skip


@jit.parallel
def backward(
    dy, w_hh, peepholes, w_proj, first, lengths, stride, before, after, clip, coupled, gates, c, dh, dc,
    dh0, dc0, dp, dz, packed, shares,
):  # fmt: skip
    """All shares, each on a thread."""
    for i in prange(shares.shape[0]):
        backward_share(
            dy, peepholes, w_proj.shape[0] > 0, first, lengths, stride, before, after, clip, coupled,
            gates, c, dh, dc, dh0, dc0, dp, dz, packed, np.int64(i), np.int64(shares.shape[0]),
        )  # fmt: skip
