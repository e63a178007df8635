"""The rungs of matmul and linear on a CUDA device."""

from kernels.core.ladder import Ladder, Rung
from kernels.gemm.cuda import naive


def _naive(problem, direction):
    return problem.flops(direction)


def _halves(problem, direction):
    """Refuse what only tensor cores take."""
    if problem.itemsize < 4:
        return f"it sums in the arrays' own dtype, and {problem.dtype} is for tensor_core"
    return None


MATMUL = Ladder(
    "matmul",
    "gemm",
    ("forward", "da", "db"),
    [
        Rung(
            "naive",
            "the formula, one thread an element",
            None,
            dict.fromkeys(("forward", "da", "db"), naive.matmul),
            _naive,
            "cuda",
            _halves,
        ),
    ],
    "cuda",
)
