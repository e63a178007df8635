"""The loops over sets that `vectors` runs one piece after the other, and `parallel` over threads.

A piece is a range of sets, or of rows or channels, the same whatever the threads. Statistics, sums and the walk
that writes follow each other set by set, while the set is in cache; the walk that writes goes backwards, from
what was read last.
"""

import math

import numpy as np

from kernels.core import jit, rows, simd
from kernels.core.simd.streaming import settle, streams
from kernels.normalization import columns, strips
from kernels.normalization.naive import follow

PARTS = 8  # of the rows, each with sums of its own
PIECE = 1 << 16  # elements of what one call does, at least
# Not literals, for which what is called would be compiled once more.
ZERO, ONE, NO, YES = np.int64(0), np.int64(1), np.bool_(False), np.bool_(True)


@jit.exact
def group_sets(x, weight, bias, groups, centred, eps, piece, count, mean, rstd, y):
    """Fill one of `count` pieces of y, mean and rstd."""
    wide, s, sets = x.shape[1] // groups, x.shape[2], x.shape[0] * groups
    xs, ys, size = x.reshape(x.size), y.reshape(y.size), wide * s
    stream = streams(ys, wide if s == 1 else s, 2)
    for row in range(piece * sets // count, (piece + 1) * sets // count):
        at, c = row * size, row % groups * wide
        m, squares = rows.moments(xs, at, ONE, ZERO, size, centred)
        r = 1 / math.sqrt(squares / size + eps)
        mean[row], rstd[row] = m, r
        hi, lo = strips.split(m, x)
        if s == 1:
            strips.row_normalise(xs, at, wide, hi, r, -lo * r, weight, bias, c, ys, stream)
            continue
        for i in range(wide - 1, -1, -1):
            scale = r * weight[c + i]
            strips.normalise(xs, at + i * s, s, hi, scale, bias[c + i] - lo * scale, ys, stream)
    if stream:
        settle()


@jit.exact
def batch_sets(
    x, weight, bias, training, momentum, eps, running_mean, running_var, piece, count, mean, rstd, y
):
    """Fill one of `count` pieces of y, mean and rstd, and move its channels' running statistics."""
    n, c, s = x.shape
    first, last = piece * c // count, (piece + 1) * c // count
    xs, ys = x.reshape(x.size), y.reshape(y.size)
    if s == 1:
        columns.batch_norm(
            xs, n, c, weight, bias, training, momentum, eps, running_mean, running_var,
            first, last, mean, rstd, ys,
        )  # fmt: skip
        return
    stream = streams(ys, s, 2)
    for i in range(first, last):
        if training:
            m, squares = rows.moments(xs, i * s, n, c * s, s, YES)
            mean[i], rstd[i] = m, 1 / math.sqrt(squares / (n * s) + eps)
            follow(running_mean, running_var, i, m, squares / (n * s), n * s, momentum)
        hi, lo = strips.split(mean[i], x)
        scale = rstd[i] * weight[i]
        for image in range(n - 1, -1, -1):
            strips.normalise(
                xs, (image * c + i) * s, s, hi, scale, bias[i] - lo * scale, ys, stream
            )
    if stream:
        settle()


@jit.exact
def pieces(x, groups, summing):
    """Into how many pieces the sets are cut: for sums down the columns `PARTS`, else by their size."""
    n, s = x.shape[0], x.shape[2]
    if s == 1 and summing:
        return min(PARTS, n)
    return max(1, min(n if s == 1 else n * groups, x.size // PIECE))


@jit.exact
def group_gradients(
    dy, x, mean, rstd, weight, groups, centred, piece, count, totals, summing, moving, dx
):
    """Fill one of `count` pieces of dx if `moving`, and if `summing` what dweight and dbias are made of.

    That is, in `totals`: for rows, the piece's sums down the columns; else, for each channel of each
    image, Σ dy · x̂, and behind all of these Σ dy.
    """
    n, c, s = x.shape
    wide = c // groups
    dys, xs, dxs = dy.reshape(dy.size), x.reshape(x.size), dx.reshape(dx.size)
    stream = moving and streams(dxs, wide if s == 1 else s, 3)
    if s == 1:
        place = piece * 2 * c
        if summing:
            totals[place : place + 2 * c] = 0
        for row in range(piece * n // count * groups, (piece + 1) * n // count * groups):
            at, first, r = row * wide, row % groups * wide, rstd[row]
            hi, lo = strips.split(mean[row], x)
            if moving:
                plain, along = strips.row_sums(dys, xs, at, wide, hi, weight, first)
                q, t = slopes(r, lo, plain / wide, along / wide, centred)
            to = place + first
            if moving and summing:
                strips.row_both(
                    dys, xs, at, wide, hi, r, q, t, r, -lo * r, weight, first, dxs, totals, to, to + c,
                    stream,
                )  # fmt: skip
            elif moving:
                strips.row_gradient(dys, xs, at, wide, hi, r, q, t, weight, first, dxs, stream)
            else:
                strips.row_add(dys, xs, at, wide, hi, r, -lo * r, totals, to, to + c)
        if stream:
            settle()
        return
    for row in range(piece * n * groups // count, (piece + 1) * n * groups // count):
        at, first, r = row * wide * s, row % groups * wide, rstd[row]
        hi, lo = strips.split(mean[row], x)
        plain, along = 0.0, 0.0
        for i in range(wide):
            p, a = strips.sums(dys, xs, at + i * s, s, hi)
            plain += p * weight[first + i]
            along += a * weight[first + i]
            if summing:
                totals[row * wide + i] = (a - lo * p) * r
                totals[n * c + row * wide + i] = p
        if moving:
            q, t = slopes(r, lo, plain / (wide * s), along / (wide * s), centred)
            for i in range(wide - 1, -1, -1):
                strips.gradient(
                    dys, xs, at + i * s, s, hi, r * weight[first + i], q, t, dxs, stream
                )
    if stream:
        settle()


@jit.inlined
def slopes(r, lo, plain, along, centred):
    """q and t of dx = r · g + q · (x − hi) + t, from the means of g and g · (x − hi)."""
    q = -r * r * r * (along - lo * plain)
    return q, -lo * q - (r * plain if centred else 0.0)


@jit.exact
def batch_gradients(dy, x, mean, rstd, weight, training, piece, count, dw, db, moving, dx):
    """Fill the channels of one of `count` pieces of dx if `moving`, and of dw and db unless they are empty."""
    n, c, s = x.shape
    first, last = piece * c // count, (piece + 1) * c // count
    dys, xs, dxs = dy.reshape(dy.size), x.reshape(x.size), dx.reshape(dx.size)
    if s == 1:
        columns.gradients(
            dys, xs, n, c, mean, rstd, weight, training, first, last, dw, db, moving, dxs
        )
        return
    stream = moving and streams(dxs, s, 3)
    for i in range(first, last):
        hi, lo = strips.split(mean[i], x)
        r, plain, along = rstd[i], 0.0, 0.0
        if training or dw.size or db.size:
            for image in range(n):
                p, a = strips.sums(dys, xs, (image * c + i) * s, s, hi)
                plain += p
                along += a
        if dw.size:
            dw[i] = (along - lo * plain) * r
        if db.size:
            db[i] = plain
        if moving:
            q, t = slopes(r, lo, plain / (n * s), along / (n * s), True)
            q, t = (q * weight[i], t * weight[i]) if training else (0.0, 0.0)
            for image in range(n - 1, -1, -1):
                at = (image * c + i) * s
                strips.gradient(dys, xs, at, s, hi, r * weight[i], q, t, dxs, stream)
    if stream:
        settle()


@jit.exact
def group_totals(totals, x, dw, db):
    """Add up what `group_gradients` left, in the order of pieces or of images."""
    n, c, s = x.shape
    count = min(PARTS, n) if s == 1 else n
    away, step = (c, 2 * c) if s == 1 else (n * c, c)
    for j in range(0, c, simd.lanes(x)):
        along, plain = simd.splat(0, x), simd.splat(0, x)
        for part in range(count):
            along = along + simd.vector_part(totals, part * step + j, c - j)
            plain = plain + simd.vector_part(totals, part * step + away + j, c - j)
        if dw.size:
            simd.put_vector_part(along, dw, j, c - j)
        if db.size:
            simd.put_vector_part(plain, db, j, c - j)


@jit.exact
def bias_piece(dy, piece, count, totals, db):
    """Fill one of `count` pieces of db; for rows, add the piece's up in `totals`."""
    n, c, s = dy.shape
    dys = dy.reshape(dy.size)
    if s == 1:
        strips.down(dys, piece * n // count, (piece + 1) * n // count, c, totals, piece * 2 * c + c)
        return
    for i in range(piece * c // count, (piece + 1) * c // count):
        plain = 0.0
        for image in range(n):
            plain += strips.total(dys, (image * c + i) * s, s)
        db[i] = plain


@jit.exact
def bias_pieces(dy):
    """Into how many pieces db's work is cut: parts of the rows, or channels."""
    if dy.shape[2] == 1:
        return min(PARTS, dy.shape[0])
    return channel_pieces(dy)


@jit.exact
def channel_pieces(x):
    """Into how many pieces the channels are cut."""
    c, s = x.shape[1:]
    if s == 1:
        return max(1, min(c // 256, x.size // PIECE))
    return max(1, min(c, x.size // PIECE))
