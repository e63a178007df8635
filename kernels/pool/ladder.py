"""The rungs of max_pool2d and avg_pool2d."""

from kernels.core.ladder import Ladder, Rung
from kernels.pool import naive, parallel, register, rows


def _per_tap(ns):
    """Cost in ns: so much for each tap of each window."""
    return lambda problem, direction: ns * problem.flops(direction)


def _register(problem, direction):
    """Cost in ns: a large window at stride 1 is not unrolled, while `rows` compares along long rows.

    The gradient gains by the call that serves several planes; from 28×28 on it is a draw.
    """
    if direction == "dx":
        return (0.4 if problem.h * problem.w < 512 else 0.95) * problem.flops(direction)
    large = problem.kernel[0] * problem.kernel[1] > 9 and problem.stride[1] == 1
    return (0.3 + (0.02 * problem.ow if large else 0)) * problem.flops(direction)


def _ladder(kind):
    def run(module):
        return {
            "forward": getattr(module, f"{kind}_pool2d"),
            "dx": getattr(module, f"{kind}_dx"),
        }

    return Ladder(
        f"{kind}_pool2d",
        "pool",
        ("forward", "dx"),
        [
            Rung(
                "naive",
                "the formula: a window walked for every output, a test at every tap",
                None,
                run(naive),
                _per_tap(2.0),
            ),
            Rung(
                "rows",
                "rows before windows: one tap for a whole row of outputs",
                "naive",
                run(rows),
                _per_tap(1.0),
            ),
            Rung(
                "parallel",
                "planes over threads",
                "rows",
                run(parallel),
                _per_tap(0.9),  # never slower: where threads do not pay it is the same loop
            ),
        ],
    )


MAX_POOL2D = _ladder("max")
MAX_POOL2D.add(
    Rung(
        "register",
        "a window walked to its end, the winner in registers, no tap tested; blocks of planes over threads",
        "parallel",
        {"forward": register.max_pool2d, "dx": register.max_dx},
        _register,
    )
)
AVG_POOL2D = _ladder("avg")
