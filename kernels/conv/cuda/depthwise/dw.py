"""dw of a channel a group: a block sums the taps of a filter, a thread its share of the strips, in registers."""

import functools

import numpy as np

from kernels.conv.cuda.depthwise.strip import ROWS, SIDE, THREADS, batches, in_turn
from kernels.conv.cuda.indices import split, within
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.gathering import sums as add_parts
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import flat, read_where

DW_LOADS = 12  # beside the 7 of dy: with 16, ptxas spills for 3×3 taps
CHUNK = 16  # sums that a block adds up at a time
LANES = THREADS // CHUNK
PADDED = LANES + 1


def dw(dy, x, stride, padding, dilation, groups, dw, scratch=None):
    """Fill dw: parts of the sum side by side, then added in their order."""
    r, s = dw.shape[2:]
    whole = r <= SIDE and s <= SIDE
    run = blocks_of(min(r, SIDE), min(s, SIDE), *stride, *dilation, whole)
    if scratch is None:
        run(dy, x, stride, padding, dilation, groups, dw.reshape(1, *dw.shape))
        return
    split_into = scratch.size // dw.size
    run(dy, x, stride, padding, dilation, groups, scratch.reshape(split_into, *dw.shape))
    add_parts(scratch.reshape(1, split_into, dw.size), dw.reshape(1, dw.size))


@functools.cache
def blocks_of(R, S, STRIDE, STEP, DILATION, ACROSS, WHOLE):
    """Make the kernel for R × S taps (WHOLE: all of them), these strides and these steps between taps."""
    TAPS = R * S

    def load(I, SLOT):
        @inlined
        def load_row(x, start, top, H, W, grads, held, sums):
            there = within(top + I, H)
            for s in range(S):
                held[SLOT, s] = read_where(x, start + I * W + s * ACROSS, there)

        return load_row

    def add(I, SLOT):
        @inlined
        def add_row(x, start, top, H, W, grads, held, sums):
            if within(top + I, H):  # zero times a gradient that is NaN would not be zero
                for r in range(R):
                    j = (I - r * DILATION) // STRIDE
                    if 0 <= j < ROWS and j * STRIDE == I - r * DILATION:
                        for s in range(S):
                            sums[r * S + s] += grads[j] * held[SLOT, s]

        return add_row

    def edge(RR):
        @inlined
        def add_tests(x, start, top, left, H, W, grad, sums):
            if within(top + RR * DILATION, H):
                for s in range(S):
                    if within(left + s * ACROSS, W):
                        value = x[np.uint64(start + RR * DILATION * W + s * ACROSS)]
                        sums[RR * S + s] += grad * value

        return add_tests

    def add_up(FIRST):
        @inlined
        def add_some(sums, shared, halfway, t, part, k, r0, s0, partial):
            for i in range(min(CHUNK, TAPS - FIRST)):
                shared[i, t] = sums[FIRST + i]
            cuda.syncthreads()
            i, lane = t // LANES, t % LANES
            total = shared[i, lane]
            for other in range(LANES, THREADS, LANES):
                total += shared[i, lane + other]
            halfway[i, lane] = total
            cuda.syncthreads()
            if t < min(CHUNK, TAPS - FIRST):
                total = halfway[t, 0]
                for lane in range(1, LANES):
                    total += halfway[t, lane]
                r, s = r0 + (FIRST + t) // S, s0 + (FIRST + t) % S
                if r < partial.shape[3] and s < partial.shape[4]:
                    partial[part, k, 0, r, s] = total

        return add_some

    rows = sorted({j * STRIDE + r * DILATION for j in range(ROWS) for r in range(R)})
    walk, HELD = batches(load, add, rows, S, DW_LOADS)
    tested = in_turn([edge(r) for r in range(R)])
    reduce = in_turn([add_up(first) for first in range(0, TAPS, CHUNK)])

    def blocks(dy, x, stride, padding, dilation, groups, partial):
        count, k, _, r, s = partial.shape
        return (count * k * -(-r // R) * -(-s // S), 1, 1)

    @kernel(THREADS, blocks)
    def depthwise_dw(dy, x, stride, padding, dilation, groups, partial):
        sums = cuda.local.array(TAPS, x.dtype)
        grads = cuda.local.array(ROWS, x.dtype)
        held = cuda.local.array((HELD, S), x.dtype)
        shared = cuda.shared.array((CHUNK, THREADS), x.dtype)
        halfway = cuda.shared.array((CHUNK, PADDED), x.dtype)
        xs, dys = flat(x), flat(dy)
        C, H, W = x.shape[1:]
        N, K, OH, OW = dy.shape
        count = partial.shape[0]
        t = cuda.threadIdx.x
        rest, part = split(cuda.blockIdx.x, count)
        k, r0, s0 = rest, 0, 0
        if not WHOLE:
            rest, s0 = split(rest, (partial.shape[4] + S - 1) // S)
            k, r0 = split(rest, (partial.shape[3] + R - 1) // R)
            r0, s0 = r0 * R, s0 * S
        c = k if K == C else split(k, split(K, C)[0])[0]
        top, left = r0 * DILATION - padding[0], s0 * ACROSS - padding[1]
        for i in range(TAPS):
            sums[i] = 0

        # columns in which each tap lies inside x
        low = min(OW, split(max(0, -left) + STEP - 1, STEP)[0])
        high = split(max(0, W - left - (S - 1) * ACROSS + STEP - 1), STEP)[0]
        inner = max(0, min(OW, high) - low)
        strips = OH // ROWS
        items = N * strips * inner
        share = split(items + count - 1, count)[0]
        for item in range(part * share + t, min(items, (part + 1) * share), THREADS):
            rest, ow = split(item, inner)
            n, at = split(rest, strips)
            ow, oh = ow + low, at * ROWS
            from_y = ((n * K + k) * OH + oh) * OW + ow
            for j in range(ROWS):
                grads[j] = dys[np.uint64(from_y + j * OW)]
            ih, iw = top + oh * STRIDE, left + ow * STEP
            walk(xs, ((n * C + c) * H + ih) * W + iw, ih, H, W, grads, held, sums)

        # the other columns, and the rows that fill no strip: a test for each tap
        outer = OW - inner
        upper = N * strips * ROWS * outer
        items = upper + N * (OH - strips * ROWS) * OW
        share = split(items + count - 1, count)[0]
        for item in range(part * share + t, min(items, (part + 1) * share), THREADS):
            if item < upper:
                rest, ow = split(item, outer)
                n, oh = split(rest, strips * ROWS)
                if ow >= low:
                    ow += inner
            else:
                rest, ow = split(item - upper, OW)
                n, oh = split(rest, OH - strips * ROWS)
                oh += strips * ROWS
            grad = dys[np.uint64(((n * K + k) * OH + oh) * OW + ow)]
            ih, iw = top + oh * STRIDE, left + ow * STEP
            tested(xs, ((n * C + c) * H + ih) * W + iw, ih, iw, H, W, grad, sums)
        reduce(sums, shared, halfway, t, part, k, r0, s0, partial)

    return depthwise_dw
