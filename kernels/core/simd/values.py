"""What Numba knows of tiles and vectors: their type, their LLVM value, and the IR that the rest is made of.

A tile is one value, an array of rows · vectors LLVM vectors; LLVM takes it apart, and each vector lives in
a register of its own for as long as the loop runs. A single vector is the tile of 1 × 1.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from kernels.core.simd.width import BITS, ROWS, VECTORS

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


class TileType(types.Type):
    """Numba's type of a tile of one dtype: the house's ROWS × VECTORS, or another shape."""

    def __init__(self, dtype: Any, rows: int = ROWS, vectors: int = VECTORS) -> None:
        self.dtype, self.rows, self.vectors = dtype, rows, vectors
        super().__init__(name=f"Tile({dtype}, {rows}, {vectors}, {BITS})")

    @property
    def count(self) -> int:
        """Vectors in all."""
        return self.rows * self.vectors


@register_model(TileType)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Any) -> None:
        super().__init__(manager, tile, ir.ArrayType(vector_of(tile.dtype), tile.count))


class MaskType(types.Type):
    """Numba's type of a comparison's answer: a bit a lane."""

    def __init__(self, rows: int, vectors: int, lanes: int) -> None:
        self.count, self.lanes = rows * vectors, lanes
        super().__init__(name=f"Mask({rows}, {vectors}, {lanes})")


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, mask: Any) -> None:
        super().__init__(manager, mask, ir.ArrayType(ir.VectorType(I1, mask.lanes), mask.count))


def vector_of(dtype: Any) -> ir.VectorType:
    """LLVM's type of one vector."""
    scalar = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(scalar, BITS // dtype.bitwidth)


def size_of(vector: Any) -> int:
    """Bytes of a lane, to which alone an address is aligned."""
    element = vector.element
    if isinstance(element, ir.IntType):
        return element.width // 8
    return 4 if element == ir.FloatType() else 8


def address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Pointer to the element `index` of a one-dimensional array, with no test and no wraparound."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


def read(builder: Any, pointer: Any, vector: Any) -> Any:
    """Load one vector from anywhere."""
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = size_of(vector)
    return value


def write(builder: Any, value: Any, pointer: Any) -> None:
    """Store one vector anywhere."""
    stored = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    stored.align = size_of(value.type)


def splat(builder: Any, scalar: Any, vector: Any) -> Any:
    """All lanes the same."""
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    lanes = ir.Constant(ir.VectorType(I32, vector.count), None)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), lanes)


def shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Pick lanes of a, then (from a's count on) of b."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


def function(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Declare one of LLVM's own functions."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def suffix(vector: Any) -> str:
    """How LLVM's functions spell a vector type."""
    kind = "i" if isinstance(vector.element, ir.IntType) else "f"
    return f"v{vector.count}{kind}{8 * size_of(vector)}"


def inside(builder: Any, low: Any, high: Any, count: int) -> Any:
    """Mask of the lanes in [low, high); `low` may be None for 0."""
    wide = ir.VectorType(I64, count)
    numbers = ir.Constant(wide, list(range(count)))
    mask = builder.icmp_signed("<", numbers, splat(builder, high, wide))
    if low is None:
        return mask
    return builder.and_(mask, builder.icmp_signed(">=", numbers, splat(builder, low, wide)))


def read_part(builder: Any, pointer: Any, vector: Any, mask: Any, rest: Any = None) -> Any:
    """Load the lanes of `mask`, `rest` (or zero) elsewhere; a lane masked off touches no memory."""
    arguments = [vector.as_pointer(), I32, mask.type, vector]
    name = f"llvm.masked.load.{suffix(vector)}.p0"
    loaded = function(builder, name, vector, arguments)
    pointer = builder.bitcast(pointer, vector.as_pointer())
    rest = ir.Constant(vector, None) if rest is None else rest
    return builder.call(loaded, [pointer, I32(size_of(vector)), mask, rest])


def write_part(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    """Store the lanes of `mask`; a lane that is masked off touches no memory."""
    vector = value.type
    arguments = [vector, vector.as_pointer(), I32, mask.type]
    name = f"llvm.masked.store.{suffix(vector)}.p0"
    stored = function(builder, name, ir.VoidType(), arguments)
    pointer = builder.bitcast(pointer, vector.as_pointer())
    builder.call(stored, [value, pointer, I32(size_of(vector)), mask])


def transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose rows (a power of two of them): the same elements, column after column.

    A perfect shuffle, first half against second half, turns the index (row, lane) by one bit; as many of
    them as the row has bits turn it into (lane, row).
    """
    count = rows[0].type.count
    half = count // 2
    low = [lane // 2 + count * (lane % 2) for lane in range(count)]
    high = [lane + half for lane in low]
    for _ in range(len(rows).bit_length() - 1):
        pairs = zip(rows[: len(rows) // 2], rows[len(rows) // 2 :])
        rows = [shuffle(builder, a, b, lanes) for a, b in pairs for lanes in (low, high)]
    return rows
