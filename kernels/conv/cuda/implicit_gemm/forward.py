"""Forward and dx: the weights repacked, then `product` over the positions of y, or of a phase of dx.

dx gathers, as the forward does: x[ih] was read by tap r at the output oh where oh·u + r·d − p = ih. For the rows
ih = a + u·q of one *phase* a, the taps that hit (those for which u divides a + p − r·d) are every t-th from a first
one, t = u / gcd(u, d), and move over dy by one row for each q, by −d·t / u for each next tap: it is the forward's sum
over dy, at stride 1, with fewer taps. With u = 1 there is one phase; with stride 2 and 3×3 filters four, of 1, 2, 2
and 4 taps: 9 in all, where a test at every tap would visit 36.
"""

from __future__ import annotations

import functools
from math import gcd
from typing import Any, NamedTuple

from kernels.conv.cuda.implicit_gemm import pack
from kernels.conv.cuda.implicit_gemm.blocks import THREADS, best, block, steps_of
from kernels.conv.cuda.implicit_gemm.loads import NEAR
from kernels.conv.cuda.implicit_gemm.product import TABLE, product
from kernels.core import memory


class Axis(NamedTuple):
    """One phase along one axis: its outputs, where it reads, its taps."""

    start: int  # the first output
    outputs: int
    step: int  # outputs, and what is read, from one to the next
    read: int
    first: int  # what the first tap reads for the first output
    spread: int  # from one tap to the next
    tap: int  # the first tap, and from one to the next
    every: int
    taps: int


