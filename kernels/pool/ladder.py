"""The rungs of max_pool2d and avg_pool2d."""

from kernels.core.ladder import Ladder, Rung
from kernels.pool import naive, parallel, rows


def _per_tap(ns):
    """Cost in ns: so much for each tap of each window."""
    return lambda problem, direction: ns * problem.flops(direction)


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
AVG_POOL2D = _ladder("avg")
