"""Small arrays on the stack: sums that a loop may keep in registers.

`np.empty` asks the heap for memory, and for all the compiler knows, whatever is stored through another
array may change what lies there: so a loop that adds to it loads and stores each sum at every step. An
array on the function's own stack has no other name. Once the loop is in vectors, the compiler moves such
an array to registers for as long as the loop runs, and back to memory after it.

The array dies with the function that made it: it may be read, written, sliced and handed to functions
that are called, never returned or kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

ALIGNMENT = 64  # bytes: a register of AVX-512


def empty(size: int, like: np.ndarray) -> np.ndarray:
    """Return an uninitialised vector of `size` elements, a constant, of the array's dtype."""
    return np.empty(size, like.dtype)


@type_callable(empty)
def _type_of(context: Any) -> Any:
    def typer(size, like):
        if isinstance(size, types.IntegerLiteral) and isinstance(like, types.Array):
            return types.Array(like.dtype, 1, "C")

    return typer


@lower_builtin(empty, types.IntegerLiteral, types.Array)
def _in_frame(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Room in the frame of the calling function: made once, however often the line is run."""
    array = signature.return_type
    count = signature.args[0].literal_value
    element = context.get_data_type(array.dtype)
    data = cgutils.alloca_once(builder, element, size=ir.Constant(ir.IntType(64), count))
    data.align = ALIGNMENT
    width = context.get_constant(types.intp, array.dtype.bitwidth // 8)
    value = context.make_array(array)(context, builder)
    shape = [context.get_constant(types.intp, count)]
    context.populate_array(
        value, data=data, shape=shape, strides=[width], itemsize=width, meminfo=None
    )
    return value._getvalue()
