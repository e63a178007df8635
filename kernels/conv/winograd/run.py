"""How the tiles of a whole convolution are dealt out."""

import numpy as np

from kernels.conv.direct.band import BLOCK
from kernels.conv.winograd.pack import APART
from kernels.conv.winograd.tiles import ROWS, unit
from kernels.core import jit, simd

FEW = 24  # tiles of a unit at least: so many times is a packed weight used once it is in the cache
CACHE = 1 << 17  # elements of tiles before and after the product that stay in the second cache


def rows_of(images, lines, across, channels, m):
    """Rows of tiles in a unit: enough to use the weights often, few enough for the cache and the threads."""
    points = (m + 2) * (m + 2)
    weights = points * channels[0] * channels[1] // 4  # what a unit moves may be a part of what it reads
    tiles = max(FEW, max(CACHE, weights) // (points * (channels[0] + channels[1])))
    return max(1, min(images * lines, tiles // across))


def room(rows, across, channels, m, width):
    """Elements of scratch for one thread: v, products, a band, rows in between."""
    points = (m + 2) * (m + 2)
    tiles = (rows * across + ROWS - 1) // ROWS * ROWS
    blocks, panels = (channels[0] + BLOCK - 1) // BLOCK, (channels[1] + width - 1) // width
    pixels = (m + 2) * (across * m + 2) * BLOCK
    elements = points * (tiles * (blocks * BLOCK + panels * width) + 2 * APART) + 2 * pixels
    return (elements + 15) // 16 * 16  # whole cache lines


rows_for = jit.exact(rows_of)  # for compiled code


@jit.fast
def share(m, x, filters, padding, groups, bias, relu, y, packed, scratch, part):
    """Do one share, of as many as scratch has rows: y is x convolved with packed weights of `filters` outputs a group."""
    width = simd.columns(packed)
    sums = x.shape[1] // groups
    size = (y.shape[2], y.shape[3])
    lines, across = (size[0] + m - 1) // m, (size[1] + m - 1) // m
    rows = rows_for(y.shape[0], lines, across, (sums, filters), m)
    tiles = (rows * across + ROWS - 1) // ROWS * ROWS
    panels = (filters + width - 1) // width
    each = panels * (m + 2) * (m + 2) * (width * sums + APART)
    items = (y.shape[0] * lines + rows - 1) // rows * groups
    parts = scratch.shape[0]
    flat, source = y.reshape(y.size), x.reshape(x.size)
    for item in range(part * items // parts, (part + 1) * items // parts):
        g, row = item % groups, item // groups * rows
        unit(
            m, source, (x.shape[1], y.shape[1], x.shape[2], x.shape[3]), g * sums, sums, filters, padding,
            packed, g * each, bias, g * panels * width, relu, flat,
            g * filters * size[0] * size[1], size, panels, tiles, across,
            row, min(row + rows, y.shape[0] * lines), scratch[part],
        )  # fmt: skip


@jit.fast
def padded(b, groups, width):
    """Spread the bias: each group's filters begin a panel."""
    filters = b.shape[0] // groups
    room = (filters + width - 1) // width * width
    bias = np.zeros(groups * room, b.dtype)
    for k in range(b.shape[0]):
        bias[k // filters * room + k % filters] = b[k]
    return bias
