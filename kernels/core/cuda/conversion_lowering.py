"""Lowerings of what `operations` does to a number: 16-bit elements and sums, floats and their bits."""

from __future__ import annotations

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from kernels.core.cuda.compiler import cuda, standing_for

WORD = ir.IntType(32)


def compiled_for() -> tuple[int, int]:
    """Compute capability that the function at hand is compiled for."""
    return standing_for() or tuple(cuda.get_current_device().compute_capability)


@intrinsic
def widen(typing, x):
    """Lower `operations.widen`."""
    halves = x in (types.float16, types.uint16)
    result = types.float32 if halves else x

    def codegen(context, builder, signature, arguments):
        if x == types.uint16:
            bits = builder.shl(builder.zext(arguments[0], WORD), WORD(16))
            return builder.bitcast(bits, ir.FloatType())
        return context.cast(builder, arguments[0], x, result)

    return result(x), codegen


@intrinsic
def narrow(typing, value, array):
    """Lower `operations.narrow`."""
    kind = array.dtype

    def codegen(context, builder, signature, arguments):
        if kind != types.uint16:
            return context.cast(builder, arguments[0], value, kind)
        wide = context.cast(builder, arguments[0], value, types.float32)
        if compiled_for() >= (8, 0):
            kind16 = ir.FunctionType(ir.IntType(16), [ir.FloatType()])
            text = "cvt.rn.bf16.f32 $0, $1;"
            return builder.call(ir.InlineAsm(kind16, text, "=h,f", False), [wide])
        bits = builder.bitcast(wide, WORD)
        odd = builder.and_(builder.lshr(bits, WORD(16)), WORD(1))
        rounded = builder.add(bits, builder.add(odd, WORD(0x7FFF)))
        nan = builder.fcmp_unordered("uno", wide, wide)
        bits = builder.select(nan, WORD(0x7FFF0000), rounded)
        return builder.trunc(builder.lshr(bits, WORD(16)), ir.IntType(16))

    return kind(value, array), codegen


@intrinsic
def word_of(typing, value):
    """Lower `operations.word_of`."""

    def codegen(context, builder, signature, arguments):
        single = context.cast(builder, arguments[0], value, types.float32)
        return builder.bitcast(single, WORD)

    return types.uint32(value), codegen


@intrinsic
def float_of(typing, word):
    """Lower `operations.float_of`."""

    def codegen(context, builder, signature, arguments):
        bits = context.cast(builder, arguments[0], word, types.uint32)
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(word), codegen
