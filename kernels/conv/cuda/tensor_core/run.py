"""Which kernels a call launches, chosen by shapes alone; scratch; when the rung refuses; what it should cost."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from kernels.conv.cuda import costs
from kernels.conv.cuda.tensor_core import dw as gradient
from kernels.conv.cuda.tensor_core import points, product, weights
from kernels.conv.cuda.tensor_core.tile import WORDS
from kernels.core import memory, precision
from kernels.core.cuda import choices, gathering
from kernels.core.device_array import DeviceArray

BITS: dict[int, np.dtype] = {2: np.dtype(np.uint16), 4: np.dtype(np.uint32)}
BUSY = 2 * choices.MULTIPROCESSORS  # blocks that keep a large device busy
TENSOR = 989e6  # FLOPs a microsecond with factors of 16 bits, half of that with TF32 (H100 SXM, as `costs`)
USED = 1 / 32  # of a tile's multiplies: below it, one element a thread is faster
PHASES = 256  # of dx with strides, at most: beyond, hardly any tap meets a position
COUNTED = 1 << 31  # packed words, positions of a part of dw, of an image: fewer
SHIFTS = 1 << 14  # rows or columns that a list of taps can reach


def _up(n: int, step: int) -> int:
    return -(-n // step) * step


class Plan(NamedTuple):
    """Tiles of a problem: rows (of dw, rows and columns), whether channels and taps are one index, parts of the sum.

    `flops` are those of whole tiles.
    """

    rows: int
    flat: bool
    parts: int
    flops: int
    blocks: int


class Shape(NamedTuple):
    """A problem as a rung's arguments give it."""

    images: int
    inner: int  # channels a group
    outer: int  # filters a group
    groups: int
    source: tuple[int, int]
    target: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    lead: tuple[int, int]
    dilation: tuple[int, int]
    itemsize: int

    @property
    def taps(self) -> int:
        """Of the window."""
        return self.window[0] * self.window[1]

    @property
    def depth(self) -> int:
        """Elements of a step."""
        return 4 * WORDS // self.itemsize

    @property
    def listable(self) -> bool:
        """Whether where a channel's tap lies can be written into 32 bits."""
        far = max(d * k for d, k in zip(self.dilation, self.window))
        wide = max(n + p for n, p in zip(self.source, self.lead))
        return max(far, wide) < SHIFTS and self.inner * self.source[0] * self.source[1] < 1 << 30


