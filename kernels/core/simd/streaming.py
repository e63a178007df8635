"""Stores past the caches, for results too large to be found there again.

An ordinary store to a line that no cache holds reads the line first, so that a large output costs its
bytes twice. A streaming store sends whole lines to memory and reads nothing. It wants vectors that begin
on their own boundary, and whoever reads the result next finds it in memory alone: so it is for work
of a size (`FROM`) that the shared cache would not have kept either. (On a Zen 4 with 32 MiB of it, relu of 4M
float32, 32 MiB in and out, takes 0.39 ms with ordinary stores and 0.65 streamed; its gradient, 48 MiB, 0.70 streamed.)

Source: Intel, "64 and IA-32 Architectures Optimization Reference Manual", "Non-temporal stores"; LLVM
Language Reference, `store` with `!nontemporal`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from kernels.core.simd.values import I32, I64, address, vector_of

FROM = 40 << 20
BOUNDARY = 64  # bytes: a cache line, and the widest vector


def streams(a: np.ndarray, step: int, arrays: int) -> bool:
    """Whether to stream `a`, one of so many `arrays` of a size that are moved: together they are too large for
    the caches, and vectors at whole multiples of `step` elements lie on boundaries.
    """
    return (
        arrays * a.nbytes >= FROM
        and a.ctypes.data % BOUNDARY == 0
        and step * a.itemsize % BOUNDARY == 0
    )


def put_streaming(value: Any, a: np.ndarray, start: int) -> None:
    """Write a vector to a[start : start + LANES], which begins on a boundary of the vector's own size."""
    a[start : start + len(value)] = value


def settle() -> None:
    """Wait until all that was streamed is where any thread reads it."""


@intrinsic
def _put(typing, value, a, start):
    """Store one vector past the caches."""

    def build(context, builder, signature, args):
        vector = builder.extract_value(args[0], 0)
        pointer = address(context, builder, a, args[1], args[2])
        stored = builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()))
        stored.align = a.dtype.bitwidth // 8 * vector_of(a.dtype).count
        stored.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))
        return context.get_dummy_value()

    return types.void(value, a, types.int64), build


@intrinsic
def _settle(typing):
    """A full fence."""

    def build(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def _on_boundary(typing, a):
    """Whether the array's address is one of `BOUNDARY`."""

    def build(context, builder, signature, args):
        data = context.make_array(a)(context, builder, args[0]).data
        low = builder.and_(builder.ptrtoint(data, ir.IntType(64)), I64(BOUNDARY - 1))
        return builder.icmp_unsigned("==", low, I64(0))

    return types.boolean(a), build


put_lowered: Any = _put  # typed by Numba
settle_lowered: Any = _settle
on_boundary: Any = _on_boundary


@overload(streams)
def _streams(a, step, arrays):
    width = a.dtype.bitwidth // 8

    def answer(a, step, arrays):
        large = arrays * a.size * width >= FROM
        return large and on_boundary(a) and step * width % BOUNDARY == 0

    return answer


@overload(put_streaming)
def _put_streaming(value, a, start):
    return lambda value, a, start: put_lowered(value, a, start)


@overload(settle)
def _settled():
    return lambda: settle_lowered()
