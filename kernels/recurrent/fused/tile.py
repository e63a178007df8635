"""The tile of a cell's gates: QUAD_ROWS rows × a vector for each gate, and the panels of weights that it reads.

    panel q of W   k after k:  panel[k·width + v·LANES + u]  =  W[gate v of unit q·LANES + u, k]

Where there is one gate (the plain cell), or none (a gradient's columns, a projection), the vectors are four
neighbouring ones. Past the last unit a panel holds zeros, so that every tile is whole.
"""

import numpy as np
from numba import prange

from kernels.core import jit, simd

ROWS = simd.QUAD_ROWS
FOUR = 4  # vectors of a tile
SHARES = 16  # pieces of packing
BUFFER = FOUR * ROWS * simd.BITS // 32  # elements of a tile of float32; float64 fills half


def blocks(units, lanes):
    """How many panels of `lanes` units there are."""
    return (units + lanes - 1) // lanes


blocks_of = jit.inlined(blocks)


@jit.inlined
def product(tile, a, places, panel, start, width, depth):
    """Add ROWS rows of a, which begin at `places`, times a panel of `depth` rows."""
    for k in range(depth):
        tile = simd.multiply_add_at(tile, a, places, k, panel, start + k * width)
    return tile


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
def turned_panel(w, depth, panel, vectors, gap, skip, units, apart, target, base):
    """Pack panel number `panel` of a W that lies unit by unit: vector v is rows v·gap + panel·skip and on.

    `units` is where the first vector's rows end, and (v + 1)th's `apart` further.
    """
    lanes = simd.lanes(w)
    width = vectors * lanes
    start = base + panel * depth * width
    for v in range(vectors):
        row = v * gap + panel * skip
        rows = max(0, min(lanes, units + v * apart - row))
        first = row * depth if rows > 0 else 0
        for k in range(0, depth, lanes):
            simd.transpose(
                w, first + k, depth, rows, min(lanes, depth - k),
                target, start + k * width + v * lanes, width, lanes,
            )  # fmt: skip


@jit.exact
def copied_panel(w, depth, columns, panel, target, base):
    """Pack FOUR vectors of columns of a W that lies as (depth, columns)."""
    lanes = simd.lanes(w)
    width = FOUR * lanes
    start = base + panel * depth * width
    for k in range(depth):
        for v in range(FOUR):
            column = panel * width + v * lanes
            count = columns - column
            part = simd.vector_part(w, k * columns + (column if count > 0 else 0), count)
            simd.put_vector(part, target, start + k * width + v * lanes)


@jit.exact
def group_of(number, group, w_ih, w_hh, w_proj, gates, back, packed):
    """Pack a panel of one of the weights: 0 for w_ih, 1 for w_hh, 2 for w_proj; `packed` is where theirs begin."""
    lanes = simd.lanes(packed)
    four = FOUR * lanes
    w = w_ih if group == 0 else w_hh if group == 1 else w_proj
    depth, flat = w.shape[1], w.reshape(w.size)
    if back:
        copied_panel(flat, w.shape[0], depth, number, packed, np.int64(0))
    elif group == 2 or gates == 1:
        turned_panel(flat, depth, number, FOUR, lanes, four, w.shape[0], 0, packed, np.int64(0))
    else:
        hidden = w.shape[0] // gates
        turned_panel(flat, depth, number, gates, hidden, lanes, hidden, hidden, packed, np.int64(0))


@jit.exact
def panels_of(group, w_ih, w_hh, w_proj, gates, back, lanes):
    """How many panels one of the weights has, and how many elements each."""
    w = w_ih if group == 0 else w_hh if group == 1 else w_proj
    four = FOUR * lanes
    if back:
        return (0 if group == 0 else blocks_of(w.shape[1], four)), four * w.shape[0]
    if group == 2 or gates == 1:
        return blocks_of(w.shape[0], four), four * w.shape[1]
    return blocks_of(w.shape[0] // gates, lanes), gates * lanes * w.shape[1]


@jit.exact
def pack_share(w_ih, w_hh, w_proj, gates, back, packed, share, count):
    """Pack every `count`-th panel."""
    lanes, begin, number = simd.lanes(packed), 0, 0
    for group in range(3):
        panels, size = panels_of(group, w_ih, w_hh, w_proj, gates, back, lanes)
        for panel in range(panels):
            if number % count == share:
                target = packed[begin : begin + panels * size]
                group_of(panel, group, w_ih, w_hh, w_proj, gates, back, target)
            number += 1
        begin += panels * size


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
