"""Vectors along the outputs of a row: a tile of ROWS filters × COLUMNS neighbouring outputs.

    y[n, k, oh, ow] = b[k] + Σ_c Σ_r Σ_s x[n, c, oh·u + r·d − p, ow·u + s·d − p] · w[k, c, r, s]

For tap after tap, COLUMNS neighbours of x are loaded as they lie and multiplied with one weight of each of
ROWS filters, broadcast from w as it is: nothing is packed, and the tile's rows are rows of y.
"""

import numpy as np
from numba import prange

from kernels.conv.direct.band import extent, zeros
from kernels.conv.direct.tiles import by_panel
from kernels.core import jit, simd

ROWS = simd.ROWS
ROOM = 1 << 15  # elements of a band at most, if it has more than a row of outputs


def lines(channels, outputs, taps, stride, dilation):
    """Elements of a row of the band, and rows of outputs that a band gives.

    A row holds the padded columns by their remainder: with stride u, tap s reads column ow·u + s·d, which is
    element ow + ⌊s·d / u⌋ of those with remainder s·d mod u.
    """
    wide = (outputs[1] - 1) * stride[1] + (taps[1] - 1) * dilation[1] + 1
    pitch = (wide + stride[1] - 1) // stride[1] * stride[1]
    rows = (ROOM // (channels * pitch) - (taps[0] - 1) * dilation[0] - 1) // stride[0] + 1
    return pitch, max(1, min(outputs[0], rows))


lines_of = jit.exact(lines)  # for compiled code
extent_of = jit.exact(extent)


def room(problem):
    """Elements of scratch for each thread: a band, and what the last tile's vectors read past it."""
    p = problem
    channels, past = p.c // p.groups, simd.columns_of(p.dtype)
    pitch, rows = lines(channels, (p.oh, p.ow), (p.r, p.s), p.stride, p.dilation)
    return channels * pitch * extent(rows, p.r, p.stride[0], p.dilation[0]) + past


@jit.exact
def copy(x, shape, plane, channels, top, left, high, pitch, stride, band):
    """Fill band[c][row][remainder][column] with rows from `top` and columns from `left` on; zeros outside."""
    zeros(band, 0, channels * high * pitch)
    each = pitch // stride
    first, last = max(0, -top), min(high, shape[2] - top)  # rows inside the image
    for c in range(channels):
        start = ((plane + c) * shape[2] + top) * shape[3]
        if stride == 1:
            low, end = max(0, -left), min(pitch, shape[3] - left)
            for row in range(first, last):
                source = x[start + row * shape[3] + left + low :]
                target = band[(c * high + row) * pitch + low :]
                for t in range(end - low):
                    target[t] = source[t]
            continue
        for phase in range(stride):
            low = max(0, (stride - 1 - phase - left) // stride)
            end = min(each, (shape[3] - left - phase + stride - 1) // stride)
            for row in range(first, last):
                source = x[start + row * shape[3] :]
                target = band[(c * high + row) * pitch + phase * each + low :]
                for t in range(end - low):
                    target[t] = source[(low + t) * stride + phase + left]


@jit.exact
def fill(
    w, starts, taps, band, shifts, down, bias, at, relu, flat, place, area, kept, rows, across
):
    """Fill `rows` rows of outputs, `across` wide, of `kept` filters whose weights begin at `starts`."""
    width = simd.columns(band)
    places, initial = simd.places_of(starts, 0), simd.rows_of(bias, at)
    for row in range(rows):
        for column in range(0, across, width):
            sums = initial
            for t in range(taps):
                first = row * down + column + shifts[t]
                sums = simd.multiply_add_at(sums, w, places, t, band, first)
            sums = simd.relu(sums) if relu else sums
            start, count = place + row * across + column, min(width, across - column)
            if kept == ROWS and count == width:
                simd.store(sums, flat, start, area)
            else:
                simd.store_part(sums, flat, start, area, kept, count)


@jit.exact
def share(x, w, b, stride, padding, dilation, groups, relu, y, scratch, part, parts):
    """Fill one part of y."""
    filters, channels, taps = w.shape[0] // groups, w.shape[1], w.shape[1] * w.shape[2] * w.shape[3]
    size = (y.shape[2], y.shape[3])
    pitch, rows = lines_of(channels, size, (w.shape[2], w.shape[3]), stride, dilation)
    high = extent_of(rows, w.shape[2], stride[0], dilation[0])
    each, area = pitch // stride[1], size[0] * size[1]
    shifts, starts = np.empty(taps, np.int64), np.empty(ROWS, np.int64)
    for t in range(taps):
        c, r, s = t // (w.shape[2] * w.shape[3]), t // w.shape[3] % w.shape[2], t % w.shape[3]
        column = s * dilation[1] % stride[1] * each + s * dilation[1] // stride[1]
        shifts[t] = (c * high + r * dilation[0]) * pitch + column
    bias, panels = by_panel(b, groups, np.int64(ROWS)), (filters + ROWS - 1) // ROWS
    flat_x, flat_w, flat_y = x.reshape(x.size), w.reshape(w.size), y.reshape(y.size)
    bands = (size[0] + rows - 1) // rows
    units = x.shape[0] * groups * bands
    for unit in range(part * units // parts, (part + 1) * units // parts):
        g, row = unit // bands % groups, unit % bands * rows
        plane = unit // bands // groups * x.shape[1] + g * channels
        top = row * stride[0] - padding[0]
        copy(flat_x, x.shape, plane, channels, top, -padding[1], high, pitch, stride[1], scratch)
        for panel in range(panels):
            k = panel * ROWS
            for i in range(ROWS):  # past the last filter: the last again, and thrown away
                starts[i] = (g * filters + min(k + i, filters - 1)) * taps
            place = (unit // bands * filters + k) * area + row * size[1]
            fill(
                flat_w, starts, taps, scratch, shifts, stride[0] * pitch, bias, (g * panels + panel) * ROWS,
                relu, flat_y, place, area, min(ROWS, filters - k), min(rows, size[0] - row), size[1],
            )  # fmt: skip


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, scratch):
    """Fill y."""
    for i in prange(scratch.shape[0]):
        share(
            x, w, b, stride, padding, dilation, groups, relu, y, scratch[i],
            np.int64(i), scratch.shape[0],
        )  # fmt: skip
