"""What `sliding` becomes: masked loads, and multiply-adds unrolled over the taps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

from kernels.core.simd.sliding import operations
from kernels.core.simd.values import (
    I32,
    I64,
    TileType,
    function,
    read_part,
    shuffle,
    splat,
    suffix,
    vector_of,
    write,
    write_part,
)


class _NotConstant(Exception):
    """An argument that must be a constant is none."""


def _constant(number: Any) -> int:
    if not isinstance(number, types.IntegerLiteral):
        raise _NotConstant
    return number.literal_value


def _stands_for(operation: Callable) -> Callable:
    """Give an operation its compiled meaning: a function of types that returns signature and code.

    An `overload` that calls an `intrinsic` would do the same; but it compiles a function more for each
    combination of types, and there are dozens: 7 s instead of 3 for a kernel of three window sizes.
    """

    def register(define: Callable) -> Callable:
        @type_callable(operation)
        def types_of(context):
            def typer(*args):
                try:
                    return define(*args)[0]
                except _NotConstant:
                    return None

            named: Any = typer
            named.pysig = inspect.signature(operation)  # its own says *args
            return named

        @lower_builtin(operation, types.VarArg(types.Any))
        def build(context, builder, signature, args):
            return define(*signature.args)[1](context, builder, signature, args)

        return define

    return register


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Pointer to an element of an array, or of what `bare` made of it."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, array).data
    return builder.gep(array, [index])


def _mask(builder: Any, lanes: Any, count: int) -> Any:
    """Turn an integer into a vector of bits."""
    narrow = builder.trunc(lanes, ir.IntType(count))
    return builder.bitcast(narrow, ir.VectorType(ir.IntType(1), count))


def _fma(builder: Any, vector: Any) -> Any:
    fma = function(builder, f"llvm.fma.{suffix(vector)}", vector, [vector] * 3)
    return lambda a, b, c: builder.call(fma, [a, b, c])


def _tile(context: Any, builder: Any, tile: Any, parts: Any) -> Any:
    """Put vectors together."""
    value = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for number, each in enumerate(parts):
        value = builder.insert_value(value, each, number)
    return value


def _parts(builder: Any, tile: Any, value: Any) -> list[Any]:
    """Take a tile apart."""
    return [builder.extract_value(value, number) for number in range(tile.count)]


def _row(builder: Any, place: Any, lanes: Any, vector: Any, taps: int, stride: int) -> Any:
    """Yield a row as each tap across sees it: every stride-th element.

    With stride 2, taps 0 and 1 are the even and the odd places of two vectors. Tap s is tap s − 2 moved by one
    lane: what comes in is the one element s − 2 behind those two.
    """
    wide = vector.count

    def read(number: int, shift: int, count: int) -> Any:
        mask = _mask(builder, builder.extract_value(lanes, number), count)
        part = ir.VectorType(vector.element, count)
        return read_part(builder, builder.gep(place, [I64(shift)]), part, mask)

    if stride == 1:
        for s in range(taps):
            yield read(s, s, wide)
        return
    both = read(0, 0, wide), read(1, wide, wide)
    seen = [shuffle(builder, *both, list(range(s, 2 * wide, 2))) for s in range(2)]
    few = min(wide, 8)  # half a vector crosses a cache line more seldom
    for s in range(taps):
        if s >= 2:
            if (s - 2) % few == 0:
                more = read(2 + (s - 2) // few, 2 * wide + s - 2, few)
                more = shuffle(builder, more, more, [lane % few for lane in range(wide)])
            moved = [*range(1, wide), wide + (s - 2) % few]
            seen.append(shuffle(builder, seen[s - 2], more, moved))
        yield seen[s]


@_stands_for(operations.taps)
def _taps(window, w, start, step):
    """A tile of broadcasts."""
    tile = TileType(w.dtype, window.count, window.count)

    def build(context, builder, signature, args):
        place = _address(context, builder, w, *args[1:3])
        parts = []
        for t in range(tile.count):
            number = builder.load(builder.gep(place, [builder.mul(I64(t), args[3])]))
            parts.append(splat(builder, number, vector_of(w.dtype)))
        return _tile(context, builder, tile, parts)

    return tile(window, w, types.int64, types.int64), build


def _all(context, builder, tile, number, value):
    scalar = context.cast(builder, value, number, tile.dtype)
    return _tile(
        context, builder, tile, [splat(builder, scalar, vector_of(tile.dtype))] * tile.count
    )


@_stands_for(operations.bare)
def _bare(a):
    """A pointer."""

    def build(context, builder, signature, args):
        return context.make_array(a)(context, builder, args[0]).data

    return types.CPointer(a.dtype)(a), build


@_stands_for(operations.ask)
def _ask(a, start):
    """A prefetch into the second cache."""

    def build(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        hint = function(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, I32, I32, I32])
        place = builder.bitcast(_address(context, builder, a, *args), byte)
        builder.call(hint, [place, I32(0), I32(2), I32(1)])
        return context.get_dummy_value()

    return types.void(a, types.int64), build


@_stands_for(operations.at_least)
def _at_least(value, floor):
    """A comparison and a choice."""

    def build(context, builder, signature, args):
        vector = vector_of(value.dtype)
        least = splat(builder, context.cast(builder, args[1], floor, value.dtype), vector)
        parts = [
            builder.select(builder.fcmp_ordered("<", each, least), least, each)
            for each in _parts(builder, value, args[0])
        ]
        return _tile(context, builder, value, parts)

    return value(value, floor), build


@_stands_for(operations.zeros)
def _zeros(like, rows, vectors):
    """A constant."""
    tile = TileType(like.dtype, rows.count, vectors.count)

    def build(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like, rows, vectors), build


@_stands_for(operations.row_of_one)
def _row_of_one(number, like):
    """A broadcast."""
    tile = TileType(like.dtype, 1, 1)

    def build(context, builder, signature, args):
        return _all(context, builder, tile, number, args[0])

    return tile(number, like), build


@_stands_for(operations.put_all)
def _put_all(tile, a, start):
    """Stores."""

    def build(context, builder, signature, args):
        place = _address(context, builder, a, *args[1:])
        for number, each in enumerate(_parts(builder, tile, args[0])):
            write(builder, each, builder.gep(place, [I64(number * each.type.count)]))
        return context.get_dummy_value()

    return types.void(tile, a, types.int64), build


@_stands_for(operations.sums_for)
def _sums_for(weights, number, stride):
    """One row of sums for each window under way."""
    tile = TileType(weights.dtype, -(-weights.rows // _constant(stride)), 1)

    def build(context, builder, signature, args):
        return _all(context, builder, tile, signature.args[1], args[1])

    return tile(weights, types.unliteral(number), stride), build


@_stands_for(operations.rows_in)
def _rows_in(tile):
    """A constant."""
    return types.int64(tile), lambda context, builder, signature, args: I64(tile.rows)


@_stands_for(operations.lanes_for)
def _lanes_for(weights, numbers, start):
    """Integers of an array as a tuple, which stays in registers."""
    result = types.UniTuple(types.int64, weights.vectors + 1)

    def build(context, builder, signature, args):
        place = _address(context, builder, numbers, args[1], args[2])
        value = ir.Constant(context.get_value_type(result), ir.Undefined)
        for t in range(result.count):
            value = builder.insert_value(value, builder.load(builder.gep(place, [I64(t)])), t)
        return value

    return result(weights, numbers, types.int64), build


@_stands_for(operations.take_row)
def _take_row(sums, weights, x, start, lanes, down, phase, across):
    """For each tap across a vector of x, for each sum that it belongs to a multiply-add."""
    u, i, v = _constant(down), _constant(phase), _constant(across)

    def build(context, builder, signature, args):
        total, w = _parts(builder, sums, args[0]), _parts(builder, weights, args[1])
        place, vector = _address(context, builder, x, *args[2:4]), vector_of(x.dtype)
        fma = _fma(builder, vector)
        for s, seen in enumerate(_row(builder, place, args[4], vector, weights.vectors, v)):
            for j in range(sums.rows):
                r = u * (sums.rows - 1 - j) + i
                if r < weights.rows:
                    total[j] = fma(seen, w[r * weights.vectors + s], total[j])
        return _tile(context, builder, sums, total)

    return sums(sums, weights, x, types.int64, lanes, down, phase, across), build


@_stands_for(operations.spread_row)
def _spread_row(sums, weights, dy, start, lanes):
    """For each pair of taps across a vector of dy, for each row two multiply-adds."""

    def build(context, builder, signature, args):
        total, w = _parts(builder, sums, args[0]), _parts(builder, weights, args[1])
        place, vector = _address(context, builder, dy, *args[2:4]), vector_of(dy.dtype)
        fma = _fma(builder, vector)
        for s in range(weights.vectors):
            if s % 2 == 0:
                mask = _mask(builder, builder.extract_value(args[4], s // 2), vector.count)
                seen = read_part(builder, builder.gep(place, [I64(-(s // 2))]), vector, mask)
            for r in range(weights.rows):
                at = r * 2 + s % 2
                total[at] = fma(seen, w[r * weights.vectors + s], total[at])
        return _tile(context, builder, sums, total)

    return sums(sums, weights, dy, types.int64, lanes), build


@_stands_for(operations.product_row)
def _product_row(sums, dy, x, start, lanes, down, phase, across):
    """For each tap across a vector of x, for each row of dy a multiply-add."""
    u, i, v = _constant(down), _constant(phase), _constant(across)

    def build(context, builder, signature, args):
        total, rows = _parts(builder, sums, args[0]), _parts(builder, dy, args[1])
        place, vector = _address(context, builder, x, *args[2:4]), vector_of(x.dtype)
        fma = _fma(builder, vector)
        for s, seen in enumerate(_row(builder, place, args[4], vector, sums.vectors, v)):
            for j in range(dy.rows):
                r = u * (dy.rows - 1 - j) + i
                if r < sums.rows:
                    at = r * sums.vectors + s
                    total[at] = fma(seen, rows[j], total[at])
        return _tile(context, builder, sums, total)

    return sums(sums, dy, x, types.int64, lanes, down, phase, across), build


@_stands_for(operations.roll)
def _roll(tile, fresh):
    """Vectors renamed."""

    def build(context, builder, signature, args):
        parts = _parts(builder, tile, args[0]) + _parts(builder, fresh, args[1])
        return _tile(context, builder, tile, parts[fresh.count :])

    return tile(tile, fresh), build


def _one(context, builder, tile, vector):
    return _tile(context, builder, TileType(tile.dtype, 1, 1), [vector])


@_stands_for(operations.part)
def _part(tile, number):
    """One vector."""
    which = _constant(number)

    def build(context, builder, signature, args):
        vector = builder.extract_value(args[0], which)
        return _one(context, builder, tile, vector)

    return TileType(tile.dtype, 1, 1)(tile, number), build


@_stands_for(operations.vector_at)
def _vector_at(a, start, lanes):
    """A masked load."""

    def build(context, builder, signature, args):
        vector = vector_of(a.dtype)
        mask = _mask(builder, args[2], vector.count)
        place = _address(context, builder, a, *args[:2])
        return _one(context, builder, a, read_part(builder, place, vector, mask))

    return TileType(a.dtype, 1, 1)(a, types.int64, types.int64), build


@_stands_for(operations.put_vector_at)
def _put_vector_at(value, a, start, lanes):
    """A masked store."""

    def build(context, builder, signature, args):
        vector = builder.extract_value(args[0], 0)
        mask = _mask(builder, args[3], vector.type.count)
        write_part(builder, vector, _address(context, builder, a, *args[1:3]), mask)
        return context.get_dummy_value()

    return types.void(value, a, types.int64, types.int64), build