def phases(size: int, taps: int, stride: int, padding: int, dilation: int) -> list[Axis]:
    """Return the phases of dx along an axis of `size`, those without outputs left out."""
    every = stride // gcd(stride, dilation)
    found = []
    for a in range(min(stride, size)):
        hits = [r for r in range(min(taps, every)) if (a + padding - r * dilation) % stride == 0]
        tap = hits[0] if hits else 0
        found.append(
            Axis(
                a, -(-(size - a) // stride), stride, 1, (a + padding - tap * dilation) // stride,
                -dilation * every // stride, tap, every, -(-(taps - tap) // every) if hits else 0,
            )
        )  # fmt: skip
    return found


def choice(rows, terms, groups, columns, taps, gather, itemsize):
    """Tile, gathering, steps and time (in steps) of one launch; `gather` is what it could be beside "taps"."""

    def whole(bk):
        return steps_of(terms, bk) * taps

    def numbered(bk):
        return steps_of(terms * taps, bk)

    time, _, size = best(rows, columns, groups, whole, itemsize)
    steps = whole(block(*size, itemsize).BK)
    if gather == "few":
        # in 64 × 128, the table's loads are more than the registers hold
        less, _, few = best(rows, columns, groups, numbered, itemsize, without=(64, 128))
        if terms * taps <= TABLE and 1.2 * less < time:
            return few, gather, numbered(block(*few, itemsize).BK), less
        gather = "taps"
    return size, gather, steps, time


class Launch(NamedTuple):
    """A kernel, its sizes, and whether it may write 16 bytes at a time."""

    kernel: Any
    gather: str
    sizes: tuple[int, ...]
    wide: bool


def _launch(rows, terms, groups, n, source, plane, down, across, filters, aligned, itemsize):
    """Plan one launch over the positions of a phase.

    source, plane, filters: height and width of what is read, of what is written, of the filters.
    """
    Q, V, taps = down.outputs, across.outputs, down.taps * across.taps
    columns = n * Q * V
    XH, XW = source
    vector = 16 // itemsize
    dense = down.step == across.step == 1
    wide = dense and aligned and Q * V % vector == 0
    gather = "few" if dense and terms * XH * XW < NEAR else "taps"
    straight = down.first == across.first == 0 and down.read == across.read == 1
    if wide and straight and taps == 1 and source == plane:
        gather = "wide"
    size, gather, steps, _ = choice(rows, terms, groups, columns, taps, gather, itemsize)
    bm, bn = size
    bk = block(bm, bn, itemsize).BK
    MP = pack.width(rows)
    R, S = down.taps, across.taps
    w_tap, w_down = across.every * terms * MP, down.every * filters[1] * terms * MP
    sizes = (
        steps_of(rows, bm), groups, steps_of(columns, bn), rows, MP, terms, columns, Q, V, XH, XW,
        down.read, across.read, down.first, across.first, down.spread, across.spread, R, S, steps,
        THREADS // (bn // (vector if gather == "wide" else 1)) * XH * XW,
        down.spread * XW - S * across.spread, bk * XH * XW - R * down.spread * XW,
        THREADS * vector // bm * MP, (down.tap * filters[1] + across.tap) * terms * MP,
        w_tap, w_down - S * w_tap, bk * MP - R * w_down, terms * filters[0] * filters[1] * MP,
        down.start * plane[1] + across.start, down.step * plane[1], across.step, plane[0] * plane[1],
    )  # fmt: skip
    read, written = n * groups * terms * XH * XW, n * groups * rows * plane[0] * plane[1]
    repacked = groups * terms * filters[0] * filters[1] * MP
    far = max(read, written, repacked) + bk * XH * XW >= 2**31
    return Launch(product(size, itemsize, gather, far), gather, sizes, wide)


class Plan(NamedTuple):
    """What a direction launches: the packing, then the products."""

    packing: tuple[int, ...]
    launches: list[Launch]


def _planned(rows, terms, groups, filters, row_step, term_step, launches):
    taps = filters[0] * filters[1]
    order = (taps, 1) if any(each.gather == "few" for each in launches) else (1, terms)
    return Plan((rows, terms, groups, taps, row_step, term_step, *order), launches)


@functools.lru_cache(4096)
def forward_plan(x_shape, w_shape, y_shape, stride, padding, dilation, groups, aligned, itemsize):
    """Plan y."""
    (n, _, *source), (k, channels, *filters), plane = x_shape, w_shape, y_shape[2:]
    down, across = (
        Axis(0, plane[i], 1, stride[i], -padding[i], dilation[i], 0, 1, filters[i])
        for i in range(2)
    )
    taps = filters[0] * filters[1]
    launch = _launch(
        k // groups, channels, groups, n, tuple(source), tuple(plane), down, across, filters,
        aligned, itemsize,
    )  # fmt: skip
    return _planned(k // groups, channels, groups, filters, channels * taps, taps, [launch])


@functools.lru_cache(4096)
def dx_plan(dy_shape, w_shape, dx_shape, stride, padding, dilation, groups, aligned, itemsize):
    """Plan dx."""
    (n, _, *source), (k, channels, *filters), plane = dy_shape, w_shape, dx_shape[2:]
    downs, acrosses = (
        phases(plane[i], filters[i], stride[i], padding[i], dilation[i]) for i in range(2)
    )
    launches = [
        _launch(
            channels, k // groups, groups, n, tuple(source), tuple(plane), down, across, filters,
            aligned, itemsize,
        )
        for down in downs for across in acrosses
    ]  # fmt: skip
    taps = filters[0] * filters[1]
    return _planned(channels, k // groups, groups, filters, taps, channels * taps, launches)


def _run(plan, source, w, b, relu, target, scratch):
    pack.pack(w, plan.packing, scratch)
    for kernel, _, sizes, wide in plan.launches:
        kernel(source, scratch, b, sizes, relu, wide, target)


def _aligned(*arrays):
    """Whether all start on a 16-byte boundary."""
    return not any(each.pointer % 16 for each in arrays)


def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, scratch):
    """Fill y."""
    plan = forward_plan(
        x.shape, w.shape, y.shape, stride, padding, dilation, groups, _aligned(x, y), x.dtype.itemsize
    )  # fmt: skip
    _run(plan, x, w, b, relu, y, scratch)


def dx(dy, w, stride, padding, dilation, groups, dx, scratch):
    """Fill dx."""
    plan = dx_plan(
        dy.shape, w.shape, dx.shape, stride, padding, dilation, groups, _aligned(dy, dx), dy.dtype.itemsize
    )  # fmt: skip
    none = memory.zeros(dx.shape[1], dx.dtype, dx)
    _run(plan, dy, w, none, False, dx, scratch)
