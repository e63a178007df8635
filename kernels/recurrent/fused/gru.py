"""The GRU, fused: two tiles of three gates, for what the input and what the state before bring.

    W_ih·x_t + b_ih : r, z, n        W_hh·h_{t−1} + b_hh : r, z, q        n = tanh(n + r·q)

q meets the reset gate before it is added, so the two products stay apart until the gates. Back through time
dh_{t−1} = W_hhᵀ·(dr, dz, dq) + z·dh_t. 6·rows·H·(D + H) FLOPs forward, 6·rows·H·H back. Scratch: two tiles, and a few
integers a batch row. The kind that resets before the product (`linear_before_reset=False`) needs all of r·h
before any n, so it has no such tile; `batched` does it. Weights are read once a step and thread, x and gates once.

Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014; the order of reset and product is
cuDNN's.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd, stack
from kernels.recurrent.fused.tile import (
    BUFFER,
    FOUR,
    ROWS,
    bias_panels,
    blocks_of,
    product,
    product_from,
)
from kernels.recurrent.fused.walk import PAD, begin, dealt, places, still_walking
from kernels.recurrent.gates import gru_pair_row, gru_row_backward

THREE = 3  # gates
PARTS = ROWS * FOUR  # of a product, between which the gates' rows are asked for


@jit.exact
def forward_share(
    x, bias, h0, first, lengths, stride, before, after, clip, gates, h, packed, share, count
):
    """Walk the rows of one share through all of their steps."""
    d, hidden = x.shape[1], h.shape[1]
    saved = gates.shape[0] > 0
    lanes = simd.lanes(packed)
    width = THREE * lanes
    blocks = blocks_of(hidden, lanes)
    size = (d + hidden) * width  # of a block's panels
    start_x = bias_panels(bias[: 3 * hidden], hidden, lanes, np.int64(THREE))
    start_h = bias_panels(bias[hidden:], hidden, lanes, np.int64(THREE))  # its third alone is used
    for block in range(blocks):
        start_h[block * width : block * width + 2 * lanes] = 0
    x, h, gates, h0 = (
        x.reshape(x.size),
        h.reshape(h.size),
        gates.reshape(gates.size),
        h0.reshape(h0.size),
    )
    from_x, from_h = stack.empty(BUFFER, packed), stack.empty(BUFFER, packed)
    mine = dealt(lengths, share, count)
    active = mine.shape[0]
    begin(mine, h0, hidden, first, before, h)
    room = active + PAD
    at_x, at_h, to_h = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    to_gates = np.zeros(room, np.int64)
    steps = lengths[mine[0]] if active > 0 else 0
    for step in range(steps):
        active = still_walking(lengths, mine, active, step)
        places(mine, active, first, step, stride, 0, d, at_x)
        places(mine, active, first, step, stride, before, hidden, at_h)
        places(mine, active, first, step, stride, after, hidden, to_h)
        if saved:
            places(mine, active, first, step, stride, 0, FOUR * hidden, to_gates)
        for r in range(active):  # the next step's inputs will have come when it does
            simd.prefetch(x, at_x[r] + stride * d, d)
        for block in range(blocks):
            unit, panel = block * lanes, block * width
            for row in range(0, active, ROWS):
                tile = simd.alike(start_x, panel, ROWS, THREE)
                at = simd.places_of(at_x, row)
                tile = product(tile, x, at, packed, block * size, width, d)
                simd.store(tile, from_x, 0, width)
                tile = simd.alike(start_h, panel, ROWS, THREE)
                at = simd.places_of(at_h, row)
                tile = product(tile, h, at, packed, block * size + d * width, width, hidden)
                simd.store(tile, from_h, 0, width)
                for i in range(min(ROWS, active - row)):
                    r = row + i
                    gru_pair_row(
                        from_x, i * width, from_h, i * width, lanes, h, at_h[r] + unit, clip, saved, gates,
                        to_gates[r] + unit, hidden, h, to_h[r] + unit, min(lanes, hidden - unit),
                    )  # fmt: skip


@jit.parallel
def forward(
    x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, linear_before_reset, gates, h,
    packed, shares,
):  # fmt: skip
    """All shares, each on a thread."""
    for i in prange(shares.shape[0]):
        forward_share(
            x, bias, h0, first, lengths, stride, before, after, clip, gates, h, packed, np.int64(i),
            np.int64(shares.shape[0]),
        )  # fmt: skip


@jit.inlined
def ask(dy, gates, h, drz, dn, dq, row, quarter, hidden, unit, units, before):
    """Have a quarter of what a row's gates will read and write brought nearer."""
    simd.prefetch(gates, (row * FOUR + quarter) * hidden + unit, units)
    if quarter < 2:
        simd.prefetch(drz, (row * 2 + quarter) * hidden + unit, units)
        simd.prefetch(dy if quarter == 0 else h, (row + quarter * before) * hidden + unit, units)
    else:
        simd.prefetch(dn if quarter == 2 else dq, row * hidden + unit, units)