def described(p: Any) -> Shape:
    """Shape of a `ConvProblem`."""
    lead = (p.padding[0][0], p.padding[1][0])
    return Shape(
        p.n, p.c // p.groups, p.k // p.groups, p.groups, (p.h, p.w), (p.oh, p.ow), (p.r, p.s),
        p.stride, lead, p.dilation, p.itemsize,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def plan(q: Shape, direction: str) -> Plan | None:
    """Choose a problem's tiles; None where they would be nearly all zeros."""
    if direction == "dw":
        return _dw_plan(q)
    phased = direction == "dx" and q.stride != (1, 1)
    inner, outer = (q.inner, q.outer) if direction == "forward" else (q.outer, q.inner)
    listed, walked = -(-inner * q.taps // q.depth), q.taps * -(-inner // q.depth)
    most = product.LISTED // q.depth
    flat = direction == "forward" and 4 * listed < 3 * walked and listed <= most and q.listable
    steps: float = listed if flat else walked
    terms, taps = (inner * q.taps, 1) if flat else (inner, q.taps)
    if weights.size(q.groups, outer, terms, taps, 128, 4 // q.itemsize) >= COUNTED:
        return None
    if phased and q.stride[0] * q.stride[1] > PHASES:
        return None
    if outer * inner * q.taps < USED * _up(outer, 64) * steps * q.depth:
        return None
    high, wide = q.source if direction == "dx" else q.target
    if phased:
        high, wide = _up(high, q.stride[0]), _up(wide, q.stride[1])
        steps /= q.stride[0] * q.stride[1]
    columns = _up(q.images * high * wide, product.BN)
    wasted = _up(outer, 128) > _up(outer, 64)
    tiles = columns // product.BN * q.groups
    rows = 64 if wasted or phased or tiles * (_up(outer, 128) // 128) < BUSY // 2 else 128
    flops = 2 * q.groups * columns * _up(outer, rows) * steps * q.depth
    return Plan(rows, flat, 1, int(flops), tiles * _up(outer, rows) // rows)


def _dw_plan(q: Shape) -> Plan | None:
    steps = -(-q.images * q.target[0] * q.target[1] // q.depth)
    found = []
    for side in (64, 128):
        one, by_tap = _up(q.inner * q.taps, side), q.taps * _up(q.inner, side)
        flat = q.listable and 4 * one < 3 * by_tap
        area = q.groups * _up(q.outer, side) * (one if flat else by_tap)
        blocks = area // (side * side)
        parts = max(1, min(choices.PARTS, BUSY // blocks, steps // 8))
        if (-(-steps // parts) + 1) * q.depth >= COUNTED:
            return None
        found.append(Plan(side, flat, parts, 2 * area * steps * q.depth, blocks * parts))
    small, large = found
    if q.groups * q.outer * q.inner * q.taps < USED * small.flops / max(2 * steps * q.depth, 1):
        return None
    return large if 4 * large.flops <= 5 * small.flops and large.blocks >= BUSY // 2 else small


def scratch(problem: Any, direction: str) -> int:
    """Elements, of the problem's dtype, for the packed weights or for dw's parts in float32."""
    q = described(problem)
    found = plan(q, direction)
    if found is None:
        return 0
    if direction == "dw":
        words = found.parts * q.groups * q.outer * q.inner * q.taps
    else:
        words = weights.size(*_packed(q, direction, found))
    return words * 4 // problem.itemsize


def _packed(q: Shape, direction: str, found: Plan) -> tuple[int, ...]:
    """Groups, rows, terms, taps, rows of a tile and elements of a word, as the weights are packed."""
    inner, outer = (q.inner, q.outer) if direction == "forward" else (q.outer, q.inner)
    terms, taps = (inner * q.taps, 1) if found.flat else (inner, q.taps)
    return q.groups, outer, terms, taps, found.rows, 4 // q.itemsize


def refuses(problem: Any, direction: str) -> str | None:
    """Why tensor cores cannot do a problem."""
    if max(problem.h * problem.w, problem.oh * problem.ow) >= COUNTED:
        return "it counts the positions of an image in 31 bits"
    return choices.tensor_cores(problem, direction)


def growth(problem, direction):
    """By how much TF32 may exceed the bound of a plain sum: as in matmul."""
    p = problem
    terms = {
        "forward": p.taps + 1,
        "dx": p.k // p.groups * p.r * p.s,
        "dw": p.n * p.oh * p.ow,
    }[direction]
    return choices.tf32_growth(p, terms)


def cost(problem: Any, direction: str) -> float:
    """Microseconds, as `costs.time` models them: whole tiles at a quarter of what the tensor cores can multiply.

    A step of 16-bit elements is about 270 instructions of a warp in product's loop, 32 of them `mma`: about what the
    tensor core takes for these at a quarter to a half of its peak.
    """
    if problem.itemsize == 4 and not precision.tf32():
        return float("inf")
    q = described(problem)
    found = plan(q, direction)
    if found is None:
        elements = (
            problem.k * problem.taps if direction == "dw" else q.images * problem.k * q.target[0]
        )
        return costs.time(problem, direction, share=0.02, blocks=elements)
    peak = TENSOR / (problem.itemsize // 2)
    return costs.time(
        problem,
        direction,
        share=0.25,
        blocks=found.blocks,
        flops=found.flops,
        peak=peak,
        launches=2,
    )


def _bits(x: DeviceArray) -> DeviceArray:
    """View an array as the bits of its elements, flat."""
    return replace(x.reshape(-1), dtype=BITS[x.dtype.itemsize], native=None)


def _whole(scratch: DeviceArray, dtype: type) -> DeviceArray:
    """View scratch as words, or as float32."""
    count = scratch.size * scratch.dtype.itemsize // 4
    place = {"device": scratch.device, "stream": scratch.stream}
    return DeviceArray.packed(scratch.pointer, (count,), dtype, scratch.owner, **place)


def _shape(x, w, y, stride, lead, dilation, groups) -> Shape:
    """Describe the arrays of x's, w's and y's shape."""
    (n, _, *source), (k, inner, *window) = x.shape, w.shape
    return Shape(
        n, inner, k // groups, groups, tuple(source), tuple(y.shape[2:]), tuple(window), tuple(stride),
        tuple(lead), tuple(dilation), x.dtype.itemsize,
    )  # fmt: skip


def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, scratch=None):
    """Fill y: weights packed, then tiles of filters × positions."""
    q = _shape(x, w, y, stride, padding, dilation, groups)
    found = plan(q, "forward")
    if found is None:
        points.conv2d(x, w, b, stride, padding, dilation, groups, relu, y)
        return
    packed = _whole(scratch, np.uint32)
    elements = 4 // q.itemsize
    *sizes, _ = _packed(q, "forward", found)
    weights.FORWARD[elements](_bits(w), *sizes, packed)
    product.make(found.rows, elements, False, found.flat)(
        _bits(x), packed, b, q.images, q.inner, q.outer, groups, q.source, q.target, q.window,
        q.stride, q.lead, q.dilation, relu, y.reshape(-1),
    )  # fmt: skip


def dx(dy, w, stride, padding, dilation, groups, dx, scratch=None):
    """Fill dx: weights packed with filters inside, then tiles of channels × positions, with strides by phases."""
    q = _shape(dx, w, dy, stride, padding, dilation, groups)
    found = plan(q, "dx")
    if found is None:
        points.dx(dy, w, stride, padding, dilation, groups, dx)
        return
    packed = _whole(scratch, np.uint32)
    elements = 4 // q.itemsize
    *sizes, _ = _packed(q, "dx", found)
    weights.TURNED[elements](_bits(w), *sizes, packed)
    phased = q.stride != (1, 1)
    lead, steps = q.lead, q.dilation
    if not phased:  # a convolution of dy that goes back a step a tap
        lead, steps = (-lead[0], -lead[1]), (-steps[0], -steps[1])
    product.make(found.rows, elements, phased, False)(
        _bits(dy), packed, memory.zeros(dx.shape[1], dy.dtype, dy), q.images, q.outer, q.inner, groups,
        q.target, q.source, q.window, q.stride, lead, steps, False, dx.reshape(-1),
    )  # fmt: skip


def dw(dy, x, stride, padding, dilation, groups, dw, scratch=None):
    """Fill dw: parts of the sum over positions, then their sum."""
    q = _shape(x, dw, dy, stride, padding, dilation, groups)
    found = plan(q, "dw")
    if found is None:
        points.dw(dy, x, stride, padding, dilation, groups, dw)
        return
    partial, flat = _whole(scratch, np.float32), dw.reshape(-1)
    gradient.make(found.rows, 4 // q.itemsize, found.flat)(
        _bits(dy), _bits(x), q.images, q.inner, q.outer, groups, q.source, q.target, q.window, q.stride,
        q.lead, q.dilation, found.parts, flat, partial,
    )  # fmt: skip
    gathering.sums(partial.reshape(1, found.parts, flat.size), flat.reshape(1, flat.size))
