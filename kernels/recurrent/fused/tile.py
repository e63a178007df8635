"""The tile of a cell's gates: QUAD_ROWS rows × a vector for each gate, and the panels of weights that it reads.

    panel q of W   k after k:  panel[k·width + v·LANES + u]  =  W[gate v of unit q·LANES + u, k]

W_hh's panel follows W_ih's, so that a tile reads on where it was. Where there is one gate (the plain cell), or
none (a gradient's columns, a projection), the vectors are four neighbouring ones. Past the last unit a panel holds
zeros, so that every tile is whole.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd

ROWS = simd.QUAD_ROWS
FOUR = 4  # vectors of a tile
SHARES = 16  # pieces of packing
GROUP = 8 * ROWS  # rows whose tiles are computed before the gates of all are applied
BUFFER = FOUR * GROUP * simd.BITS // 32  # elements of their tiles of float32; float64 fills half


def blocks(units, lanes):
    """How many panels of `lanes` units there are."""
    return (units + lanes - 1) // lanes


blocks_of = jit.inlined(blocks)


@jit.inlined
def product_from(tile, a, places, panel, start, width, low, high):
    """Add ROWS rows of a, which begin at `places`, times the rows [low, high) of a panel."""
    for k in range(low, high):
        tile = simd.multiply_add_at(tile, a, places, k, panel, start + k * width)
    return tile


@jit.inlined
def product(tile, a, places, panel, start, width, depth):
    """Add ROWS rows of a, which begin at `places`, times a panel of `depth` rows."""
    return product_from(tile, a, places, panel, start, width, 0, depth)


@jit.inlined
def single(even, odd, a, places, panel, start, width, depth, buffer):
    """The product of one row: two sums a vector, for even and odd k, so that none waits for the last."""
    for k in range(0, depth - 1, 2):
        even = simd.multiply_add_at(even, a, places, k, panel, start + k * width)
        odd = simd.multiply_add_at(odd, a, places, k + 1, panel, start + (k + 1) * width)
    if depth % 2:
        even = simd.multiply_add_at(even, a, places, depth - 1, panel, start + (depth - 1) * width)
    simd.store(even + odd, buffer, 0, width)


@jit.exact
def bias_panels(bias, hidden, lanes, gates):
    """A bias in the order of the panels' columns, zeros past the last unit."""
    vectors = FOUR if gates == 1 else gates
    units = FOUR * lanes if gates == 1 else lanes
    start = np.zeros(blocks_of(hidden, units) * vectors * lanes, bias.dtype)
    for gate in range(gates):
        for u in range(hidden):
            start[u // units * vectors * lanes + gate * lanes + u % units] = bias[gate * hidden + u]
    return start


@jit.exact
def turned_panel(w, depth, number, vectors, gap, skip, units, apart, target, start):
    """Pack panel `number` of a W that lies unit by unit: vector v is rows v·gap + number·skip and on.

    `units` is where the first vector's rows end, and the next one's `apart` further.
    """
    lanes = simd.lanes(w)
    width = vectors * lanes
    for v in range(vectors):
        row = v * gap + number * skip
        rows = max(0, min(lanes, units + v * apart - row))
        first = row * depth if rows > 0 else 0
        for k in range(0, depth, lanes):
            simd.transpose(
                w, first + k, depth, rows, min(lanes, depth - k),
                target, start + k * width + v * lanes, width, lanes,
            )  # fmt: skip


@jit.exact
def copied_panel(w, depth, columns, number, target, start):
    """Pack FOUR vectors of columns of a W that lies as (depth, columns)."""
    lanes = simd.lanes(w)
    width = FOUR * lanes
    for k in range(depth):
        for v in range(FOUR):
            column = number * width + v * lanes
            count = columns - column
            part = simd.vector_part(w, k * columns + (column if count > 0 else 0), count)
            simd.put_vector_part(part, target, start + k * width + v * lanes, lanes)


@jit.exact
def gates_panel(w, gates, number, target, start):
    """Pack the gates of a block of units: LANES of them, or four times as many where there is one gate."""
    lanes, hidden, depth = simd.lanes(target), w.shape[0] // gates, w.shape[1]
    flat = w.reshape(w.size)
    if gates == 1:
        turned_panel(flat, depth, number, FOUR, lanes, FOUR * lanes, hidden, 0, target, start)
    else:
        turned_panel(flat, depth, number, gates, hidden, lanes, hidden, hidden, target, start)


@jit.exact
def pack_share(w_ih, w_hh, w_proj, gates, back, packed, share, count):
    """Pack every `count`-th panel: forward W_ih's and W_hh's of a block, one after the other; then W_proj's."""
    lanes, hidden, d, p = simd.lanes(packed), w_hh.shape[0] // gates, w_ih.shape[1], w_hh.shape[1]
    four = FOUR * lanes
    if back:
        blocks, size = blocks_of(p, four), four * gates * hidden
        flat, flat_proj = w_hh.reshape(w_hh.size), w_proj.reshape(w_proj.size)
        for block in range(share, blocks, count):
            copied_panel(flat, gates * hidden, p, block, packed, block * size)
        for block in range(share, blocks_of(hidden, four) if w_proj.shape[0] > 0 else 0, count):
            copied_panel(flat_proj, p, hidden, block, packed, blocks * size + block * four * p)
        return
    width, units = (four, four) if gates == 1 else (gates * lanes, lanes)
    blocks, size = blocks_of(hidden, units), width * (d + p)
    for block in range(share, blocks, count):
        gates_panel(w_ih, gates, block, packed, block * size)
        gates_panel(w_hh, gates, block, packed, block * size + width * d)
    for block in range(share, blocks_of(w_proj.shape[0], four), count):
        gates_panel(w_proj, np.int64(1), block, packed, blocks * size + block * four * hidden)


@jit.parallel
def pack(w_ih, w_hh, w_proj, gates, back, packed):
    """Pack the weights, panels over threads: forward all, W unit by unit; back W_hh's and W_proj's columns."""
    for i in prange(SHARES):
        pack_share(w_ih, w_hh, w_proj, gates, back, packed, np.int64(i), np.int64(SHARES))


def packed_size(problem, direction):
    """Elements of the packed weights."""
    p, lanes = problem, simd.lanes_of(problem.dtype)
    four = FOUR * lanes
    projected = p.h if p.projected else 0
    if direction == "backward":
        deep = p.gates * p.h
        return blocks(p.p, four) * four * deep + blocks(projected, four) * four * p.p
    units = four if p.gates == 1 else lanes
    gates = blocks(p.h, units) * units * p.gates * (p.d + p.p)
    return gates + (blocks(p.p, four) * four * p.h if projected else 0)
