"""What the tile's operations become: LLVM's vector types and instructions.

A tile is one value, an array of ROWS · VECTORS vectors; LLVM takes it apart, and each vector lives in a
register of its own for as long as the loop runs. `llvm.fma` is one instruction wherever the processor
has it. Partial tiles use masked loads and stores: a lane that is masked off touches no memory.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from kernels.core.simd.width import BITS, ROWS, VECTORS

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


class TileType(types.Type):
    """Numba's type of a tile of one dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Tile({dtype}, {ROWS}, {VECTORS}, {BITS})")


def _vector(dtype: Any) -> ir.VectorType:
    scalar = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(scalar, BITS // dtype.bitwidth)


@register_model(TileType)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Any) -> None:
        super().__init__(manager, tile, ir.ArrayType(_vector(tile.dtype), ROWS * VECTORS))


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Pointer to the element `index` of a one-dimensional array, with no test and no wraparound."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def _read(builder: Any, pointer: Any, vector: Any) -> Any:
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = 4 if vector.element == ir.FloatType() else 8
    return value


def _splat(builder: Any, scalar: Any, vector: Any) -> Any:
    """All lanes the same."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    lanes = ir.Constant(ir.VectorType(I32, vector.count), None)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def _function(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _suffix(vector: Any) -> str:
    return f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"


def _places(builder: Any, pointer: Any, stride: Any, vector: Any) -> Any:
    """Yield each vector's number in the tile, row, first column, and pointer."""
    for i in range(ROWS):
        for v in range(VECTORS):
            column = v * vector.count
            yield i * VECTORS + v, i, column, builder.gep(pointer, [I64(column)])
        pointer = builder.gep(pointer, [stride])


def _masks(builder: Any, rows: Any, width: Any, vector: Any) -> Any:
    """Return a function (row, column) that gives a vector's mask: inside rows × width."""
    wide = ir.VectorType(I64, vector.count)
    numbers = ir.Constant(wide, list(range(vector.count)))
    by_column = {
        v * vector.count: builder.icmp_signed(
            "<", numbers, _splat(builder, builder.sub(width, I64(v * vector.count)), wide)
        )
        for v in range(VECTORS)
    }
    none = ir.Constant(ir.VectorType(I1, vector.count), None)

    def mask(row: int, column: int) -> Any:
        inside = builder.icmp_signed("<", I64(row), rows)
        return builder.select(inside, by_column[column], none)

    return mask


@intrinsic
def zero(typing, like):
    """A tile of zeros."""
    tile = TileType(like.dtype)

    def build(context, builder, signature, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(like), build


@intrinsic
def rows_of(typing, values, start):
    """A tile of ROWS broadcasts."""
    tile = TileType(values.dtype)

    def build(context, builder, signature, args):
        array, first = args
        vector = _vector(values.dtype)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        place = _address(context, builder, values, array, first)
        for i in range(ROWS):
            row = _splat(builder, builder.load(builder.gep(place, [I64(i)])), vector)
            for v in range(VECTORS):
                value = builder.insert_value(value, row, i * VECTORS + v)
        return value

    return tile(values, types.int64), build


@intrinsic
def relu(typing, tile):
    """Each vector compared with zero: below it zero, else (and where it is NaN) itself."""

    def build(context, builder, signature, args):
        (value,) = args
        nothing = ir.Constant(_vector(tile.dtype), None)
        for number in range(ROWS * VECTORS):
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
        vector = _vector(c.dtype)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        pointer = _address(context, builder, c, array, first)
        for number, _, _, place in _places(builder, pointer, step, vector):
            value = builder.insert_value(value, _read(builder, place, vector), number)
        return value

    return tile(c, types.int64, types.int64), build


@intrinsic
def load_part(typing, c, start, stride, rows, width):
    """Read rows × width of a tile, zero elsewhere."""
    tile = TileType(c.dtype)

    def build(context, builder, signature, args):
        array, first, step, height, across = args
        vector = _vector(c.dtype)
        mask = _masks(builder, height, across, vector)
        arguments = [vector.as_pointer(), I32, ir.VectorType(I1, vector.count), vector]
        function = _function(builder, f"llvm.masked.load.{_suffix(vector)}.p0", vector, arguments)
        value = ir.Constant(context.get_value_type(tile), ir.Undefined)
        pointer = _address(context, builder, c, array, first)
        for number, row, column, place in _places(builder, pointer, step, vector):
            place = builder.bitcast(place, vector.as_pointer())
            read = builder.call(
                function,
                [place, I32(c.dtype.bitwidth // 8), mask(row, column), ir.Constant(vector, None)],
            )
            value = builder.insert_value(value, read, number)
        return value

    return tile(c, *[types.int64] * 4), build


@intrinsic
def multiply_add(typing, tile, a, ia, b, ib):
    """One step of k: ROWS broadcasts, VECTORS loads, ROWS · VECTORS multiply-adds."""

    def build(context, builder, signature, args):
        value, a_array, a_index, b_array, b_index = args
        vector = _vector(tile.dtype)
        fma = _function(builder, f"llvm.fma.{_suffix(vector)}", vector, [vector] * 3)
        a_place = _address(context, builder, a, a_array, a_index)
        b_place = _address(context, builder, b, b_array, b_index)
        row = [
            _read(builder, builder.gep(b_place, [I64(v * vector.count)]), vector)
            for v in range(VECTORS)
        ]
        for i in range(ROWS):
            left = _splat(builder, builder.load(builder.gep(a_place, [I64(i)])), vector)
            for v in range(VECTORS):
                number = i * VECTORS + v
                total = builder.call(fma, [left, row[v], builder.extract_value(value, number)])
                value = builder.insert_value(value, total, number)
        return value

    return tile(tile, a, types.int64, b, types.int64), build


@intrinsic
def store(typing, tile, c, start, stride):
    """Write a whole tile."""

    def build(context, builder, signature, args):
        value, array, first, step = args
        vector = _vector(tile.dtype)
        pointer = _address(context, builder, c, array, first)
        for number, _, _, place in _places(builder, pointer, step, vector):
            target = builder.bitcast(place, vector.as_pointer())
            written = builder.store(builder.extract_value(value, number), target)
            written.align = c.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(tile, c, types.int64, types.int64), build


@intrinsic
def store_part(typing, tile, c, start, stride, rows, width):
    """Write rows × width of a tile."""

    def build(context, builder, signature, args):
        value, array, first, step, height, across = args
        vector = _vector(tile.dtype)
        mask = _masks(builder, height, across, vector)
        arguments = [vector, vector.as_pointer(), I32, ir.VectorType(I1, vector.count)]
        function = _function(
            builder, f"llvm.masked.store.{_suffix(vector)}.p0", ir.VoidType(), arguments
        )
        pointer = _address(context, builder, c, array, first)
        for number, row, column, place in _places(builder, pointer, step, vector):
            place = builder.bitcast(place, vector.as_pointer())
            part = builder.extract_value(value, number)
            builder.call(function, [part, place, I32(c.dtype.bitwidth // 8), mask(row, column)])
        return context.get_dummy_value()

    return types.void(tile, c, *[types.int64] * 4), build


@intrinsic
def prefetch(typing, array, index):
    """Ask for the line of an element, for reading, into the second cache; past the end it does nothing."""

    def build(context, builder, signature, args):
        place = _address(context, builder, array, *args)
        pointer = builder.bitcast(place, ir.IntType(8).as_pointer())
        function = _function(
            builder, "llvm.prefetch.p0", ir.VoidType(), [pointer.type, I32, I32, I32]
        )
        builder.call(function, [pointer, I32(0), I32(2), I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), build
