"""The plain cell, fused: a tile is four vectors of units for QUAD_ROWS batch rows.

    h_t = tanh(W_ih·x_t + W_hh·h_{t−1} + b), or the positive part of it

Back through time dh_{t−1} = W_hhᵀ·dz_t, and the cell's slope at once. 2·rows·H·(D + H) FLOPs forward, 2·rows·H·H
back. Scratch: a tile, and a few integers a batch row. Weights are read once a step and thread, x and h once.

Source: Elman, "Finding Structure in Time", 1990.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd, stack
from kernels.recurrent.fused.tile import BUFFER, FOUR, ROWS, bias_panels, blocks_of, product
from kernels.recurrent.fused.walk import PAD, begin, dealt, places, still_walking
from kernels.recurrent.gates import rnn_row, rnn_row_backward


@jit.exact
def forward_share(
    x, bias, h0, first, lengths, stride, before, after, clip, relu, h, packed, share, count
):
    """Walk the rows of one share through all of their steps."""
    d, hidden = x.shape[1], h.shape[1]
    lanes = simd.lanes(packed)
    width = FOUR * lanes
    panels = blocks_of(hidden, width)
    start = bias_panels(bias, hidden, lanes, np.int64(1))
    x, h, h0 = x.reshape(x.size), h.reshape(h.size), h0.reshape(h0.size)
    buffer = stack.empty(BUFFER, packed)
    mine = dealt(lengths, share, count)
    active = mine.shape[0]
    begin(mine, h0, hidden, first, before, h)
    room = active + PAD
    at_x, at_h, to_h = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    steps = lengths[mine[0]] if active > 0 else 0
    for step in range(steps):
        active = still_walking(lengths, mine, active, step)
        places(mine, active, first, step, stride, 0, d, at_x)
        places(mine, active, first, step, stride, before, hidden, at_h)
        places(mine, active, first, step, stride, after, hidden, to_h)
        for r in range(active):  # the next step's inputs will have come when it does
            simd.prefetch(x, at_x[r] + stride * d, d)
        for panel in range(panels):
            unit = panel * width
            for row in range(0, active, ROWS):
                tile = simd.alike(start, unit, ROWS, FOUR)
                at = simd.places_of(at_x, row)
                tile = product(tile, x, at, packed, unit * (d + hidden), width, d)
                at = simd.places_of(at_h, row)
                tile = product(tile, h, at, packed, unit * (d + hidden) + d * width, width, hidden)
                simd.store(tile, buffer, 0, width)
                for i in range(min(ROWS, active - row)):
                    units = min(width, hidden - unit)
                    rnn_row(buffer, i * width, clip, relu, h, to_h[row + i] + unit, units)


@jit.parallel
def forward(
    x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, relu, h, packed, shares
):
    """All shares, each on a thread."""
    for i in prange(shares.shape[0]):
        forward_share(
            x, bias, h0, first, lengths, stride, before, after, clip, relu, h, packed, np.int64(i),
            np.int64(shares.shape[0]),
        )  # fmt: skip


@jit.exact
def backward_share(
    dy, first, lengths, stride, before, after, clip, relu, h, dh, dh0, dz, packed, share, count
):
    """Walk the rows of one share back: dz of every step, and the gradient of the first states."""
    hidden = h.shape[1]
    width = FOUR * simd.lanes(packed)
    dy, h, dz = dy.reshape(dy.size), h.reshape(h.size), dz.reshape(dz.size)
    dh, dh0 = dh.reshape(dh.size), dh0.reshape(dh0.size)
    buffer = stack.empty(BUFFER, packed)
    mine = dealt(lengths, share, count)
    rows = mine.shape[0]
    if rows == 0:
        return
    room = rows + PAD
    at, ahead_at = np.empty(room, np.int64), np.empty(room, np.int64)
    active = 0  # rows that have this step
    for step in range((lengths[mine[0]] if rows > 0 else 0) - 1, -2, -1):
        ahead = active  # and the one after it
        if ahead > 0:
            places(mine, ahead, first, step + 1, stride, 0, hidden, ahead_at)
        active = still_walking(lengths, mine, rows, step)
        places(mine, active, first, step, stride, 0, hidden, at)
        for panel in range(blocks_of(hidden, width)):
            unit = panel * width
            units = min(width, hidden - unit)
            for row in range(0, active, ROWS):
                tile = simd.zero_of(packed, ROWS, FOUR)
                if row < ahead:
                    back = simd.places_of(ahead_at, row)
                    tile = product(tile, dz, back, packed, unit * hidden, width, hidden)
                simd.store(tile, buffer, 0, width)
                for i in range(min(ROWS, active - row)):
                    r, to = row + i, mine[row + i] * hidden + unit
                    if r >= ahead:  # its last step: what comes back is the last state's own
                        for u in range(units):
                            buffer[i * width + u] = dh[to + u]
                    if step < 0:
                        for u in range(units):
                            dh0[to + u] = buffer[i * width + u]
                        continue
                    for u in range(units):
                        buffer[i * width + u] += dy[at[r] + unit + u]
                    rnn_row_backward(
                        buffer, i * width, h, at[r] + after * hidden + unit, clip, relu, dz, at[r] + unit,
                        units,
                    )  # fmt: skip


@jit.parallel
def backward(
    dy, w_hh, first, lengths, stride, before, after, clip, relu, h, dh, dh0, dz, packed, shares
):
    """All shares, each on a thread."""
    for i in prange(shares.shape[0]):
        backward_share(
            dy, first, lengths, stride, before, after, clip, relu, h, dh, dh0, dz, packed, np.int64(i),
            np.int64(shares.shape[0]),
        )  # fmt: skip
