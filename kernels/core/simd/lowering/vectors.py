"""Single vectors: to and from memory, turned round, spread apart, summed across."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.core.simd.lowering.elementwise import largest, least
from kernels.core.simd.values import (
    I1,
    I32,
    I64,
    TileType,
    address,
    function,
    inside,
    read,
    read_part,
    shuffle,
    transposed,
    vector_of,
    write,
    write_part,
)
from kernels.core.simd.values import (
    splat as spread,
)


@intrinsic
def prefetch(typing, array, start, count):
    """Ask for the lines of `count` elements, for reading, into the second cache."""

    def build(context, builder, signature, args):
        values, first, number = args
        pointer = address(context, builder, array, values, first)
        byte = ir.IntType(8).as_pointer()
        hint = function(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, I32, I32, I32])
        step = 64 * 8 // array.dtype.bitwidth
        lines = builder.sdiv(builder.add(number, I64(step - 1)), I64(step))
        with cgutils.for_range(builder, lines) as loop:
            place = builder.gep(pointer, [builder.mul(loop.index, I64(step))])
            builder.call(hint, [builder.bitcast(place, byte), I32(0), I32(2), I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), build


@intrinsic
def vector(typing, a, start):
    """Read one vector."""
    tile = TileType(a.dtype, 1, 1)

    def build(context, builder, signature, args):
        part = read(builder, address(context, builder, a, *args), vector_of(a.dtype))
        return single(context, builder, tile, part)

    return tile(a, types.int64), build


@intrinsic
def put_vector(typing, tile, a, start):
    """Write one vector."""

    def build(context, builder, signature, args):
        value, array, first = args
        part = builder.extract_value(value, 0)
        write(builder, part, address(context, builder, a, array, first))
        return context.get_dummy_value()

    return types.void(tile, a, types.int64), build


@intrinsic
def vector_part(typing, a, start, count):
    """Read the first `count` lanes, zero elsewhere."""
    tile = TileType(a.dtype, 1, 1)

    def build(context, builder, signature, args):
        array, first, number = args
        lanes = vector_of(a.dtype)
        mask = inside(builder, None, number, lanes.count)
        part = read_part(builder, address(context, builder, a, array, first), lanes, mask)
        return single(context, builder, tile, part)

    return tile(a, types.int64, types.int64), build


@intrinsic
def put_vector_part(typing, tile, a, start, count):
    """Write the first `count` lanes."""

    def build(context, builder, signature, args):
        value, array, first, number = args
        part = builder.extract_value(value, 0)
        mask = inside(builder, None, number, part.type.count)
        write_part(builder, part, address(context, builder, a, array, first), mask)
        return context.get_dummy_value()

    return types.void(tile, a, types.int64, types.int64), build


def single(context, builder, tile, part):
    """Make one LLVM vector a tile of 1 × 1."""
    return builder.insert_value(ir.Constant(context.get_value_type(tile), ir.Undefined), part, 0)


@intrinsic
def splat(typing, number, like):
    """All lanes the same number."""
    tile = TileType(like.dtype, 1, 1)

    def build(context, builder, signature, args):
        value = context.cast(builder, args[0], number, like.dtype)
        return single(context, builder, tile, spread(builder, value, vector_of(like.dtype)))

    return tile(number, like), build


@intrinsic(prefer_literal=True)
def reduced(typing, tile, operation):
    """Fold a tile to one number: vector to vector, then half to half."""
    if not isinstance(operation, types.StringLiteral):
        return None
    name = operation.literal_value

    def build(context, builder, signature, args):
        fold = _FOLDS[name]
        parts = [builder.extract_value(args[0], number) for number in range(tile.count)]
        total = parts[0]
        for part in parts[1:]:
            total = fold(builder, total, part)
        while total.type.count > 1:
            half = total.type.count // 2
            low = shuffle(builder, total, total, list(range(half)))
            high = shuffle(builder, total, total, list(range(half, 2 * half)))
            total = fold(builder, low, high)
        return builder.extract_element(total, I32(0))

    return tile.dtype(tile, operation), build


_FOLDS = {"sum": lambda builder, a, b: builder.fadd(a, b), "max": largest, "min": least}


def _pair(context, builder, tile, low, high):
    pair = types.UniTuple(tile, 2)
    values = [single(context, builder, tile, part) for part in (low, high)]
    return pair, context.make_tuple(builder, pair, values)


@intrinsic
def deinterleave(typing, low, high):
    """Even and odd places of two vectors in the order of memory."""

    def build(context, builder, signature, args):
        a, b = (builder.extract_value(each, 0) for each in args)
        places = list(range(2 * a.type.count))
        even, odd = shuffle(builder, a, b, places[::2]), shuffle(builder, a, b, places[1::2])
        return _pair(context, builder, low, even, odd)[1]

    return types.UniTuple(low, 2)(low, high), build


@intrinsic(prefer_literal=True)
def shifted(typing, low, high, by):
    """The lanes from `by` on of two vectors in the order of memory."""
    if not isinstance(by, types.IntegerLiteral):
        return None
    first = by.literal_value

    def build(context, builder, signature, args):
        a, b = (builder.extract_value(each, 0) for each in args[:2])
        start = first % a.type.count if first < 0 else first
        part = shuffle(builder, a, b, list(range(start, start + a.type.count)))
        return single(context, builder, low, part)

    return low(low, high, by), build


@intrinsic
def vector_between(typing, a, start, low, high, fill):
    """Read the lanes [low, high); the others are `fill`."""
    tile = TileType(a.dtype, 1, 1)

    def build(context, builder, signature, args):
        array, first, bottom, top, other = args
        lanes = vector_of(a.dtype)
        mask = inside(builder, bottom, top, lanes.count)
        rest = spread(builder, context.cast(builder, other, fill, a.dtype), lanes)
        pointer = address(context, builder, a, array, first)
        return single(context, builder, tile, read_part(builder, pointer, lanes, mask, rest))

    return tile(a, *[types.int64] * 3, fill), build


@intrinsic
def vector_apart(typing, a, start, step, low, high, fill):
    """Read lanes `step` apart, those in [low, high); the others are `fill`."""
    tile = TileType(a.dtype, 1, 1)

    def build(context, builder, signature, args):
        array, first, apart, bottom, top, other = args
        lanes = vector_of(a.dtype)
        value = spread(builder, context.cast(builder, other, fill, a.dtype), lanes)
        data = address(context, builder, a, array, first)
        slot = cgutils.alloca_once_value(builder, value)
        bounds = _within(builder, bottom, top, lanes.count)
        with cgutils.for_range_slice(builder, bounds[0], bounds[1], I64(1), inc=True) as (lane, _):
            one = builder.load(builder.gep(data, [builder.mul(lane, apart)]))
            changed = builder.insert_element(builder.load(slot), one, builder.trunc(lane, I32))
            builder.store(changed, slot)
        return single(context, builder, tile, builder.load(slot))

    return tile(a, *[types.int64] * 4, fill), build


@intrinsic
def put_vector_apart(typing, tile, a, start, step, low, high):
    """Write the lanes [low, high), `step` apart."""

    def build(context, builder, signature, args):
        value, array, first, apart, bottom, top = args
        part = builder.extract_value(value, 0)
        data = address(context, builder, a, array, first)
        bounds = _within(builder, bottom, top, part.type.count)
        with cgutils.for_range_slice(builder, bounds[0], bounds[1], I64(1), inc=True) as (lane, _):
            one = builder.extract_element(part, builder.trunc(lane, I32))
            builder.store(one, builder.gep(data, [builder.mul(lane, apart)]))
        return context.get_dummy_value()

    return types.void(tile, a, *[types.int64] * 4), build


def _within(builder, low, high, count):
    """Bounds of a part of a vector, cut to its lanes."""
    low = builder.select(builder.icmp_signed("<", low, I64(0)), I64(0), low)
    return low, builder.select(builder.icmp_signed("<", high, I64(count)), high, I64(count))


@intrinsic
def put_vector_between(typing, tile, a, start, low, high):
    """Write the lanes [low, high)."""

    def build(context, builder, signature, args):
        value, array, first, bottom, top = args
        part = builder.extract_value(value, 0)
        mask = inside(builder, bottom, top, part.type.count)
        write_part(builder, part, address(context, builder, a, array, first), mask)
        return context.get_dummy_value()

    return types.void(tile, a, *[types.int64] * 3), build


@intrinsic
def interleave(typing, even, odd):
    """Two vectors as even and odd places of two others."""

    def build(context, builder, signature, args):
        a, b = (builder.extract_value(each, 0) for each in args)
        count = a.type.count
        order = [lane // 2 + count * (lane % 2) for lane in range(2 * count)]
        low, high = shuffle(builder, a, b, order[:count]), shuffle(builder, a, b, order[count:])
        return _pair(context, builder, even, low, high)[1]

    return types.UniTuple(even, 2)(even, odd), build


@intrinsic
def transpose(typing, source, start, stride, rows, width, target, place, step, keep):
    """Read rows × width, write width × keep."""

    def build(context, builder, signature, args):
        from_array, first, from_step, height, across, to_array, to_place, to_step, kept = args
        lanes = vector_of(source.dtype)
        none = ir.Constant(ir.VectorType(I1, lanes.count), None)
        read_mask = inside(builder, None, across, lanes.count)
        write_mask = inside(builder, None, kept, lanes.count)
        pointer = address(context, builder, source, from_array, first)
        block = []
        for i in range(lanes.count):
            there = builder.icmp_signed("<", I64(i), height)
            mask = builder.select(there, read_mask, none)
            block.append(read_part(builder, pointer, lanes, mask))
            pointer = builder.gep(pointer, [from_step])
        pointer = address(context, builder, target, to_array, to_place)
        for j, column in enumerate(transposed(builder, block)):
            there = builder.icmp_signed("<", I64(j), across)
            write_part(builder, column, pointer, builder.select(there, write_mask, none))
            pointer = builder.gep(pointer, [to_step])
        return context.get_dummy_value()

    return types.void(source, *[types.int64] * 4, target, *[types.int64] * 3), build
