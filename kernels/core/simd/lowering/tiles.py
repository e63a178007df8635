"""The register tile: loads, stores, and multiply-adds.

`llvm.fma` is one instruction wherever the processor has it. Partial tiles use masked loads and stores.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from kernels.core.simd.values import (
    I1,
    I64,
    TileType,
    address,
    function,
    inside,
    read,
    read_part,
    shuffle,
    splat,
    suffix,
    transposed,
    vector_of,
    write,
    write_part,
)
from kernels.core.simd.width import ROWS, VECTORS


def _places(builder: Any, pointer: Any, stride: Any, tile: Any, vector: Any) -> Any:
    """Yield each vector's number in the tile, row, first column, and pointer."""
    for i in range(tile.rows):
        for v in range(tile.vectors):
            column = v * vector.count
            yield i * tile.vectors + v, i, column, builder.gep(pointer, [I64(column)])
        pointer = builder.gep(pointer, [stride])


def _masks(builder: Any, rows: Any, width: Any, tile: Any, vector: Any) -> Any:
    """Return a function (row, column) that gives a vector's mask: inside rows × width."""
    by_column = {
        column: inside(builder, None, builder.sub(width, I64(column)), vector.count)
        for column in range(0, tile.vectors * vector.count, vector.count)
    }
    none = ir.Constant(ir.VectorType(I1, vector.count), None)

    def mask(row: int, column: int) -> Any:
        there = builder.icmp_signed("<", I64(row), rows)
        return builder.select(there, by_column[column], none)

    return mask


@intrinsic
def zero(typing, like):
    """A tile of zeros."""
    tile = TileType(like.dtype)

    def build(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like), build


@intrinsic(prefer_literal=True)
def zero_of(typing, like, rows, vectors):
    """A tile of zeros of another shape."""
    tile = TileType(like.dtype, rows.literal_value, vectors.literal_value)

    def build(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like, rows, vectors), build


@intrinsic(prefer_literal=True)
def alike(typing, values, start, rows, vectors):
    """A tile of another shape whose rows are all the same."""
    tile = TileType(values.dtype, rows.literal_value, vectors.literal_value)

    def build(context, builder, signature, args):
        vector = vector_of(values.dtype)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        place = address(context, builder, values, *args[:2])
        for v in range(tile.vectors):
            part = read(builder, builder.gep(place, [I64(v * vector.count)]), vector)
            for i in range(tile.rows):
                value = builder.insert_value(value, part, i * tile.vectors + v)
        return value

    return tile(values, types.int64, rows, vectors), build


@intrinsic
def row_of(typing, values, start):
    """A tile whose rows are all the same."""
    tile = TileType(values.dtype)

    def build(context, builder, signature, args):
        vector = vector_of(values.dtype)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        place = address(context, builder, values, *args)
        for v in range(VECTORS):
            part = read(builder, builder.gep(place, [I64(v * vector.count)]), vector)
            for i in range(ROWS):
                value = builder.insert_value(value, part, i * VECTORS + v)
        return value

    return tile(values, types.int64), build


@intrinsic
def rows_of(typing, values, start):
    """A tile of ROWS broadcasts."""
    tile = TileType(values.dtype)

    def build(context, builder, signature, args):
        vector = vector_of(values.dtype)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        place = address(context, builder, values, *args)
        for i in range(ROWS):
            row = splat(builder, builder.load(builder.gep(place, [I64(i)])), vector)
            for v in range(VECTORS):
                value = builder.insert_value(value, row, i * VECTORS + v)
        return value

    return tile(values, types.int64), build


@intrinsic
def relu(typing, tile):
    """Each vector compared with zero: below it zero, else (and where it is NaN) itself."""

    def build(context, builder, signature, args):
        (value,) = args
        nothing = ir.Constant(vector_of(tile.dtype), None)
        for number in range(tile.count):
            old = builder.extract_value(value, number)
            below = builder.fcmp_ordered("<", old, nothing)
            value = builder.insert_value(value, builder.select(below, nothing, old), number)
        return value

    return tile(tile), build


@intrinsic
def load(typing, c, start, stride):
    """Read a whole tile."""
    tile = TileType(c.dtype)

    def build(context, builder, signature, args):
        array, first, step = args
        vector = vector_of(c.dtype)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        pointer = address(context, builder, c, array, first)
        for number, _, _, place in _places(builder, pointer, step, tile, vector):
            value = builder.insert_value(value, read(builder, place, vector), number)
        return value

    return tile(c, types.int64, types.int64), build


@intrinsic
def load_part(typing, c, start, stride, rows, width):
    """Read rows × width of a tile, zero elsewhere."""
    tile = TileType(c.dtype)

    def build(context, builder, signature, args):
        array, first, step, height, across = args
        vector = vector_of(c.dtype)
        mask = _masks(builder, height, across, tile, vector)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        pointer = address(context, builder, c, array, first)
        for number, row, column, place in _places(builder, pointer, step, tile, vector):
            part = read_part(builder, place, vector, mask(row, column))
            value = builder.insert_value(value, part, number)
        return value

    return tile(c, *[types.int64] * 4), build


