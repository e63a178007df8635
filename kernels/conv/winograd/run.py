"""How the tiles of a whole convolution are dealt out."""

import numpy as np

from kernels.conv.direct.band import BLOCK
from kernels.conv.direct.tiles import by_panel
from kernels.conv.winograd.tiles import ROWS, unit
from kernels.conv.winograd.weights import APART
from kernels.core import jit, simd

TILES = 64  # of a unit at most: so often is a packed weight used once it is in the cache
ROOM = 1 << 16  # tiles times channels of a unit at most, where that leaves 16 tiles


def rows_of(across, channels):
    """Rows of tiles in a unit: those that leave the fewest rows of register tiles empty."""
    most = max(16, min(TILES, ROOM // (channels[0] + channels[1])))
    best, least = 1, 2.0
    for rows in range(1, max(1, most // across) + 1):
        tiles = rows * across
        waste = (tiles + ROWS - 1) // ROWS * ROWS / tiles
        if waste <= least:
            best, least = rows, waste
    return best


def room(rows, across, channels, m, width):
    """Elements of scratch for one thread: v, products, a band, rows in between."""
    points = (m + 2) * (m + 2)
    tiles = (rows * across + ROWS - 1) // ROWS * ROWS
    blocks, panels = (channels[0] + BLOCK - 1) // BLOCK, (channels[1] + width - 1) // width
    pixels = (m + 2) * (across * m + 2) * BLOCK
    elements = points * (tiles * (blocks * BLOCK + panels * width) + 2 * APART) + 2 * pixels
    return (elements + 15) // 16 * 16  # whole cache lines


rows_for = jit.exact(rows_of)  # for compiled code


@jit.exact
def share(m, x, filters, padding, groups, b, relu, y, packed, scratch, part):
    """Do one share, of as many as scratch has rows: y is x convolved with packed weights of `filters` outputs a group."""
    width = simd.columns(packed)
    bias = by_panel(b, groups, width)
    sums = x.shape[1] // groups
    size = (y.shape[2], y.shape[3])
    lines, across = (size[0] + m - 1) // m, (size[1] + m - 1) // m
    rows = rows_for(across, (sums, filters))
    tiles = (rows * across + ROWS - 1) // ROWS * ROWS
    panels = (filters + width - 1) // width
    each = panels * (m + 2) * (m + 2) * (width * sums + APART)
    total = y.shape[0] * lines
    parts = scratch.shape[0]
    # few tiles: every share transforms them all, for some of the filters, and so reads its weights alone
    down = min(panels, parts) if 4 * total * across < filters else 1
    row, last = (
        part // down * total // (parts // down),
        (part // down + 1) * total // (parts // down),
    )
    first, end = part % down * panels // down, (part % down + 1) * panels // down
    flat, source = y.reshape(y.size), x.reshape(x.size)
    for g in range(groups if part < parts // down * down else 0):
        for line in range(row, last, rows):
            unit(
                m, source, (x.shape[1], y.shape[1], x.shape[2], x.shape[3]), g * sums, sums, filters,
                padding, packed, g * each, bias, g * panels * width, relu, flat,
                g * filters * size[0] * size[1], size, first, end, tiles, across,
                line, min(line + rows, last), scratch[part],
            )  # fmt: skip


@jit.exact
def share_dx(m, dy, channels, padding, groups, dx, packed, scratch, part):
    """Do one share of the gradient: dy convolved with the filters turned by half a turn."""
    pad, nothing = (2 - padding[0], 2 - padding[1]), np.zeros(dx.shape[1], dx.dtype)
    share(m, dy, channels, pad, groups, nothing, np.bool_(False), dx, packed, scratch, part)
