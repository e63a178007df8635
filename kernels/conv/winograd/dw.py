"""Gradient of the weights in Winograd's domain: every step of the forward, transposed.

    dw[k, c] = Gᵀ [ Σ_tiles (A dy Aᵀ) ⊙ (Bᵀ x B) ] G

A tile of dy is evaluated at the points as a filter would be, and for each point the sum over tiles is one
matrix product, filters × channels, as deep as there are tiles. Tiles are done a block at a time: first their
transforms, spread over threads, then the products, spread over points and filters; so each sum belongs to
one thread, and takes its tiles in their order.
"""

import numpy as np
from numba import prange

from kernels.conv.direct.band import BLOCK, copy_block, zeros
from kernels.conv.winograd import transforms
from kernels.conv.winograd.tiles import into
from kernels.conv.winograd.weights import APART, TAPS
from kernels.core import jit, simd

ROWS = simd.ROWS
TILES = 192  # of a block: as deep as the products are before their sums are put aside
SHARES = 64  # pieces of a block's transforms at most


def sizes(m, c, k, across, lines, width):
    """Elements of a block's transforms (x, dy), of one thread's rows, and of all sums; and rows of tiles."""
    rows, width = max(1, min(lines, TILES // across)), max(width, BLOCK)
    panels, blocks = (c + width - 1) // width, (k + BLOCK - 1) // BLOCK
    points = (m + 2) * (m + 2)
    v = panels * rows * across * width + APART
    e = blocks * rows * across * BLOCK + APART
    band = (2 * (m + 2) * (across * m + 2) * BLOCK + 15) // 16 * 16
    return points * v, points * e, band, points * (blocks * BLOCK * panels * width + APART), rows


sizes_of = jit.exact(sizes)  # for compiled code


@jit.exact
def evaluate(m, band, across, rows, e, place, far):
    """A dy Aᵀ for the tiles of one row: m rows of pixels in band, point p to place + p·far."""
    points = m + 2
    lanes = simd.lanes(band)
    line = across * m * BLOCK
    for part in range(0, BLOCK, lanes):
        for column in range(0, line, BLOCK):
            transforms.errors(m, band, column + part, line, rows, column + part, line)
    for tile in range(across):
        for part in range(0, BLOCK, lanes):
            for i in range(points):
                start = i * line + tile * m * BLOCK + part
                target = place + tile * BLOCK + part + i * points * far
                transforms.errors(m, rows, start, BLOCK, e, target, far)


@jit.exact
def transform(m, x, dy, shapes, padding, plane, line, at, rows, v, e, band):
    """Put tile row `line`, counted over all images, into the block's transforms as its row `at`.

    shapes: x's channels, height and width, dy's likewise, the group's channels and filters; plane: first of
    the group's channels and filters in an image.
    """
    width, points = max(simd.columns(x), BLOCK), (m + 2) * (m + 2)
    across, lines = (shapes[5] + m - 1) // m, (shapes[4] + m - 1) // m
    wide, tiles = across * m + 2, rows * across
    n, top = line // lines, line % lines * m
    half = (m + 2) * wide * BLOCK
    for c in range(0, shapes[6], BLOCK):
        copy_block(
            x, shapes[1], shapes[2], n * shapes[0] + plane[0] + c, min(BLOCK, shapes[6] - c),
            top - padding[0], -padding[1], m + 2, wide, band, 0, BLOCK,
        )  # fmt: skip
        place = (c // width * tiles + at * across) * width + c % width
        into(m, band, across, wide, band[half:], v, place, v.shape[0] // points, width)
    for k in range(0, shapes[7], BLOCK):
        copy_block(
            dy, shapes[4], shapes[5], n * shapes[3] + plane[1] + k, min(BLOCK, shapes[7] - k),
            top, 0, m, across * m, band, 0, BLOCK,
        )  # fmt: skip
        place = (k // BLOCK * tiles + at * across) * BLOCK
        evaluate(m, band, across, band[half:], e, place, e.shape[0] // points)


@jit.exact
def accumulate(v, e, tiles, room, channels, wide, fresh, sums):
    """Add one point's product over a block, for BLOCK filters: sums[k][c] += Σ_t e[t][k] · v[t][c]."""
    width, panel = simd.columns(v), max(simd.columns(v), BLOCK)
    for column in range(0, (channels + width - 1) // width * width, width):
        for k in range(0, BLOCK, ROWS):
            rows, at = min(ROWS, BLOCK - k), k * wide + column
            if fresh:
                total = simd.zero(v)
            else:
                total = simd.load_part(sums, at, wide, rows, width)
            b = column // panel * room * panel + column % panel
            for t in range(tiles):
                total = simd.multiply_add(total, e, t * BLOCK + k, 1, v, b + t * panel)
            simd.store_part(total, sums, at, wide, rows, width)


@jit.exact
def filters_back(m, sums, far, start, channels, dw, place):
    """Gᵀ U G for one filter: its channels' sums lie from `start` on, points `far` apart."""
    points, lanes = m + 2, simd.lanes(sums)
    half = 3 * points * lanes
    room = np.empty(half + TAPS * lanes, sums.dtype)
    for c in range(0, channels, lanes):
        for j in range(points):
            transforms.taps(
                m, sums, start + c + j * far, points * far, room, j * lanes, points * lanes
            )
        for i in range(3):
            transforms.taps(m, room, i * points * lanes, lanes, room, half + i * 3 * lanes, lanes)
        for t in range(0, TAPS, lanes):  # TAPS rows of channels become channels of TAPS
            rows = min(lanes, TAPS - t)
            simd.transpose(
                room, half + t * lanes, lanes, rows, min(lanes, channels - c),
                dw, place + c * TAPS + t, TAPS, rows,
            )  # fmt: skip


@jit.exact
def point_share(m, v, e, rows, across, count, channels, fresh, sums, point, block, blocks):
    """Add a block of `count` tile rows to one point's sums, for the BLOCK filters numbered `block`."""
    points, width = (m + 2) * (m + 2), max(simd.columns(v), BLOCK)
    wide = (channels + width - 1) // width * width
    far, spread = v.shape[0] // points, e.shape[0] // points
    step, tiles = sums.shape[0] // points, rows * across
    accumulate(
        v[point * far :], e[point * spread + block * tiles * BLOCK :], count * across, tiles, channels,
        wide, fresh, sums[point * step + block * BLOCK * wide :],
    )  # fmt: skip


@jit.parallel
def dw_4x4(dy, x, stride, padding, dilation, groups, dw, scratch):
    """Fill dw."""
    m, points, width = np.int64(4), 36, simd.columns(scratch)
    filters, channels = dw.shape[0] // groups, dw.shape[1]
    lines, across = (dy.shape[2] + m - 1) // m, (dy.shape[3] + m - 1) // m
    total = dy.shape[0] * lines
    size_v, size_e, size_band, size_sums, rows = sizes_of(
        m, channels, filters, across, total, width
    )
    v, e = scratch[:size_v], scratch[size_v : size_v + size_e]
    sums = scratch[size_v + size_e : size_v + size_e + size_sums]
    bands = scratch[size_v + size_e + size_sums :]
    shares, blocks = bands.shape[0] // size_band, (filters + BLOCK - 1) // BLOCK
    panel = max(width, BLOCK)
    wide, far = (channels + panel - 1) // panel * panel, size_sums // points
    flat_x, flat_dy, flat = x.reshape(x.size), dy.reshape(dy.size), dw.reshape(dw.size)
    shapes = (
        x.shape[1],
        x.shape[2],
        x.shape[3],
        dy.shape[1],
        dy.shape[2],
        dy.shape[3],
        channels,
        filters,
    )
    if total == 0:
        zeros(flat, 0, flat.shape[0])
    for g in range(groups if total > 0 else 0):
        for first in range(0, total, rows):
            count = min(rows, total - first)
            for i in prange(shares):
                share = np.int64(i)
                for at in range(share * count // shares, (share + 1) * count // shares):
                    transform(
                        m, flat_x, flat_dy, shapes, padding, (g * channels, g * filters), first + at, at,
                        rows, v, e, bands[share * size_band : (share + 1) * size_band],
                    )  # fmt: skip
            for i in prange(points * blocks):
                each = np.int64(i)
                point_share(
                    m, v, e, rows, across, count, channels, first == 0, sums,
                    each // blocks, each % blocks, blocks,
                )  # fmt: skip
        for i in prange(filters):
            k = np.int64(i)
            place = (g * filters + k) * channels * TAPS
            filters_back(m, sums, far, k * wide, channels, flat, place)


def scratch(problem, direction):
    """Elements: a block's transforms, all sums, and a band for each share."""
    p = problem
    m, width = 4, simd.columns_of(p.dtype)
    lines, across = p.n * -(-p.oh // m), -(-p.ow // m)
    v, e, band, sums, rows = sizes(
        m, p.c // p.groups, p.k // p.groups, across, max(1, lines), width
    )
    return v + e + sums + band * min(rows, SHARES)
