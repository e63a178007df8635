"""dx of a channel a group: a thread sums a strip of one column of dx."""

import functools
import math

import numpy as np

from kernels.conv.cuda.depthwise.strip import MOST_TAPS, THREADS, batches, length
from kernels.conv.cuda.indices import split, within
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import flat, read_where


def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx: a filter of up to 49 taps as a whole, a larger one (its stride is 1) a few taps at a time."""
    n, c, h, width = dx.shape
    r, s = w.shape[2:]
    whole = r * s <= MOST_TAPS
    if not whole:
        r, s = max(part for part in range(1, 8) if r % part == 0), min(s, 7)
    rows = length(n * c, h, width, r * s)
    strips(rows, r, s, *stride, *dilation, whole, w.shape[0] == c)(
        dy, w, stride, padding, dilation, groups, dx
    )


@functools.cache
def strips(ROWS, R, S, STRIDE, STEP, DILATION, ACROSS, WHOLE, SINGLE):
    """Make the kernel for strips of at least ROWS rows, and R × S taps; SINGLE: one filter a channel.

    A strip starts at a row that is a multiple of the stride, padding counted: then the rows of dy that it meets,
    and in which taps, are the same for all. Across, a column meets every PERIOD-th tap, from one that hangs on the
    column; the column of dy is BACK further back for each.
    """
    ROWS = -(-ROWS // STRIDE) * STRIDE
    PERIOD = STEP // math.gcd(STEP, ACROSS)
    BACK = PERIOD * ACROSS // STEP
    COLUMNS = -(-S // PERIOD)

    def load(E, SLOT):
        @inlined
        def load_row(dy, start, up, OH, OW, inside, taps, held, sums):
            there = within(up + E, OH)
            for q in range(COLUMNS):
                held[SLOT, q] = read_where(dy, start + E * OW - q * BACK, there & inside[q])

        return load_row

    def add(E, SLOT):
        @inlined
        def add_row(dy, start, up, OH, OW, inside, taps, held, sums):
            if within(up + E, OH):
                for r in range(R):
                    j = E * STRIDE + r * DILATION
                    if 0 <= j < ROWS:
                        for q in range(COLUMNS):
                            sums[j] += held[SLOT, q] * taps[r, q]

        return add_row

    rows = sorted(
        (j - r * DILATION) // STRIDE
        for j in range(ROWS)
        for r in range(R)
        if (j - r * DILATION) % STRIDE == 0
    )
    walk, HELD = batches(load, add, sorted(set(rows)), COLUMNS)

    def blocks(dy, w, stride, padding, dilation, groups, dx):
        n, c, h, width = dx.shape
        return (-(-n * c * -(-(h + padding[0] % STRIDE) // ROWS) * width // THREADS), 1, 1)

    @kernel(THREADS, blocks)
    def depthwise_dx(dy, w, stride, padding, dilation, groups, dx):
        sums = cuda.local.array(ROWS, dy.dtype)
        taps = cuda.local.array((R, COLUMNS), dy.dtype)
        held = cuda.local.array((HELD, COLUMNS), dy.dtype)
        inside = cuda.local.array(COLUMNS, np.bool_)
        dys, ws, dxs = flat(dy), flat(w), flat(dx)
        K, OH, OW = dy.shape[1:]
        C, H, W = dx.shape[1:]
        height, width = w.shape[2:]
        skipped, lead = split(padding[0], STRIDE)
        plane, place = split(cuda.grid(1), (H + lead + ROWS - 1) // ROWS * W)
        if plane >= dx.shape[0] * C:
            return
        n, c = split(plane, C)
        at, iw = split(place, W)
        filters = 1 if SINGLE else split(K, C)[0]
        up = skipped + at * (ROWS // STRIDE)  # row of dy that meets the strip's first row in tap 0
        first, ow = S, iw * 0
        for s in range(PERIOD - 1, -1, -1):
            over, rest = split(iw + padding[1] + (STEP - 1) * ACROSS * STEP - s * ACROSS, STEP)
            if rest == 0:
                first, ow = s, over - (STEP - 1) * ACROSS
        for j in range(ROWS):
            sums[j] = 0
        for m in range(filters):
            k = c * filters + m
            for r0 in range(0, R if WHOLE else height, R):
                for s0 in range(0, S if WHOLE else width, S):
                    for q in range(COLUMNS):
                        s = s0 + first + q * PERIOD
                        there = s < width and within(ow - s0 * ACROSS - q * BACK, OW)
                        inside[q] = there
                        for r in range(R):  # in a column outside of dy both factors are zeros
                            taps[r, q] = read_where(ws, (k * height + r0 + r) * width + s, there)
                    above = up - r0 * DILATION
                    start = ((n * K + k) * OH + above) * OW + ow - s0 * ACROSS
                    walk(dys, start, above, OH, OW, inside, taps, held, sums)
        ih = up * STRIDE - padding[0]
        end = (plane * H + ih) * W + iw
        for j in range(ROWS):
            if within(ih + j, H):
                dxs[np.uint64(end + j * W)] = sums[j]

    return depthwise_dx
