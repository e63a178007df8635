"""dw: the product over positions of dy, gathered by filters, and x, gathered by channels.

    dw[k, c, r, s] = Σ_n Σ_oh Σ_ow dy[n, k, oh, ow] · x[n, c, oh·stride + r·dilation − pad, …]

Rows of the product are the filters of a group, its columns the channels under one tap (or, where these are few, all
(c, r, s) numbered through, with a table of where they lie), its inner extent the positions, eight a slice and step.
Eight lanes read neighbouring positions and four rows a warp, so that the transposed store into shared memory,
whose rows are 4 words longer than the tile, meets 32 banks. dy is read 16 bytes at a time where images are
multiples of that, x too where no tap shifts it.

Few weights make few tiles: positions are then cut into at most 8 parts, whose sums lie one after the other in scratch
and are added in their order. Into how many is decided by the shape alone.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from kernels.conv.cuda.implicit_gemm.blocks import DEPTH, THREADS, best, block, steps_of
from kernels.conv.cuda.implicit_gemm.loads import INT, NEAR, by_table, pieces, within
from kernels.core.cuda.choices import PARTS
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.gathering import sums
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import copy1, flat, quotient


def _grid(dy, x, sizes, dw):
    tiles, columns, taps, groups, parts = sizes[:5]
    return tiles * columns * taps * groups * parts, 1, 1


@functools.cache
def product(
    size: tuple[int, int], itemsize: int, few: bool, wide: int, wide_x: int, far: bool
) -> Any:
    """Make the kernel for a tile.

    Parameters
    ----------
    size : (BM, BN)
    itemsize : int
    few : bool
        Columns are numbered (c, r, s) through.
    wide, wide_x : int
        Positions that a thread reads at once, of dy and of x.
    far : bool
        Whether an index needs more than 31 bits.
    """
    made = block(*size, itemsize)
    BM, BN, BK, Z, PAD, TM, TN = made.BM, made.BN, made.BK, made.Z, made.PAD, made.TM, made.TN
    place, clear, multiply, combine = made.place, made.clear, made.multiply, made.combine
    row_of, column_of = made.row, made.column
    INDEX = np.int64 if far else np.int32
    OWN, STAGES, WIDE, HIGH = THREADS // Z, 2 * Z, BN + PAD, BM + PAD
    YV, XV = wide, wide_x
    YLANES, XLANES = DEPTH // YV, DEPTH // XV  # side by side in positions
    YROWS, XROWS = THREADS // Z // YLANES, THREADS // Z // XLANES
    YLOADS, XLOADS = BM // YROWS, BN // XROWS
    FEW = few
    ENTRIES = BN if FEW else 1

    load_y = pieces(YLOADS, YROWS, YV, INDEX)
    load_x = pieces(XLOADS, XROWS, XV, INDEX)
    look_up = by_table(XLOADS, XROWS, INDEX)

    @inlined
    def put(ys, xs, slice_, ylane, yrow, xlane, xrow, stage, sa, sb):
        """Store what was loaded into a stage, turned: positions down, filters and channels across."""
        for i in range(YLOADS):
            for v in range(YV):
                copy1(ys, (i, v), sa, (stage + slice_, ylane + v, yrow + i * YROWS))
        for i in range(XLOADS):
            for v in range(XV):
                copy1(xs, (i, v), sb, (stage + slice_, xlane + v, xrow + i * XROWS))

    @inlined
    def store(acc, i, where, column, sums, other, dw):
        """Add the slices' sums of row i, and write what lies inside of dw."""
        row, z, u, m0, M, N, first, m_step, n_step = where
        combine(sums, i, z, u, acc, other)
        m = m0 + row_of(row, i)
        if m < M and z == i % Z:
            for j in range(TN):
                if column_of(column, j) < N:
                    at = first + m * m_step + column_of(column, j) * n_step
                    copy1(acc, (i, j), dw, INDEX(at))

    @inlined
    def store_four(acc, i, where, column, sums, other, dw):
        """Four rows from i on: written out, for a loop with barriers stays a loop, and acc would go to memory."""
        store(acc, i, where, column, sums, other, dw)
        store(acc, i + 1, where, column, sums, other, dw)
        store(acc, i + 2, where, column, sums, other, dw)
        store(acc, i + 3, where, column, sums, other, dw)

    @kernel(THREADS, _grid, resident=None if far else 2)
    def implicit_gemm_dw(dy, x, sizes, dw):
        """Fill one tile of a part of dw, of one group."""
        (
            m_tiles, n_tiles, taps, groups, _, M, N, C, area, positions, length, Q, V, XH, XW,
            step_h, step_w, first_h, first_w, spread_h, spread_w, S,
            y_piece, y_step, y_rest, y_carry, x_piece, x_step, x_down, x_across, x_row, x_turn,
        ) = sizes  # fmt: skip
        sa = cuda.shared.array((STAGES, DEPTH, HIGH), dy.dtype, alignment=16)
        sb = cuda.shared.array((STAGES, DEPTH, WIDE), dy.dtype, alignment=16)
        table = cuda.shared.array((3, ENTRIES), np.int32)
        acc = cuda.local.array((TM, TN), dy.dtype)
        ra = cuda.local.array(TM, dy.dtype)
        rb = cuda.local.array(TN, dy.dtype)
        ys = cuda.local.array((YLOADS, YV), dy.dtype)
        xs = cuda.local.array((XLOADS, XV), dy.dtype)
        entry = cuda.local.array(3, np.int32)
        gradient, data, out = flat(dy), flat(x), flat(dw)
        t = cuda.threadIdx.x
        unit = cuda.blockIdx.x
        rest = quotient(unit, m_tiles)
        m0 = INT((unit - rest * m_tiles) * BM)
        over = quotient(rest, taps)
        tap = rest - over * taps
        rest = quotient(over, n_tiles)
        n0 = INT((over - rest * n_tiles) * BN)
        part = quotient(rest, groups)
        g = INT(rest - part * groups)
        high, across = INT(XH), INT(XW)
        begin = part * length
        end = INT(min(positions, begin + length))
        r = quotient(tap, S)
        s = tap - r * S
        down, right = INT(first_h + r * spread_h), INT(first_w + s * spread_w)
        if FEW:
            for i in range(t, BN, THREADS):
                c = quotient(n0 + i, area)
                r = quotient(n0 + i - c * area, S)
                s = n0 + i - c * area - r * S
                table[0, i] = (c * XH + r * spread_h) * XW + s * spread_w
                table[1, i] = r * spread_h
                table[2, i] = s * spread_w
            cuda.syncthreads()

        slice_, lane = (t >> 5) % Z, t & 31
        ylane, yrow = lane % YLANES * YV, (t >> 5) // Z * (32 // YLANES) + lane // YLANES
        xlane, xrow = lane % XLANES * XV, (t >> 5) // Z * (32 // XLANES) + lane // XLANES
        yp, xp = INT(begin + slice_ * DEPTH + ylane), INT(begin + slice_ * DEPTH + xlane)
        n = quotient(yp, Q * V)
        pixel = INT(yp - n * Q * V)
        y_at = INDEX(((n * groups + g) * M + m0 + yrow) * Q * V + pixel)
        y_rows = INT(M - m0 - yrow)
        n = quotient(xp, Q * V)
        q = quotient(xp - n * Q * V, V)
        v = INT(xp - (n * Q + q) * V)
        x_rows = INT(N - n0 - xrow)
        c = 0 if FEW else n0 + xrow
        x_at = INDEX(
            ((n * groups + g) * C + c) * XH * XW + (q * step_h + down) * XW + v * step_w + right
        )

        z, u = t // OWN, t % OWN
        row, column = place(u)
        clear(acc)
        load_y(gradient, y_at, y_rows if yp < end else INT(0), y_piece, ys)
        ih, iw = INT(q * step_h + down), INT(v * step_w + right)
        if FEW:
            rest = x_rows if xp < end else INT(0)
            look_up(data, x_at, rest, table, xrow, ih, iw, high, across, entry, xs)
        elif XV > 1:
            load_x(data, x_at, x_rows if yp < end else INT(0), x_piece, xs)
        else:
            inside = (xp < end) & within(ih, iw, high, across)
            load_x(data, x_at, x_rows if inside else INT(0), x_piece, xs)
        stage = INT(0)
        for _ in range((end - begin + BK - 1) // BK):
            put(ys, xs, slice_, ylane, yrow, xlane, xrow, stage, sa, sb)
            cuda.syncthreads()
            yp, pixel = INT(yp + BK), INT(pixel + y_rest)
            y_at = INDEX(y_at + y_step)
            if pixel >= INT(Q * V):
                pixel = INT(pixel - Q * V)
                y_at = INDEX(y_at + y_carry)
                if XV > 1:
                    x_at = INDEX(x_at + x_turn)
            load_y(gradient, y_at, y_rows if yp < end else INT(0), y_piece, ys)
            x_at = INDEX(x_at + x_step)
            if XV > 1:  # dy's positions are x's
                load_x(data, x_at, x_rows if yp < end else INT(0), x_piece, xs)
            else:
                xp, q, v = INT(xp + BK), INT(q + x_down), INT(v + x_across)
                if v >= INT(V):
                    q, v = INT(q + 1), INT(v - V)
                    x_at = INDEX(x_at + x_row)
                if q >= INT(Q):
                    q = INT(q - Q)
                    x_at = INDEX(x_at + x_turn)
                ih, iw = INT(q * step_h + down), INT(v * step_w + right)
                if FEW:
                    rest = x_rows if xp < end else INT(0)
                    look_up(data, x_at, rest, table, xrow, ih, iw, high, across, entry, xs)
                else:
                    inside = (xp < end) & within(ih, iw, high, across)
                    load_x(data, x_at, x_rows if inside else INT(0), x_piece, xs)
            multiply(sa, sb, stage + z, row, column, ra, rb, acc)
            stage = INT(Z - stage)

        if Z > 1:
            cuda.syncthreads()
        # a column is a channel under one tap, or a channel and a tap
        m_step = C * area
        n_step = 1 if FEW else area
        first = part * groups * M * m_step + g * M * m_step + tap
        where = (row, z, u, m0, M, N, first, m_step, n_step)
        store_four(acc, 0, where, n0 + column, sb, rb, out)
        if TM == 8:
            store_four(acc, 4, where, n0 + column, sb, rb, out)

    return implicit_gemm_dw


class Plan(NamedTuple):
    """The kernel, its sizes, and the parts that are to be added."""

    kernel: Any
    sizes: tuple[int, ...]
    parts: int


def cut(rows, channels, taps, groups, positions, plane, itemsize):
    """Choose how columns are numbered, the tile, and the parts.

    Returns
    -------
    few, (BM, BN), parts, length, time
        `length`: positions of a part; `time` in steps.
    """

    def inner(bk):
        return steps_of(positions, bk)

    choices = []
    for few in (False, True) if channels * plane < NEAR else (False,):
        columns, times = (channels * taps, 1) if few else (channels, taps)
        # in 64 × 128, the table's loads are more than the registers hold where images are not aligned
        without = (64, 128) if few else None
        time, parts, size = best(rows, columns, groups * times, inner, itemsize, PARTS, without)
        choices.append(((1.2 if few else 1.0) * time, few, size, parts))
    taken, few, size, parts = min(choices)
    bk = block(*size, itemsize).BK
    length = steps_of(max(1, inner(bk)), parts) * bk
    return few, size, max(1, steps_of(positions, length)), length, taken


@functools.lru_cache(4096)
def plan_of(dy_shape, x_shape, dw_shape, stride, padding, dilation, groups, aligned, itemsize):
    """Plan dw."""
    (n, k, Q, V), (_, _, XH, XW), (_, C, R, S) = dy_shape, x_shape, dw_shape
    M, area, positions = k // groups, R * S, n * Q * V
    few, size, parts, length, _ = cut(M, C, area, groups, positions, XH * XW, itemsize)
    bm, bn = size
    made = block(*size, itemsize)
    wide = made.VECTOR if aligned and Q * V % made.VECTOR == 0 else 1
    straight = area == 1 and stride == (1, 1) and padding == (0, 0) and (Q, V) == (XH, XW)
    # in 64 × 128, what 16 bytes of x need beside all else is more than the registers hold
    wide_x = wide if straight and not few and size != (64, 128) else 1
    images, pixels = divmod(made.BK, Q * V)
    down, across = divmod(pixels, V)
    plane, image = XH * XW, groups * C * XH * XW
    y_rows, x_rows = (THREADS // made.Z * each // DEPTH for each in (wide, wide_x))
    N, taps = (C * area, 1) if few else (C, area)
    sizes = (
        steps_of(M, bm), steps_of(N, bn), taps, groups, parts, M, N, C, area, positions, length,
        Q, V, XH, XW, *stride, -padding[0], -padding[1], *dilation, S,
        y_rows * Q * V, images * k * Q * V + pixels, pixels, (k - 1) * Q * V,
        x_rows * plane, images * image + down * stride[0] * XW + across * stride[1], down, across,
        stride[0] * XW - V * stride[1], image - Q * stride[0] * XW,  # plane = Q · V where wide_x > 1
    )  # fmt: skip
    far = max(n * k * Q * V, n * image, parts * k * C * area) + bn * (plane + Q * V) >= 2**31
    return Plan(product(size, itemsize, few, wide, wide_x, far), sizes, parts)


def dw(dy, x, stride, padding, dilation, groups, dw, scratch=None):
    """Fill dw."""
    aligned = dy.pointer % 16 == x.pointer % 16 == 0
    plan = plan_of(
        dy.shape, x.shape, dw.shape, stride, padding, dilation, groups, aligned, dy.dtype.itemsize
    )
    target = dw if plan.parts == 1 else scratch
    plan.kernel(dy, x, plan.sizes, target)
    if plan.parts > 1:
        sums(scratch.reshape(1, plan.parts, dw.size), dw.reshape(1, -1))
