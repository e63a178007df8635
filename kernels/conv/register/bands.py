"""Bands: some rows of outputs, and a copy of what they read in which every tap runs along memory.

A worker copies the rows that a band of outputs reads, padding written down, each row `wide` elements:
enough for a row of outputs and the reach of its taps. The output at row q and column o is number f =
q·wide + o of the band, and its tap (r, s) lies at f + r·d·wide + s·d: a constant away, whatever f is. So
tiles run over the ends of rows without a test, and what they compute between two rows is not written.

With a stride u the rows and the columns of the copy are sorted by their remainder mod u ("phases"):
neighbouring outputs then read neighbours again.
"""

import numpy as np

from kernels.conv.register.tile import COLUMNS, LONE, ROWS, lone, tile
from kernels.core import jit
from kernels.core.windows import interval

POSITIONS = 512  # outputs of a band, about: tiles then reach little past its end
ELEMENTS = 1 << 17  # of its copy, about: it shares the second cache with the weights
PARTS = 32  # workers at most, each with a copy of its own


def plan(outputs, channels, taps, stride, dilation):
    """Rows of outputs in a band; of its copy: phases down, their height, phases across, their width."""
    down = (taps[0] - 1) * dilation[0]
    across = (taps[1] - 1) * dilation[1]
    wide = outputs[1] + across // stride[1]
    rows = max(1, min(outputs[0], POSITIONS // wide, ELEMENTS // (channels * wide)))
    high = rows + down // stride[0]
    return rows, min(stride[0], down + 1), high, min(stride[1], across + 1), wide


plan_of = jit.exact(plan)  # for compiled code


def scratch(problem, direction):
    """Elements of scratch: for each worker a band's copy and a tile; for dx the turned weights too."""
    p = problem
    outputs, channels, stride = (p.oh, p.ow), p.c // p.groups, p.stride
    if direction == "dx":
        outputs, channels, stride = (p.h, p.w), p.k // p.groups, (1, 1)
    rows, down, high, across, wide = plan(outputs, channels, (p.r, p.s), stride, p.dilation)
    workers = max(1, min(PARTS, p.n * p.groups * -(-outputs[0] // rows)))
    weights = p.k * p.taps if direction == "dx" else 0
    return weights + workers * (channels * down * high * across * wide + 2 * LONE)


@jit.exact
def places(channels, taps, stride, dilation, shape):
    """Where the taps of output 0 lie in a band's copy, channel after channel; and one worker's scratch."""
    _, down, high, across, wide = shape
    offsets = np.empty(channels * taps[0] * taps[1], np.int64)
    for t in range(offsets.shape[0]):
        c, r, s = t // taps[1] // taps[0], t // taps[1] % taps[0], t % taps[1]
        i, q = r * dilation[0] % stride[0], r * dilation[0] // stride[0]
        j, o = s * dilation[1] % stride[1], s * dilation[1] // stride[1]
        offsets[t] = (((c * down + i) * across + j) * high + q) * wide + o
    return offsets, channels * down * high * across * wide + 2 * LONE


@jit.fast
def lay(x, top, left, stride, apart, shape, copy):
    """Copy the rows of a band from row `top`, column `left` on; its margins are zero already.

    Row q and column t of phase (i, j) are row q·stride + i + top and column t·stride + j + left of x, or
    of x with its elements `apart` and zeros between.
    """
    _, down, high, across, wide = shape
    for j in range(across):
        if apart[1] == 1:
            low, end = interval(wide, x.shape[2], stride[1], j + left)
            begin, count = low * stride[1] + j + left, end - low
        else:
            begin, end = interval(x.shape[2], wide, apart[1], -left)
            low, count = begin * apart[1] - left, end - begin
        for c in range(x.shape[0]):
            for i in range(down):
                for q in range(high):
                    start = (((c * down + i) * across + j) * high + q) * wide
                    target = copy[start + low : start + wide]
                    ih = q * stride[0] + i + top
                    if ih % apart[0] or not 0 <= ih < x.shape[1] * apart[0]:
                        for t in range(count):
                            target[t * apart[1]] = 0
                        continue
                    source = x[c, ih // apart[0], begin:]
                    if stride[1] == 1 and apart[1] == 1:
                        for t in range(count):
                            target[t] = source[t]
                    else:
                        for t in range(count):
                            target[t * apart[1]] = source[t * stride[1]]


@jit.fast
def put(sums, filters, first, pitch, length, count, y, start, plane):
    """Write a tile to y from `start` on: `length` of every `pitch` outputs, in `count` rows."""
    width = sums.shape[0] // filters
    row, column = first // pitch, first % pitch
    done = 0
    while done < width and row < count:
        kept = min(width - done, length - column)
        at = start + row * length + column
        for i in range(filters):
            source = sums[i * width + done : (i + 1) * width]
            if kept == COLUMNS:
                target = y[at + i * plane : at + i * plane + COLUMNS]
                for j in range(COLUMNS):
                    target[j] = source[j]
            elif kept > 0:
                target = y[at + i * plane : at + i * plane + kept]
                for j in range(kept):
                    target[j] = source[j]
        done += pitch - column
        row, column = row + 1, 0


@jit.fast
def share(
    x, w, bias, part, count, stride, apart, lead, groups, channels, shape, offsets, relu, y, flat, own
):  # fmt: skip
    """Fill the bands of y that are part number `part` of `count`."""
    filters, oh, ow = y.shape[1] // groups, y.shape[2], y.shape[3]
    rows, wide = shape[0], shape[4]
    copy, sums = own[: own.shape[0] - LONE], own[own.shape[0] - LONE :]
    for t in range(copy.shape[0]):
        copy[t] = 0
    bands = (oh + rows - 1) // rows
    units = y.shape[0] * groups * bands
    for unit in range(part * units // count, (part + 1) * units // count):
        n, g, oh0 = unit // bands // groups, unit // bands % groups, unit % bands * rows
        image = x[n, g * channels : (g + 1) * channels]
        lay(image, oh0 * stride[0] - lead[0], -lead[1], stride, apart, shape, copy)
        lines = min(rows, oh - oh0)
        positions = (lines - 1) * wide + ow
        pitch, length = wide, ow
        if wide == ow:  # no gaps: all of it is one row
            pitch, length, lines = positions, positions, 1
        whole = (g + 1) * filters - filters % ROWS
        for first in range(0, positions, COLUMNS):
            for k in range(g * filters, whole, ROWS):
                tile(w, k, copy, first, offsets, bias, relu, sums)
                start = ((n * y.shape[1] + k) * oh + oh0) * ow
                put(sums, ROWS, first, pitch, length, lines, flat, start, oh * ow)
        for first in range(0, positions, LONE):
            for k in range(whole, (g + 1) * filters):
                lone(w, k, copy, first, offsets, bias, relu, sums)
                start = ((n * y.shape[1] + k) * oh + oh0) * ow
                put(sums, 1, first, pitch, length, lines, flat, start, oh * ow)
