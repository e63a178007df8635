"""What `meeting` becomes in compiled code: atomic instructions on 64-bit words, sequentially consistent."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.core.simd.width import X86

APART = 8  # words from one counter to the next: a cache line

_WORD = ir.IntType(64)


def _place(context: Any, builder: Any, array_type: Any, array: Any, number: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    words = builder.bitcast(data, _WORD.as_pointer())
    return builder.gep(words, [builder.mul(number, _WORD(APART))])


@intrinsic
def add(typing, counters, number, amount):
    """Add, and return what the counter was."""

    def build(context, builder, signature, args):
        place = _place(context, builder, counters, args[0], args[1])
        return builder.atomic_rmw("add", place, args[2], "seq_cst")

    return types.int64(counters, types.int64, types.int64), build


@intrinsic
def read(typing, counters, number):
    """The counter now."""

    def build(context, builder, signature, args):
        place = _place(context, builder, counters, *args)
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(counters, types.int64), build


@intrinsic
def swap(typing, counters, number, old, new):
    """Whether the counter was `old`, and is now `new`."""

    def build(context, builder, signature, args):
        place = _place(context, builder, counters, args[0], args[1])
        pair = builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(counters, types.int64, types.int64, types.int64), build


@intrinsic
def pause(typing):
    """A hint to the core, where it has one."""

    def build(context, builder, signature, args):
        if X86:
            void = ir.FunctionType(ir.VoidType(), [])
            hint = cgutils.get_or_insert_function(builder.module, void, "llvm.x86.sse2.pause")
            builder.call(hint, [])
        return context.get_dummy_value()

    return types.void(), build
