"""y by tiles: a block's patch of x and its weights wait in shared memory, a few channels at a time."""

import functools

from kernels.conv.cuda.indices import split, within
from kernels.conv.cuda.shared.tiles import MAPS, PAD, PATCH, THREADS, WEIGHTS, fitting
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import copy4, flat, read_where


def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, in the tile that wastes the fewest columns of those in which a channel fits."""
    r, s = w.shape[2:]
    tile = fitting(y.shape[3], r, s, stride, dilation, "forward")[0]
    tiles(*tile)(x, w, b, stride, padding, dilation, groups, relu, y)


@functools.cache
def tiles(WIDE, HIGH, LANES):
    """Make the kernel for a tile of WIDE × HIGH outputs of 16·LANES filters."""
    FILTERS = MAPS * LANES
    ROW = FILTERS + PAD

    def blocks(x, w, b, stride, padding, dilation, groups, relu, y):
        n, k, oh, ow = y.shape
        maps = groups * -(-k // groups // FILTERS)
        return (n * maps * -(-oh // HIGH) * -(-ow // WIDE), 1, 1)

    @kernel(THREADS, blocks)
    def shared(x, w, b, stride, padding, dilation, groups, relu, y):
        patch = cuda.shared.array(PATCH, x.dtype)
        weights = cuda.shared.array(WEIGHTS, x.dtype, alignment=16)
        sums = cuda.local.array(MAPS, x.dtype)
        taps = cuda.local.array(MAPS, x.dtype)
        xs, ws, ys = flat(x), flat(w), flat(y)
        C, H, W = x.shape[1:]
        K, OH, OW = y.shape[1:]
        channels, R, S = w.shape[1:]
        filters = split(K, groups)[0]
        t = cuda.threadIdx.x
        across, down, lane = t % WIDE, t // WIDE % HIGH, t // (WIDE * HIGH)
        rest, at = split(cuda.blockIdx.x, (OW + WIDE - 1) // WIDE)
        ow = at * WIDE
        rest, at = split(rest, (OH + HIGH - 1) // HIGH)
        oh = at * HIGH
        rest, at = split(rest, (filters + FILTERS - 1) // FILTERS)
        first = at * FILTERS  # filter of the group
        n, g = split(rest, groups)
        rows = (HIGH - 1) * stride[0] + (R - 1) * dilation[0] + 1
        columns = (WIDE - 1) * stride[1] + (S - 1) * dilation[1] + 1
        top, left = oh * stride[0] - padding[0], ow * stride[1] - padding[1]
        whole = top >= 0 and left >= 0 and top + rows <= H and left + columns <= W
        some = min(split(PATCH, rows * columns)[0], split(WEIGHTS, R * S * ROW)[0])
        for i in range(MAPS):
            sums[i] = 0
        for c0 in range(0, channels, some):
            count = min(some, channels - c0)
            cuda.syncthreads()  # the last channels have been read
            for line in range(t // 32, count * rows, THREADS // 32):
                c, row = split(line, rows)
                there = within(top + row, H)
                start = ((n * C + g * channels + c0 + c) * H + top + row) * W + left
                for column in range(t % 32, columns, 32):
                    inside = there & within(left + column, W)
                    patch[line * columns + column] = read_where(xs, start + column, inside)
            for k in range(t // 32, FILTERS, THREADS // 32):
                there = first + k < filters
                start = ((g * filters + first + k) * channels + c0) * R * S
                for tap in range(t % 32, count * R * S, 32):
                    weights[tap * ROW + k] = read_where(ws, start + tap, there)
            cuda.syncthreads()
            for c in range(count):
                for r in range(R):
                    # taps on padding are left out: a zero times a weight that is NaN is no zero
                    if not (whole or within(top + down * stride[0] + r * dilation[0], H)):
                        continue
                    row = c * rows + down * stride[0] + r * dilation[0]
                    at = row * columns + across * stride[1]
                    tap = (c * R + r) * S * ROW + lane * MAPS
                    iw = left + across * stride[1]
                    for _ in range(S):
                        if whole or within(iw, W):
                            value = patch[at]
                            for i in range(0, MAPS, 4):
                                copy4(weights, tap + i, taps, i)
                            for i in range(MAPS):
                                sums[i] += value * taps[i]
                        at += dilation[1]
                        iw += dilation[1]
                        tap += ROW
        oh, ow = oh + down, ow + across
        if oh < OH and ow < OW:
            for i in range(MAPS):
                k = first + lane * MAPS + i
                if k < filters:
                    k += g * filters
                    value = b[k] + sums[i]
                    ys[((n * K + k) * OH + oh) * OW + ow] = (
                        y.dtype.type(0) if relu and value < 0 else value
                    )

    return shared