@jit.exact
def backward_share(
    dy,
    first,
    lengths,
    stride,
    before,
    after,
    clip,
    gates,
    h,
    dh,
    dh0,
    dn,
    dq,
    drz,
    packed,
    share,
    count,
):
    """Walk the rows of one share back: the gates' gradients of every step, and those of the first states."""
    hidden = h.shape[1]
    width = FOUR * simd.lanes(packed)
    dy, h, gates, drz = (
        dy.reshape(dy.size),
        h.reshape(h.size),
        gates.reshape(gates.size),
        drz.reshape(drz.size),
    )
    dn, dq, dh, dh0 = (
        dn.reshape(dn.size),
        dq.reshape(dq.size),
        dh.reshape(dh.size),
        dh0.reshape(dh0.size),
    )
    buffer = stack.empty(BUFFER, packed)
    mine = dealt(lengths, share, count)
    rows = mine.shape[0]
    if rows == 0:
        return
    for i in range(rows):
        for u in range(mine[i] * hidden, (mine[i] + 1) * hidden):
            dh0[u] = dh[u]
    room = rows + PAD
    at, ahead_at, twice = (
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    active = 0  # rows that have this step
    for step in range((lengths[mine[0]] if rows > 0 else 0) - 1, -2, -1):
        ahead = active  # and the one after it
        if ahead > 0:
            places(mine, ahead, first, step + 1, stride, 0, hidden, ahead_at)
            places(mine, ahead, first, step + 1, stride, 0, 2 * hidden, twice)
        active = still_walking(lengths, mine, rows, step)
        places(mine, active, first, step, stride, 0, 1, at)
        for panel in range(blocks_of(hidden, width)):
            unit = panel * width
            units = min(width, hidden - unit)
            weights = unit * THREE * hidden
            for row in range(0, active, ROWS):
                tile = simd.zero_of(packed, ROWS, FOUR)
                back = simd.places_of(twice, row)
                terms = 2 * hidden if row < ahead else 0
                for part in range(PARTS):  # asking at once would keep the weights waiting
                    r, low = row + part // FOUR, part * terms // PARTS
                    if step >= 0 and r < active:
                        ask(
                            dy,
                            gates,
                            h,
                            drz,
                            dn,
                            dq,
                            at[r],
                            part % FOUR,
                            hidden,
                            unit,
                            units,
                            before,
                        )
                    tile = product_from(
                        tile, drz, back, packed, weights, width, low, (part + 1) * terms // PARTS
                    )
                if row < ahead:
                    back = simd.places_of(ahead_at, row)
                    tile = product(
                        tile, dq, back, packed, weights + 2 * hidden * width, width, hidden
                    )
                simd.store(tile, buffer, 0, width)
                for i in range(min(ROWS, active - row)):
                    r, to = row + i, mine[row + i] * hidden + unit
                    if r < ahead:
                        for u in range(units):
                            dh0[to + u] += buffer[i * width + u]
                    if step < 0:
                        continue
                    for u in range(units):
                        dh0[to + u] += dy[at[r] * hidden + unit + u]
                    gru_row_backward(
                        dh0, to, gates, at[r] * FOUR * hidden + unit, hidden, h,
                        (at[r] + before) * hidden + unit, clip, drz, at[r] * 2 * hidden + unit, hidden,
                        dn, at[r] * hidden + unit, dq, at[r] * hidden + unit, units,
                    )  # fmt: skip


@jit.parallel
def backward(
    dy, w_hh, first, lengths, stride, before, after, clip, linear_before_reset, gates, h, dh, dh0, dn, dq,
    drz, packed, shares,
):  # fmt: skip
    """All shares, each on a thread."""
    for i in prange(shares.shape[0]):
        backward_share(
            dy, first, lengths, stride, before, after, clip, gates, h, dh, dh0, dn, dq, drz, packed,
            np.int64(i), np.int64(shares.shape[0]),
        )  # fmt: skip
