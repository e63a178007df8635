"""What forward and data gradient share: where a tile's rows read, one tile, one piece of the output."""

import numpy as np

from kernels.conv.direct.band import BLOCK, LEAST
from kernels.core import jit, simd

ROWS = simd.ROWS


def pieces(units, panels):
    """Pieces that the panels of a unit are cut into: one, unless there are few units."""
    return max(1, min(panels, LEAST // max(1, units)))


pieces_of = jit.exact(pieces)  # for compiled code


@jit.exact
def by_panel(b, groups, width):
    """Spread the bias: each group's filters begin a panel."""
    filters = b.shape[0] // groups
    room = (filters + width - 1) // width * width
    bias = np.zeros(groups * room, b.dtype)
    for k in range(b.shape[0]):
        bias[k // filters * room + k % filters] = b[k]
    return bias


@jit.exact
def pack_panel(w, base, outs, apart, sums, stride, taps, target):
    """Pack COLUMNS filters side by side, for each block of channels, tap and channel in it.

    w[base + o·apart + c·stride + t] is output o's weight for channel c and tap t; outputs from `outs` on
    are zero. "Outputs" are filters, or channels of dx.
    """
    width, lanes = simd.columns(w), simd.lanes(w)
    for part in range(0, width, lanes):
        rows = min(lanes, outs - part)
        start = base + part * apart if rows > 0 else base
        for first in range(0, sums, BLOCK):
            block = min(BLOCK, sums - first)
            if taps == 1 and apart == 1:  # outputs lie side by side already
                for c in range(block):
                    line = w[start + (first + c) * stride :]
                    row = target[(first + c) * width + part : (first + c) * width + part + lanes]
                    for i in range(lanes):
                        row[i] = line[i] if i < rows else 0
                continue
            if taps == 1 and stride == 1:  # channels lie side by side: turn whole blocks round
                for c in range(first, first + block, lanes):
                    simd.transpose(
                        w, start + c, apart, rows, min(lanes, first + block - c),
                        target, c * width + part, width, lanes,
                    )  # fmt: skip
                continue
            for c in range(block):
                for t in range(0, taps, lanes):
                    simd.transpose(
                        w, start + (first + c) * stride + t, apart, rows, min(lanes, taps - t),
                        target, ((first * taps + t * block) + c) * width + part, block * width, lanes,
                    )  # fmt: skip


@jit.inlined
def next_places(places, at, images, rows, columns, steps):
    """Fill places with where ROWS outputs from `at` (image, row, column) on read; return the next.

    Past the last image they stay at zero: such rows of a tile are computed and thrown away.
    """
    image, row, column = at
    for i in range(ROWS):
        inside = image < images
        places[i] = image * steps[0] + row * steps[1] + column * steps[2] if inside else 0
        column += 1
        if column == columns:
            column = 0
            row += 1
            if row == rows:
                row = 0
                image += 1
    return image, row, column


@jit.inlined
def outputs(
    packed, weights, band, places, shifts, order, taps, channels, span, plane, bias, k, relu
):
    """Return ROWS outputs × COLUMNS filters: all channels and taps summed in registers.

    The sum runs over blocks of channels, `plane` apart in the band; taps, tap order[t] being shifts[t]
    behind the output's first pixel; and the channels of a pixel, or of `span` neighbouring pixels.
    """
    sums = simd.row_of(bias, k)
    width = simd.columns(band)
    for first in range(0, channels, BLOCK):
        run = min(BLOCK, channels - first) * span
        for t in range(shifts.shape[0]):
            at = first // BLOCK * plane + shifts[t]
            place = weights + (first * taps + order[t] * run) * width
            for c in range(run):
                sums = simd.multiply_add_at(sums, band, places, at + c, packed, place + c * width)
    return simd.relu(sums) if relu else sums


@jit.exact
def put(values, flat, p, count, first, kept, columns, area, apart):
    """Write a tile of outputs that lie apart; `values` is it turned round, a filter a row."""
    for i in range(count):
        image, inside = (p + i) // area, (p + i) % area
        place = (
            first + image * apart[0] + inside // columns * apart[1] + inside % columns * apart[2]
        )
        for k in range(kept):
            flat[place + k * apart[3]] = values[k * ROWS + i]


@jit.exact
def fill(
    packed, weights, taps, channels, span, band, plane, shifts, order, bias, relu, panels, filters,
    images, rows, columns, steps, flat, first, apart, room, x, ahead,
):  # fmt: skip
    """Fill one unit's outputs for the panels [panels[0], panels[1]) of a group's filters.

    steps: what image, row and column add to where an output reads. apart: how far images, rows, columns
    and filters of outputs lie from each other in `flat`, from `first` on. ahead: where in x the next band's
    first plane begins, how many planes it has, how far they lie apart, and elements to prefetch of each:
    some while each tile is computed, so that the band comes at no wait.
    """
    width = simd.columns(packed)
    area = rows * columns
    straight = apart[2] == 1 and apart[1] == columns
    starts = np.empty(ROWS, np.int64)
    tiles, done, last = (panels[1] - panels[0]) * ((images * area + ROWS - 1) // ROWS), 0, 0
    for panel in range(panels[0], panels[1]):
        k = panel * width
        kept = min(width, filters - k)
        place = first + k * apart[3]
        at = (0, 0, 0)
        for p in range(0, images * area, ROWS):
            inside = at[1] * columns + at[2]
            start = place + at[0] * apart[0] + inside
            done += 1
            for plane_ahead in range(last, done * ahead[1] // tiles):
                simd.prefetch(x, ahead[0] + plane_ahead * ahead[2], ahead[3])
            last = done * ahead[1] // tiles
            at = next_places(starts, at, images, rows, columns, steps)
            values = outputs(
                packed, weights + k * channels * taps, band, simd.places_of(starts, 0),
                shifts, order, taps, channels, span, plane, bias, k, relu,
            )  # fmt: skip
            count = min(ROWS, images * area - p)
            if not straight:
                simd.store_columns(values, room, 0, ROWS)
                put(room, flat, p, count, place, kept, columns, area, apart)
            elif kept == width and inside + ROWS <= area:
                simd.store_columns(values, flat, start, apart[3])
            else:  # a tile that ends in another image than it began in, or has fewer filters
                low = 0
                while low < count:
                    high = min(count, area - inside)
                    simd.store_columns_part(values, flat, start, apart[3], low, high, kept)
                    start, inside, low = start + apart[0] - area, inside - area, high
