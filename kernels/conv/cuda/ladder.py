"""The rungs of conv2d on a CUDA device."""

from kernels.conv.cuda import costs, depthwise, implicit_gemm, naive, shared, tensor_core
from kernels.core.cuda import choices
from kernels.core.cuda.compiler import lowered
from kernels.core.ladder import Ladder, Rung

CONV2D = Ladder(
    "conv2d",
    "conv",
    ("forward", "dx", "dw", "db"),
    [
        Rung(
            "naive",
            "the formula, one thread an element",
            None,
            {"forward": naive.conv2d, "dx": naive.dx, "dw": naive.dw, "db": naive.db},
            costs.naive,
            "cuda",
            choices.halves,
        ),
        Rung(
            "shared",
            "a patch and a few filters wait in shared memory, 16 sums in a thread's registers",
            "naive",
            {"forward": shared.conv2d, "dx": shared.dx, "dw": shared.dw, "db": shared.db},
            costs.shared,
            "cuda",
            lowered(shared.refuses),
            shared.scratch,
        ),
        Rung(
            "implicit_gemm",
            "a matrix product in register tiles, whose column matrix is gathered from x and never made",
            "shared",
            {"forward": implicit_gemm.conv2d, "dx": implicit_gemm.dx, "dw": implicit_gemm.dw},
            costs.implicit_gemm,
            "cuda",
            lowered(implicit_gemm.refuses),
            implicit_gemm.scratch,
        ),
        Rung(
            "depthwise",
            "a channel a group: strips of a column, with rows, sums and filter in registers",
            "naive",
            {"forward": depthwise.conv2d, "dx": depthwise.dx, "dw": depthwise.dw},
            costs.depthwise,
            "cuda",
            lowered(depthwise.refuses),
            depthwise.scratch,
        ),
        Rung(
            "tensor_core",
            "implicit GEMM in tiles that a warp multiplies at once; sums in float32, float32 read as TF32",
            "implicit_gemm",
            {"forward": tensor_core.conv2d, "dx": tensor_core.dx, "dw": tensor_core.dw},
            tensor_core.cost,
            "cuda",
            lowered(tensor_core.refuses),
            tensor_core.scratch,
            growth=tensor_core.growth,
        ),
    ],
    "cuda",
)
