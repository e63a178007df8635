"""How the functions of `operations` become LLVM IR and PTX; each has the name of what it lowers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index_type: Any, index: Any):
    """Address of an element, without Numba's care for negative indices."""
    view = context.make_array(array_type)(context, builder, array)
    if isinstance(index_type, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, index, len(index_type))
        kinds = (
            index_type.types if hasattr(index_type, "types") else [index_type.dtype] * len(parts)
        )
    else:
        parts, kinds = [index], [index_type]
    parts = [context.cast(builder, p, k, types.intp) for p, k in zip(parts, kinds)]
    return cgutils.get_item_pointer(context, builder, array_type, view, parts, wraparound=False)


def _copy(source: Any, i: Any, target: Any, j: Any, count: int):
    """Load a vector of `count` elements from one array, store it into another."""

    def codegen(context, builder, signature, arguments):
        source, i, target, j = signature.args
        vector = ir.VectorType(context.get_data_type(source.dtype), count).as_pointer()
        start = _pointer(context, builder, source, arguments[0], i, arguments[1])
        end = _pointer(context, builder, target, arguments[2], j, arguments[3])
        value = builder.load(builder.bitcast(start, vector), align=16)
        builder.store(value, builder.bitcast(end, vector), align=16)
        return context.get_dummy_value()

    return types.void(source, i, target, j), codegen


@intrinsic
def copy4(typing, source, i, target, j):
    """Lower `operations.copy4`."""
    return _copy(source, i, target, j, 4)


@intrinsic
def copy16(typing, source, i, target, j):
    """Lower `operations.copy16`."""
    return _copy(source, i, target, j, 16 // (source.dtype.bitwidth // 8))
