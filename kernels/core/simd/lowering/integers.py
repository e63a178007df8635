"""Integers in memory, floats in registers: read less a ramp, written plus one."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.core.simd.lowering.vectors import single
from kernels.core.simd.values import (
    I32,
    I64,
    TileType,
    address,
    inside,
    read_part,
    splat,
    vector_of,
    write_part,
)


def _ramp(builder, base, step, count):
    """Whole numbers base, base + step, …"""
    wide = ir.VectorType(base.type, count)
    places = ir.Constant(wide, list(range(count)))
    return builder.add(splat(builder, base, wide), builder.mul(places, splat(builder, step, wide)))


@intrinsic
def numbers(typing, a, start, count, base, step, like):
    """Read integers, less a ramp, as floats; zero beyond `count`."""
    tile = TileType(like.dtype, 1, 1)

    def build(context, builder, signature, args):
        array, first, number, low, rise, _ = args
        lanes = vector_of(like.dtype)
        whole = ir.VectorType(ir.IntType(a.dtype.bitwidth), lanes.count)
        mask = inside(builder, None, number, lanes.count)
        part = read_part(builder, address(context, builder, a, array, first), whole, mask)
        element = I64 if a.dtype.bitwidth > 16 else I32  # half as many vectors for what is narrow
        if a.dtype.bitwidth < element.width:
            extend = builder.sext if a.dtype.signed else builder.zext
            part = extend(part, ir.VectorType(element, lanes.count))
        if element == I32:
            low, rise = builder.trunc(low, I32), builder.trunc(rise, I32)
        part = builder.sub(part, _ramp(builder, low, rise, lanes.count))
        return single(context, builder, tile, builder.sitofp(part, lanes))

    return tile(a, *[types.int64] * 4, like), build


@intrinsic
def put_integers(typing, tile, a, start, count, base, step):
    """Write the first `count` lanes, whole numbers, plus a ramp, as integers."""

    def build(context, builder, signature, args):
        value, array, first, number, low, rise = args
        part = builder.extract_value(value, 0)
        count = part.type.count
        part = builder.fptosi(part, ir.VectorType(I64, count))
        part = builder.add(part, _ramp(builder, low, rise, count))
        if a.dtype.bitwidth < 64:
            part = builder.trunc(part, ir.VectorType(ir.IntType(a.dtype.bitwidth), count))
        mask = inside(builder, None, number, count)
        write_part(builder, part, address(context, builder, a, array, first), mask)
        return context.get_dummy_value()

    return types.void(tile, a, *[types.int64] * 4), build
