"""dw by tiles: a thread owns a tap of a channel, for 16 filters; a piece of a row of y waits in shared memory."""

from kernels.conv.cuda.indices import split, within
from kernels.conv.cuda.shared.tiles import DW_PATCH, DW_POSITIONS, MAPS, PAD, THREADS, columns
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.gathering import sums as add_parts
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import copy4, flat, read_where

ROW = MAPS + PAD
GRADS = DW_POSITIONS * ROW


def dw(dy, x, stride, padding, dilation, groups, dw, scratch=None):
    """Fill dw: parts of the sum side by side, then added in their order."""
    options = stride, padding, dilation, groups
    _, channels, r, s = dw.shape
    held = columns(dy.shape[3], channels, r, s, stride[1], dilation[1])
    if scratch is None:
        shared_dw(dy, x, *options, *held, dw.reshape(1, *dw.shape))
        return
    count = scratch.size // dw.size
    shared_dw(dy, x, *options, *held, scratch.reshape(count, *dw.shape))
    add_parts(scratch.reshape(1, count, dw.size), dw.reshape(1, dw.size))


def blocks(dy, x, stride, padding, dilation, groups, held, positions, partial):
    """Enough blocks for each part, each 16 filters of a group, and each `held` of its channels."""
    count, k, channels = partial.shape[:3]
    return (count * groups * -(-k // groups // MAPS) * -(-channels // held), 1, 1)


@kernel(THREADS, blocks)
def shared_dw(dy, x, stride, padding, dilation, groups, held, positions, partial):
    """Sum a part of dw over its pieces, each of `positions` neighbours in a row of y."""
    patch = cuda.shared.array(DW_PATCH, x.dtype)
    grads = cuda.shared.array(GRADS, x.dtype, alignment=16)
    sums = cuda.local.array(MAPS, x.dtype)
    now = cuda.local.array(MAPS, x.dtype)
    xs, dys = flat(x), flat(dy)
    C, H, W = x.shape[1:]
    N, K, OH, OW = dy.shape
    count = partial.shape[0]
    channels, R, S = partial.shape[2:]
    filters = split(K, groups)[0]
    t = cuda.threadIdx.x
    rest, part = split(cuda.blockIdx.x, count)
    rest, at = split(rest, split(channels + held - 1, held)[0])
    c0 = at * held
    g, at = split(rest, (filters + MAPS - 1) // MAPS)
    first = at * MAPS
    c, tap = split(t, R * S)
    r, s = split(tap, S)
    active = c < held and c0 + c < channels
    # the outputs whose windows read x, and not padding, in this thread's tap
    shift = padding[1] - s * dilation[1]
    low = split(max(0, shift) + stride[1] - 1, stride[1])[0]
    high = min(OW, split(max(0, W + shift + stride[1] - 1), stride[1])[0])
    wide = (positions - 1) * stride[1] + (S - 1) * dilation[1] + 1
    chunks = split(OW + positions - 1, positions)[0]
    pieces = N * OH * chunks
    share = split(pieces + count - 1, count)[0]
    for i in range(MAPS):
        sums[i] = 0
    for piece in range(part * share, min(pieces, (part + 1) * share)):
        rest, at = split(piece, chunks)
        n, oh = split(rest, OH)
        ow = at * positions
        top, left = oh * stride[0] - padding[0], ow * stride[1] - padding[1]
        cuda.syncthreads()  # the last piece has been read
        for each in range(t, MAPS * positions, THREADS):
            k, p = split(each, positions)
            there = ow + p < OW and first + k < filters
            start = ((n * K + g * filters + first + k) * OH + oh) * OW + ow
            grads[p * ROW + k] = read_where(dys, start + p, there)
        for line in range(t // 32, held * R, THREADS // 32):
            channel, row = split(line, R)
            ih = top + row * dilation[0]
            there = within(ih, H) and c0 + channel < channels
            start = ((n * C + g * channels + c0 + channel) * H + ih) * W + left
            for column in range(t % 32, wide, 32):
                inside = there and within(left + column, W)
                patch[line * wide + column] = read_where(xs, start + column, inside)
        cuda.syncthreads()
        if active and within(top + r * dilation[0], H):
            start = max(0, low - ow)
            at = (c * R + r) * wide + s * dilation[1] + start * stride[1]
            for p in range(start, min(positions, high - ow)):
                value = patch[at]
                for i in range(0, MAPS, 4):
                    copy4(grads, p * ROW + i, now, i)
                for i in range(MAPS):
                    sums[i] += now[i] * value
                at += stride[1]
    if active:
        for i in range(MAPS):
            if first + i < filters:
                partial[part, g * filters + first + i, c0 + c, r, s] = sums[i]
