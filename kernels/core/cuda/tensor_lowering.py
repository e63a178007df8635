"""How the functions of `tensor` become inline PTX; each has the name of what it lowers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from kernels.core.cuda.lowering import pointer, shared_address

WORD, FLOAT = ir.IntType(32), ir.FloatType()
# a warp's threads go through these together: nothing may be moved under a condition of its own
TOGETHER = ("convergent", "nounwind")

SHAPES = {
    "float16": ("m16n8k16", "f16"),
    "uint16": ("m16n8k16", "bf16"),
    "float32": ("m16n8k8", "tf32"),
}


def _ahead(builder: Any, start: Any, step: int) -> Any:
    return builder.gep(start, [WORD(step)])


def _ldmatrix(source: Any, i: Any, target: Any, j: Any, text: str):
    """Give one row's address, receive a word of each of four matrices."""

    def codegen(context, builder, signature, arguments):
        row = shared_address(context, builder, source, arguments[0], i, arguments[1])
        end = pointer(context, builder, target, arguments[2], j, arguments[3])
        kind = ir.FunctionType(ir.LiteralStructType([WORD] * 4), [WORD])
        load = ir.InlineAsm(kind, text, "=r,=r,=r,=r,r,~{memory}", side_effect=True)
        words = builder.call(load, [row], attrs=TOGETHER)
        for step in range(4):
            builder.store(builder.extract_value(words, step), _ahead(builder, end, step))
        return context.get_dummy_value()

    return types.void(source, i, target, j), codegen


@intrinsic
def ldmatrix(typing, source, i, target, j):
    """Lower `tensor.ldmatrix`."""
    text = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0, $1, $2, $3}, [$4];"
    return _ldmatrix(source, i, target, j, text)


@intrinsic
def ldmatrix_transposed(typing, source, i, target, j):
    """Lower `tensor.ldmatrix_transposed`."""
    text = "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {$0, $1, $2, $3}, [$4];"
    return _ldmatrix(source, i, target, j, text)


@intrinsic
def tf32(typing, x):
    """Lower `tensor.tf32`."""

    def codegen(context, builder, signature, arguments):
        value = arguments[0]
        if isinstance(x, types.Integer):
            value = builder.bitcast(context.cast(builder, value, x, types.uint32), FLOAT)
        rounding = ir.InlineAsm(
            ir.FunctionType(WORD, [FLOAT]), "cvt.rna.tf32.f32 $0, $1;", "=r,f", side_effect=False
        )
        return builder.call(rounding, [value], attrs=("nounwind",))

    return types.uint32(x), codegen


@intrinsic
def mma(typing, like, a, i, b, j, c, k):
    """Lower `tensor.mma`."""
    shape, kind = SHAPES[like.dtype.name]
    text = (
        f"mma.sync.aligned.{shape}.row.col.f32.{kind}.{kind}.f32 {{$0, $1, $2, $3}}, "
        "{$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};"
    )

    def codegen(context, builder, signature, arguments):
        _, a_value, i_value, b_value, j_value, c_value, k_value = arguments
        starts = [
            (pointer(context, builder, a, a_value, i, i_value), 4),
            (pointer(context, builder, b, b_value, j, j_value), 2),
            (pointer(context, builder, c, c_value, k, k_value), 4),
        ]
        values = [
            builder.load(_ahead(builder, start, step)) for start, n in starts for step in range(n)
        ]
        kinds = [WORD] * 6 + [FLOAT] * 4
        constraints = ",".join(["=f"] * 4 + ["r"] * 6 + ["f"] * 4)
        multiply = ir.InlineAsm(
            ir.FunctionType(ir.LiteralStructType([FLOAT] * 4), kinds), text, constraints, False
        )
        sums = builder.call(multiply, values, attrs=TOGETHER)
        for step in range(4):
            builder.store(builder.extract_value(sums, step), _ahead(builder, starts[2][0], step))
        return context.get_dummy_value()

    return types.void(like, a, i, b, j, c, k), codegen