def _multiply_add(context, builder, tile, value, lefts, b_place):
    """One step of k: a broadcast a row, VECTORS loads, ROWS · VECTORS multiply-adds."""
    vector = vector_of(tile.dtype)
    fma = function(builder, f"llvm.fma.{suffix(vector)}", vector, [vector] * 3)
    row = [
        read(builder, builder.gep(b_place, [I64(v * vector.count)]), vector)
        for v in range(tile.vectors)
    ]
    for i, pointer in enumerate(lefts):
        left = splat(builder, builder.load(pointer), vector)
        for v in range(tile.vectors):
            number = i * tile.vectors + v
            total = builder.call(fma, [left, row[v], builder.extract_value(value, number)])
            value = builder.insert_value(value, total, number)
    return value


@intrinsic
def multiply_add(typing, tile, a, ia, step, b, ib):
    """One step of k, A's elements `step` apart."""

    def build(context, builder, signature, args):
        value, a_array, a_index, a_step, b_array, b_index = args
        first = address(context, builder, a, a_array, a_index)
        lefts = [builder.gep(first, [builder.mul(I64(i), a_step)]) for i in range(tile.rows)]
        b_place = address(context, builder, b, b_array, b_index)
        return _multiply_add(context, builder, tile, value, lefts, b_place)

    return tile(tile, a, types.int64, types.int64, b, types.int64), build


@intrinsic
def multiply_add_at(typing, tile, a, places, ia, b, ib):
    """One step of k, A's elements wherever `places` says."""

    def build(context, builder, signature, args):
        value, a_array, starts, a_index, b_array, b_index = args
        lefts = []
        for i in range(tile.rows):
            row = address(context, builder, a, a_array, builder.extract_value(starts, i))
            lefts.append(builder.gep(row, [a_index]))
        b_place = address(context, builder, b, b_array, b_index)
        return _multiply_add(context, builder, tile, value, lefts, b_place)

    return tile(tile, a, places, types.int64, b, types.int64), build


@intrinsic
def places_of(typing, numbers, start):
    """ROWS integers of an array, each in a register of its own."""
    result = types.UniTuple(types.int64, ROWS)

    def build(context, builder, signature, args):
        place = address(context, builder, numbers, *args)
        value = ir.Constant(context.get_value_type(result), ir.Undefined)
        for i in range(ROWS):
            value = builder.insert_value(value, builder.load(builder.gep(place, [I64(i)])), i)
        return value

    return result(numbers, types.int64), build


@intrinsic
def store(typing, tile, c, start, stride):
    """Write a whole tile."""

    def build(context, builder, signature, args):
        value, array, first, step = args
        pointer = address(context, builder, c, array, first)
        for number, _, _, place in _places(builder, pointer, step, tile, vector_of(tile.dtype)):
            write(builder, builder.extract_value(value, number), place)
        return context.get_dummy_value()

    return types.void(tile, c, types.int64, types.int64), build


@intrinsic
def store_part(typing, tile, c, start, stride, rows, width):
    """Write rows × width of a tile."""

    def build(context, builder, signature, args):
        value, array, first, step, height, across = args
        vector = vector_of(tile.dtype)
        mask = _masks(builder, height, across, tile, vector)
        pointer = address(context, builder, c, array, first)
        for number, row, column, place in _places(builder, pointer, step, tile, vector):
            write_part(builder, builder.extract_value(value, number), place, mask(row, column))
        return context.get_dummy_value()

    return types.void(tile, c, *[types.int64] * 4), build


def _columns(builder: Any, tile: Any, value: Any, padded: int) -> Any:
    """Yield each column of a tile as a vector of `padded` rows: transposed in registers."""
    vector = vector_of(tile.dtype)
    nothing = ir.Constant(vector, ir.Undefined)
    for v in range(tile.vectors):
        rows = [
            builder.extract_value(value, i * tile.vectors + v) if i < tile.rows else nothing
            for i in range(padded)
        ]
        flat = transposed(builder, rows)
        while flat[0].type.count < padded:  # a column longer than a vector
            count = 2 * flat[0].type.count
            pairs = zip(flat[::2], flat[1::2])
            flat = [shuffle(builder, a, b, list(range(count))) for a, b in pairs]
        count = flat[0].type.count
        for part in flat:
            for first in range(0, count, padded):
                yield shuffle(builder, part, part, list(range(first, first + padded)))


def _store_columns(context, builder, tile, value, pointer, stride, bounds, width):
    padded = 1 << (tile.rows - 1).bit_length()
    mask = None if bounds is None else inside(builder, bounds[0], bounds[1], padded)
    for j, column in enumerate(_columns(builder, tile, value, padded)):
        if mask is None:
            part = shuffle(builder, column, column, list(range(tile.rows)))
            write(builder, part, pointer)
        else:
            none = ir.Constant(mask.type, None)
            there = builder.icmp_signed("<", I64(j), width)
            write_part(builder, column, pointer, builder.select(there, mask, none))
        pointer = builder.gep(pointer, [stride])
    return context.get_dummy_value()


@intrinsic
def store_columns(typing, tile, c, start, stride):
    """Write a whole tile transposed."""

    def build(context, builder, signature, args):
        value, array, first, step = args
        pointer = address(context, builder, c, array, first)
        return _store_columns(context, builder, tile, value, pointer, step, None, None)

    return types.void(tile, c, types.int64, types.int64), build


@intrinsic
def store_columns_part(typing, tile, c, start, stride, low, high, width):
    """Write rows [low, high) of the first `width` columns, transposed."""

    def build(context, builder, signature, args):
        value, array, first, step, bottom, top, across = args
        pointer = address(context, builder, c, array, first)
        return _store_columns(context, builder, tile, value, pointer, step, (bottom, top), across)

    return types.void(tile, c, *[types.int64] * 5), build
