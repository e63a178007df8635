"""How the functions of `operations` become LLVM IR and PTX; each has the name of what it lowers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic

from kernels.core.cuda.conversion_lowering import WORD, float_of, narrow, widen, word_of

__all__ = ["float_of", "narrow", "widen", "word_of"]  # whose lowerings fill a file of their own


def pointer(context: Any, builder: Any, array_type: Any, array: Any, index_type: Any, index: Any):
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


def shared_address(context: Any, builder: Any, array_type: Any, array: Any, *index: Any):
    """Address of an element in shared memory, in 32 bits."""
    start = pointer(context, builder, array_type, array, *index)
    near = builder.addrspacecast(start, start.type.pointee.as_pointer(3))
    return builder.ptrtoint(near, WORD)


def _copy(source: Any, i: Any, target: Any, j: Any, count: int):
    """Load a vector of `count` elements from one array, store it into another."""

    def codegen(context, builder, signature, arguments):
        source, i, target, j = signature.args
        vector = ir.VectorType(context.get_data_type(source.dtype), count).as_pointer()
        start = pointer(context, builder, source, arguments[0], i, arguments[1])
        end = pointer(context, builder, target, arguments[2], j, arguments[3])
        value = builder.load(builder.bitcast(start, vector), align=16)
        builder.store(value, builder.bitcast(end, vector), align=16)
        return context.get_dummy_value()

    return types.void(source, i, target, j), codegen


@intrinsic
def copy1(typing, source, i, target, j):
    """Lower `operations.copy1`."""

    def codegen(context, builder, signature, arguments):
        source, i, target, j = signature.args
        start = pointer(context, builder, source, arguments[0], i, arguments[1])
        end = pointer(context, builder, target, arguments[2], j, arguments[3])
        builder.store(builder.load(start), end)
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


PACKED = {"float16": "f16x2", "uint16": "bf16x2"}


@intrinsic
def narrow2(typing, first, second, target, j):
    """Lower `operations.narrow2`."""

    def codegen(context, builder, signature, arguments):
        kind = target.dtype
        start = pointer(context, builder, target, arguments[2], j, arguments[3])
        wide = types.float64 if kind == types.float64 else types.float32
        pair = [context.cast(builder, v, t, wide) for v, t in zip(arguments, (first, second))]
        if kind.name in PACKED:  # the first operand of the instruction is the upper half
            function = ir.FunctionType(WORD, [ir.FloatType()] * 2)
            text = f"cvt.rn.{PACKED[kind.name]}.f32 $0, $2, $1;"
            word = builder.call(ir.InlineAsm(function, text, "=r,f,f", False), pair)
            builder.store(word, builder.bitcast(start, WORD.as_pointer()), align=4)
            return context.get_dummy_value()
        vector = ir.VectorType(context.get_data_type(kind), 2)
        value = ir.Constant(vector, ir.Undefined)
        for place, element in enumerate(pair):
            value = builder.insert_element(value, element, WORD(place))
        align = kind.bitwidth // 4
        builder.store(value, builder.bitcast(start, vector.as_pointer()), align=align)
        return context.get_dummy_value()

    return types.void(first, second, target, j), codegen


@intrinsic
def load_run(typing, source, i, step, inside, target, j, count):
    """Lower `operations.load_run`."""
    if not isinstance(count, types.IntegerLiteral):
        return None  # Numba then comes again with the literal
    size = source.dtype.bitwidth // 8
    wide = ir.IntType(64)
    kind = ir.FunctionType(WORD, [wide, WORD])

    def codegen(context, builder, signature, arguments):
        start = pointer(context, builder, source, arguments[0], i, arguments[1])
        far = builder.ptrtoint(builder.addrspacecast(start, start.type.pointee.as_pointer(1)), wide)
        apart = builder.mul(context.cast(builder, arguments[2], step, types.int64), wide(size))
        last = context.cast(builder, arguments[3], inside, types.int32)
        end = pointer(context, builder, target, arguments[4], j, arguments[5])
        for e in range(count.literal_value):
            text = (
                f"{{ .reg .pred p; setp.gt.s32 p, $2, {e}; mov.b32 $0, 0; "
                f"@p ld.global.{'u16' if size == 2 else 'b32'} $0, [$1]; }}"
            )
            # with a side effect, so that it is issued here, well before its words are used
            load = ir.InlineAsm(kind, text, "=&r,l,r", side_effect=True)
            builder.store(builder.call(load, [far, last]), builder.gep(end, [WORD(e)]))
            far = builder.add(far, apart)
        return context.get_dummy_value()

    return types.void(source, i, step, inside, target, j, count), codegen


@intrinsic
def copy_async(typing, source, i, target, j, inside):
    """Lower `operations.copy_async`."""

    def codegen(context, builder, signature, arguments):
        start = pointer(context, builder, source, arguments[0], i, arguments[1])
        far = builder.addrspacecast(start, start.type.pointee.as_pointer(1))
        place = shared_address(context, builder, target, arguments[2], j, arguments[3])
        chosen = context.cast(builder, arguments[4], inside, types.boolean)
        count = builder.select(chosen, WORD(16), WORD(0))
        kind = ir.FunctionType(ir.VoidType(), [WORD, ir.IntType(64), WORD])
        text = "cp.async.cg.shared.global [$0], [$1], 16, $2;"
        copy = ir.InlineAsm(kind, text, "r,l,r,~{memory}", side_effect=True)
        builder.call(copy, [place, builder.ptrtoint(far, ir.IntType(64)), count])
        return context.get_dummy_value()

    return types.void(source, i, target, j, inside), codegen


def _order(context: Any, builder: Any, text: str) -> Any:
    """An instruction without operands, which no access to memory may pass."""
    kind = ir.FunctionType(ir.VoidType(), [])
    builder.call(ir.InlineAsm(kind, text, "~{memory}", side_effect=True), [])
    return context.get_dummy_value()


@intrinsic
def commit_copies(typing):
    """Lower `operations.commit_copies`."""

    def codegen(context, builder, signature, arguments):
        return _order(context, builder, "cp.async.commit_group;")

    return types.void(), codegen


@intrinsic
def wait_copies(typing, pending):
    """Lower `operations.wait_copies`."""
    if not isinstance(pending, types.IntegerLiteral):
        return None  # Numba then comes again with the literal
    text = f"cp.async.wait_group {pending.literal_value};"

    def codegen(context, builder, signature, arguments):
        return _order(context, builder, text)

    return types.void(pending), codegen


@intrinsic
def flat(typing, array):
    """Lower `operations.flat`."""
    result = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, arguments):
        view = context.make_array(array)(context, builder, arguments[0])
        made = context.make_array(result)(context, builder)
        context.populate_array(
            made,
            data=view.data,
            shape=[view.nitems],
            strides=[view.itemsize],
            itemsize=view.itemsize,
            meminfo=None,
        )
        return made._getvalue()

    return result(array), codegen


_REGISTERS = {16: ("h", "b16"), 32: ("f", "f32"), 64: ("d", "f64")}  # bits: constraint, type in PTX


@intrinsic
def read_where(typing, array, index, condition):
    """Lower `operations.read_where`."""

    def codegen(context, builder, signature, arguments):
        array, index, _ = signature.args
        start = pointer(context, builder, array, arguments[0], index, arguments[1])
        there = builder.addrspacecast(start, start.type.pointee.as_pointer(1))
        bits = array.dtype.bitwidth
        constraint, kind = _REGISTERS[bits]
        held = ir.IntType(16) if bits == 16 else context.get_data_type(array.dtype)
        taken = ir.FunctionType(held, [ir.IntType(64), WORD])
        text = (
            "{ .reg .pred p; setp.ne.u32 p, $2, 0; "
            + f"mov.{kind} $0, {'0' if bits == 16 else '0f00000000' if bits == 32 else '0d0000000000000000'}; "
            + f"@p ld.global.nc.{kind} $0, [$1]; }}"
        )
        asm = ir.InlineAsm(taken, text, f"=&{constraint},l,r", side_effect=False)
        flag = builder.zext(arguments[2], WORD)
        value = builder.call(asm, [builder.ptrtoint(there, ir.IntType(64)), flag])
        return builder.bitcast(value, context.get_data_type(array.dtype))

    return array.dtype(array, index, condition), codegen


@intrinsic
def quotient(typing, a, b):
    """Lower `operations.quotient`."""

    def codegen(context, builder, signature, arguments):
        a, b = (
            context.cast(builder, value, kind, types.uint32)
            for value, kind in zip(arguments, signature.args)
        )
        return builder.udiv(a, b)

    return types.int32(a, b), codegen
