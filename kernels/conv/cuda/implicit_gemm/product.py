"""The kernel of forward and dx: one tile of outputs, its column matrix read from the images as it is multiplied.

    y[n, m, place(q, v)] = b[m] + Σ_c Σ_r Σ_s x[n, c, q·step + first + r·spread, …] · packed[r, s, c, m]

Rows of the product are m, its columns positions (n, q, v) in one line, its inner extent (c, r, s). A thread gathers
for one position (for 16 bytes of them where no tap shifts x), a few channels of it at each step. Within a step the tap
is fixed, so whether x has an element there is asked once, and one index serves all its loads, a plane apart. Taps go
round inside of channels: nine steps read the same rows of x, which the L1 cache has after the first. All of a step's
state moves by sums that the host prepared: the loop holds no division and no product.

Where a group has few channels, a step of one tap would be mostly padding: there the terms are numbered (c, r, s)
through, and a table in shared memory says where each lies.

Shared memory holds two steps: one is multiplied while the next is on its way into registers; a barrier a step.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kernels.conv.cuda.implicit_gemm.blocks import DEPTH, THREADS, block
from kernels.conv.cuda.implicit_gemm.loads import INT, by_table, pieces, within
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import copy1, copy16, flat, quotient

TABLE = 1024  # terms that the table of `few` can hold


def _grid(x, packed, b, sizes, relu, wide, y):
    return sizes[0] * sizes[1] * sizes[2], 1, 1


@functools.cache
def product(size: tuple[int, int], itemsize: int, gather: str, far: bool) -> Any:
    """Make the kernel for a tile and a way to gather.

    Parameters
    ----------
    size : (BM, BN)
    itemsize : int
    gather : {"taps", "wide", "few"}
        A tap a step; the same where x is read in 16 bytes (1×1, stride 1, no padding); terms numbered through.
    far : bool
        Whether an index needs more than 31 bits.
    """
    made = block(*size, itemsize)
    BM, BN, BK, Z, PAD = made.BM, made.BN, made.BK, made.Z, made.PAD
    TM, TN, VECTOR = made.TM, made.TN, made.VECTOR
    place, clear, multiply, combine = made.place, made.clear, made.multiply, made.combine
    row_of, column_of = made.row, made.column
    OWN, STAGES, WIDE, HIGH = THREADS // Z, 2 * Z, BN + PAD, BM + PAD
    INDEX = np.int64 if far else np.int32
    FEW = gather == "few"
    XV = VECTOR if gather == "wide" else 1  # positions a thread gathers for
    XT = BN // XV  # threads side by side
    XROWS = THREADS // XT
    XLOADS = BK // XROWS
    WT = BM // VECTOR
    WROWS = THREADS // WT
    WLOADS = BK // WROWS
    ENTRIES = TABLE if FEW else 1

    load_w = pieces(WLOADS, WROWS, VECTOR, INDEX)
    load_x = pieces(XLOADS, XROWS, XV, INDEX)
    look_up = by_table(XLOADS, XROWS, INDEX)

    @inlined
    def put(ws, xs, wrow, wcolumn, xrow, xcolumn, stage, sa, sb):
        """Store what was loaded into a stage. Row and i·ROWS never carry into another slice together."""
        for i in range(WLOADS):
            k = i * WROWS
            copy16(ws, (i, 0), sa, (stage + (wrow >> 3) + k // 8, (wrow & 7) + k % 8, wcolumn))
        for i in range(XLOADS):
            k = i * XROWS
            if XV == 1:
                copy1(xs, (i, 0), sb, (stage + (xrow >> 3) + k // 8, (xrow & 7) + k % 8, xcolumn))
            else:
                copy16(xs, (i, 0), sb, (stage + (xrow >> 3) + k // 8, (xrow & 7) + k % 8, xcolumn))

    @inlined
    def store(acc, i, where, p, line, sums, other, b, relu, wide, y):
        """Add the slices' sums of row i and the bias, and write what lies inside of y."""
        row, z, u, m0, g, M, columns, plane = where
        combine(sums, i, z, u, acc, other)
        m = m0 + row_of(row, i)
        if m < M and z == i % Z:
            bias = b[np.uint64(g * M + m)]
            start = INDEX((g * M + m) * plane)
            for j in range(TN):
                value = acc[i, j] + bias
                acc[i, j] = y.dtype.type(0) if relu and value < 0 else value
            for j in range(0, TN, VECTOR):
                if wide:
                    if column_of(p, j) < columns:
                        copy16(acc, (i, j), y, INDEX(start + line[j]))
                else:
                    for v in range(j, j + VECTOR):
                        if column_of(p, v) < columns:
                            copy1(acc, (i, v), y, INDEX(start + line[v]))

    @inlined
    def store_four(acc, i, where, p, line, sums, other, b, relu, wide, y):
        """Four rows from i on: written out, for a loop with barriers stays a loop, and acc would go to memory."""
        store(acc, i, where, p, line, sums, other, b, relu, wide, y)
        store(acc, i + 1, where, p, line, sums, other, b, relu, wide, y)
        store(acc, i + 2, where, p, line, sums, other, b, relu, wide, y)
        store(acc, i + 3, where, p, line, sums, other, b, relu, wide, y)

    @kernel(THREADS, _grid, resident=None if far else 2)
    def implicit_gemm(x, packed, b, sizes, relu, wide, y):
        """Fill one tile of y, of one group."""
        (
            m_tiles, groups, _, M, MP, C, columns, Q, V, XH, XW,
            step_h, step_w, first_h, first_w, spread_h, spread_w, R, S, steps,
            x_step, x_row, x_turn, w_step, w_first, w_tap, w_row, w_turn, w_group,
            y_first, y_down, y_across, y_plane,
        ) = sizes  # fmt: skip
        sa = cuda.shared.array((STAGES, DEPTH, HIGH), x.dtype, alignment=16)
        sb = cuda.shared.array((STAGES, DEPTH, WIDE), x.dtype, alignment=16)
        table = cuda.shared.array((3, ENTRIES), np.int32)
        acc = cuda.local.array((TM, TN), x.dtype)
        ra = cuda.local.array(TM, x.dtype)
        rb = cuda.local.array(TN, x.dtype)
        ws = cuda.local.array((WLOADS, VECTOR), x.dtype)
        xs = cuda.local.array((XLOADS, XV), x.dtype)
        entry = cuda.local.array(3, np.int32)
        line = cuda.local.array(TN, INDEX)
        data, out = flat(x), flat(y)
        t = cuda.threadIdx.x
        unit = cuda.blockIdx.x
        rest = quotient(unit, m_tiles)
        m0 = INT((unit - rest * m_tiles) * BM)
        p0 = quotient(rest, groups)
        g = INT(rest - p0 * groups)
        p0 = INT(p0 * BN)
        high, across = INT(XH), INT(XW)

        wrow, wcolumn = t // WT, t % WT * VECTOR
        w_at = INDEX(g * w_group + w_first + wrow * MP + m0 + wcolumn)
        # terms left for this thread's first row, of w and of x; none where its column is past the end
        w_rest = INT(C - wrow if m0 + wcolumn < MP else 0)
        xrow, xcolumn = t // XT, t % XT * XV
        p = p0 + xcolumn
        n = quotient(p, Q * V)
        q = quotient(p - n * Q * V, V)
        v = p - (n * Q + q) * V
        ih, iw = INT(q * step_h + first_h), INT(v * step_w + first_w)
        x_at = INDEX(((n * groups + g) * C + xrow) * XH * XW + ih * XW + iw)
        x_rest = INT(C - xrow if p < columns else 0)
        r, s = INT(0), INT(0)
        if FEW:
            area = R * S
            for i in range(t, C * area, THREADS):
                c = quotient(i, area)
                tr = quotient(i - c * area, S)
                ts = i - (c * R + tr) * S
                table[0, i] = (c * XH + tr * spread_h) * XW + ts * spread_w
                table[1, i] = tr * spread_h
                table[2, i] = ts * spread_w
            x_at = INDEX(x_at - xrow * XH * XW)
            w_rest = INT(C * area - wrow if m0 + wcolumn < MP else 0)
            x_rest = INT(C * area - xrow if p < columns else 0)
            cuda.syncthreads()

        z, u = t // OWN, t % OWN
        row, column = place(u)
        clear(acc)
        load_w(packed, w_at, w_rest, w_step, ws)
        if FEW:
            look_up(
                data, x_at, x_rest, table, INT(C * R * S) - x_rest, ih, iw, high, across, entry, xs
            )
        else:
            load_x(data, x_at, x_rest if within(ih, iw, high, across) else INT(0), x_step, xs)
        stage = INT(0)
        for _ in range(steps):
            put(ws, xs, wrow, wcolumn, xrow, xcolumn, stage, sa, sb)
            cuda.syncthreads()
            if FEW:
                w_at = INDEX(w_at + BK * MP)
                w_rest, x_rest = INT(w_rest - BK), INT(x_rest - BK)
                first = INT(C * R * S) - x_rest
                look_up(data, x_at, x_rest, table, first, ih, iw, high, across, entry, xs)
            else:
                s, iw = INT(s + 1), INT(iw + spread_w)
                x_at = INDEX(x_at + spread_w)
                w_at = INDEX(w_at + w_tap)
                if s == INT(S):
                    s, iw = INT(0), INT(iw - S * spread_w)
                    r, ih = INT(r + 1), INT(ih + spread_h)
                    x_at = INDEX(x_at + x_row)
                    w_at = INDEX(w_at + w_row)
                    if r == INT(R):
                        r, ih = INT(0), INT(ih - R * spread_h)
                        w_rest, x_rest = INT(w_rest - BK), INT(x_rest - BK)
                        x_at = INDEX(x_at + x_turn)
                        w_at = INDEX(w_at + w_turn)
                load_x(data, x_at, x_rest if within(ih, iw, high, across) else INT(0), x_step, xs)
            load_w(packed, w_at, w_rest, w_step, ws)
            multiply(sa, sb, stage + z, row, column, ra, rb, acc)
            stage = INT(Z - stage)

        if Z > 1:
            cuda.syncthreads()
        for j in range(TN):
            p = p0 + column_of(column, j)
            n = quotient(p, Q * V)
            q = quotient(p - n * Q * V, V)
            v = p - (n * Q + q) * V
            line[j] = n * groups * M * y_plane + q * y_down + v * y_across + y_first
        where = (row, z, u, m0, g, M, columns, y_plane)
        store_four(acc, 0, where, p0 + column, line, sb, rb, b, relu, wide, out)
        if TM == 8:
            store_four(acc, 4, where, p0 + column, line, sb, rb, b, relu, wide, out)

    return implicit_gemm
