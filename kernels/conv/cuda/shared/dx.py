"""dx by tiles, gathered: a block's patch of dy and its weights wait in shared memory, a few filters at a time."""

import functools

from kernels.conv.cuda.indices import split, within
from kernels.conv.cuda.shared.tiles import MAPS, PAD, PATCH, THREADS, WEIGHTS, fitting
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import copy4, flat, read_where


def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, in the tile that wastes the fewest columns of those in which a filter fits."""
    r, s = w.shape[2:]
    tile = fitting(dx.shape[3], r, s, stride, dilation, "dx")[0]
    tiles(*tile)(dy, w, stride, padding, dilation, groups, dx)


@functools.cache
def tiles(WIDE, HIGH, LANES):
    """Make the kernel for a tile of WIDE × HIGH positions of 16·LANES channels."""
    CHANNELS = MAPS * LANES
    ROW = CHANNELS + PAD

    def blocks(dy, w, stride, padding, dilation, groups, dx):
        n, c, h, width = dx.shape
        maps = groups * -(-c // groups // CHANNELS)
        return (n * maps * -(-h // HIGH) * -(-width // WIDE), 1, 1)

    @kernel(THREADS, blocks)
    def shared_dx(dy, w, stride, padding, dilation, groups, dx):
        patch = cuda.shared.array(PATCH, dy.dtype)
        weights = cuda.shared.array(WEIGHTS, dy.dtype, alignment=16)
        sums = cuda.local.array(MAPS, dy.dtype)
        taps = cuda.local.array(MAPS, dy.dtype)
        dys, ws, dxs = flat(dy), flat(w), flat(dx)
        K, OH, OW = dy.shape[1:]
        C, H, W = dx.shape[1:]
        channels, R, S = w.shape[1:]
        filters = split(K, groups)[0]
        t = cuda.threadIdx.x
        across, down, lane = t % WIDE, t // WIDE % HIGH, t // (WIDE * HIGH)
        rest, at = split(cuda.blockIdx.x, (W + WIDE - 1) // WIDE)
        iw = at * WIDE
        rest, at = split(rest, (H + HIGH - 1) // HIGH)
        ih = at * HIGH
        rest, at = split(rest, (channels + CHANNELS - 1) // CHANNELS)
        first = at * CHANNELS  # channel of the group
        n, g = split(rest, groups)
        rows = split(HIGH - 1 + (R - 1) * dilation[0], stride[0])[0] + 2
        columns = split(WIDE - 1 + (S - 1) * dilation[1], stride[1])[0] + 2
        # first row and column of dy that the tile may need; floor division, of negative numbers too
        top = (ih + padding[0] - (R - 1) * dilation[0]) // stride[0]
        left = (iw + padding[1] - (S - 1) * dilation[1]) // stride[1]
        some = min(split(PATCH, rows * columns)[0], split(WEIGHTS, R * S * ROW)[0])
        ih, iw = ih + down, iw + across
        # tap 0 meets row `above` of dy where nothing is left over; each further tap is `back` rows further back,
        # and one more where `less` takes what was left over below zero
        above, over_h = split(ih + padding[0], stride[0])
        before, over_w = split(iw + padding[1], stride[1])
        back_h, less_h = split(dilation[0], stride[0])
        back_w, less_w = split(dilation[1], stride[1])
        for i in range(MAPS):
            sums[i] = 0
        for k0 in range(0, filters, some):
            count = min(some, filters - k0)
            cuda.syncthreads()  # the last filters have been read
            for line in range(t // 32, count * rows, THREADS // 32):
                k, row = split(line, rows)
                there = within(top + row, OH)
                start = ((n * K + g * filters + k0 + k) * OH + top + row) * OW + left
                for column in range(t % 32, columns, 32):
                    inside = there & within(left + column, OW)
                    patch[line * columns + column] = read_where(dys, start + column, inside)
            for k in range(t // 32, count, THREADS // 32):
                start = ((g * filters + k0 + k) * channels + first) * R * S
                for each in range(t % 32, CHANNELS * R * S, 32):
                    c, tap = split(each, R * S)
                    place = (k * R * S + tap) * ROW + c
                    weights[place] = read_where(ws, start + each, first + c < channels)
            cuda.syncthreads()
            for k in range(count):
                oh, left_h = above, over_h
                for r in range(R):
                    if left_h == 0 and within(oh, OH):
                        at = (k * rows + oh - top) * columns - left
                        tap = (k * R + r) * S * ROW + lane * MAPS
                        ow, left_w = before, over_w
                        for _ in range(S):
                            if left_w == 0 and within(ow, OW):
                                value = patch[at + ow]
                                for i in range(0, MAPS, 4):
                                    copy4(weights, tap + i, taps, i)
                                for i in range(MAPS):
                                    sums[i] += value * taps[i]
                            ow -= back_w
                            left_w -= less_w
                            if left_w < 0:
                                left_w += stride[1]
                                ow -= 1
                            tap += ROW
                    oh -= back_h
                    left_h -= less_h
                    if left_h < 0:
                        left_h += stride[0]
                        oh -= 1
        if ih < H and iw < W:
            for i in range(MAPS):
                c = first + lane * MAPS + i
                if c < channels:
                    dxs[((n * C + g * channels + c) * H + ih) * W + iw] = sums[i]

    return shared_dx
