"""The rungs of the pooling functions."""

import numpy as np

from kernels.core import threads
from kernels.core.ladder import Ladder, Rung
from kernels.pool import adaptive, adaptive_rows, naive, parallel, register, rows, unpool


def _per_tap(ns):
    """Cost in ns: so much for each tap of each window."""
    return lambda problem, direction: ns * problem.flops(direction)


def _register(problem, direction):
    """Cost in ns: from a stride of 3 on, columns are read and written one by one."""
    return (0.15 if problem.stride[1] <= 2 else 0.7) * problem.flops(direction)


def _register_refuses(problem, direction):
    """Why `register` cannot do it: a float32 must hold every number of a tap, a root must be one."""
    (rows_, columns), (down, across) = problem.kernel, problem.dilation
    reach = down * (rows_ - 1) * problem.w + across * (columns - 1)
    if problem.dtype == np.float32 and reach >= register.EXACT:
        return f"a window spans {reach} elements of a plane, and {register.EXACT} are too many"
    if problem.power not in (None, 2):
        return f"its power is 2, not {problem.power}"
    return None


def _room(problem, direction):
    needed = register.forward_room if direction == "forward" else register.gradient_room
    return threads.most(), needed(problem)


def _windows(kind):
    def run(module):
        return {"forward": getattr(module, f"{kind}_pool2d"), "dx": getattr(module, f"{kind}_dx")}

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
                "rows before windows: folded down into one row, then along it",
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
            Rung(
                "register",
                "vectors: every value read once, folded in registers, no tap tested",
                "parallel",
                run(register),
                _register,
                refuses=_register_refuses,
                scratch=_room,
            ),
        ],
    )


def _adaptive(kind):
    def run(module):
        return {"forward": getattr(module, f"{kind}_pool2d"), "dx": getattr(module, f"{kind}_dx")}

    return Ladder(
        f"adaptive_{kind}_pool2d",
        "pool",
        ("forward", "dx"),
        [
            Rung(
                "naive",
                "the formula: a window walked for every output",
                None,
                run(adaptive),
                _per_tap(2.0),
            ),
            Rung(
                "rows",
                "rows folded down, then stretches along; planes over threads",
                "naive",
                run(adaptive_rows),
                _per_tap(0.5),
            ),
        ],
    )


MAX_POOL2D, AVG_POOL2D, LP_POOL2D = (_windows(kind) for kind in ("max", "avg", "lp"))
ADAPTIVE_AVG_POOL2D, ADAPTIVE_MAX_POOL2D = (_adaptive(kind) for kind in ("avg", "max"))
MAX_UNPOOL2D = Ladder(
    "max_unpool2d",
    "pool",
    ("forward", "dx"),
    [
        Rung(
            "naive",
            "the formula: each value to its place",
            None,
            {"forward": unpool.max_unpool2d, "dx": unpool.max_unpool2d_dx},
            _per_tap(1.0),
        ),
        Rung(
            "parallel",
            "planes over threads",
            "naive",
            {"forward": unpool.parallel, "dx": unpool.parallel_dx},
            _per_tap(0.9),
        ),
    ],
)
