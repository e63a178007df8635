"""Rung 1, of the gradient: the indices sorted by the row they name, so that a row is written once.

    dtable[v, d] = Σ dy[i, d] over the i of v's own list, in their order

`naive` clears the table, and then reads and writes a row of it for each row of dy. With the indices sorted (counted,
then dealt out: N + V steps, N + V integers), all that belongs to a row of the table is at hand at once: sums
stay in registers, four vectors of columns at a time, and each row is stored once, zeros among them. And rows can
then be parted among threads: no two write one address.

Measured on one core of a Zen 4, float32: 2048 rows of 256 into 96, 0.33 ms by `naive`, 0.065 here; 4096 of 512
into 30000, 2.7 and 1.5, most of it what 61 MB of a mostly empty gradient take, streamed.

Source: Knuth, "The Art of Computer Programming", volume 3, section 5.2, algorithm D (distribution counting).
"""

import numpy as np

from kernels.core import jit, simd
from kernels.core.simd.streaming import put_streaming, settle, streams


@jit.exact
def deal(indices, padding, ends, order):
    """Fill `order` with the places of the indices, row by row, and ends[v] with where row v's places end in it."""
    ends[:] = 0
    for i in range(indices.shape[0]):
        if indices[i] != padding:
            ends[indices[i]] += 1
    begin = 0
    for v in range(ends.shape[0]):
        begin, ends[v] = begin + ends[v], begin
    for i in range(indices.shape[0]):
        if indices[i] != padding:
            order[ends[indices[i]]] = i
            ends[indices[i]] += 1


@jit.inlined
def put(value, a, start, streamed):
    """Store a vector, past the caches where that is wanted."""
    if streamed:
        put_streaming(value, a, start)
    else:
        simd.put_vector(value, a, start)


@jit.inlined
def row_sum(dy, order, begin, end, row, streamed, dtable):
    """Fill one row of dtable with the sum of the rows order[begin : end] of dy, in that order."""
    lanes, width = simd.lanes(dtable), dtable.shape[1]
    source, result = dy.reshape(dy.size), dtable.reshape(dtable.size)
    target = row * width
    d = 0
    while d + 4 * lanes <= width:
        a, b = simd.splat(0, dtable), simd.splat(0, dtable)
        c, e = simd.splat(0, dtable), simd.splat(0, dtable)
        for place in range(begin, end):
            start = np.int64(order[place]) * width + d
            a = a + simd.vector(source, start)
            b = b + simd.vector(source, start + lanes)
            c = c + simd.vector(source, start + 2 * lanes)
            e = e + simd.vector(source, start + 3 * lanes)
        put(a, result, target + d, streamed)
        put(b, result, target + d + lanes, streamed)
        put(c, result, target + d + 2 * lanes, streamed)
        put(e, result, target + d + 3 * lanes, streamed)
        d += 4 * lanes
    while d < width:
        some = min(lanes, width - d)
        a = simd.splat(0, dtable)
        for place in range(begin, end):
            a = a + simd.vector_part(source, np.int64(order[place]) * width + d, some)
        simd.put_vector_part(a, result, target + d, some)
        d += lanes


@jit.exact
def rows(dy, ends, order, first, last, dtable):
    """Fill the rows from `first` to before `last` of dtable."""
    streamed = streams(dtable, dtable.shape[1], 1)
    for v in range(first, last):
        begin = np.int64(ends[v - 1]) if v > 0 else 0
        row_sum(dy, order, begin, np.int64(ends[v]), v, streamed, dtable)
    if streamed:
        settle()


@jit.exact
def lists(indices, padding, count, scratch):
    """Return ends and order, sorted, in `scratch`."""
    room = scratch.view(np.int32)
    ends, order = room[:count], room[count : count + indices.shape[0]]
    deal(indices, padding, ends, order)
    return ends, order


@jit.exact
def embedding_dtable(dy, indices, padding, dtable, scratch):
    """Fill dtable."""
    ends, order = lists(indices, padding, dtable.shape[0], scratch)
    rows(dy, ends, order, 0, dtable.shape[0], dtable)
