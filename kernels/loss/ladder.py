"""The rungs of the losses."""

from kernels.core.ladder import Ladder, Rung
from kernels.loss import naive, parallel


def _ladder(name):
    def run(module):
        return {"forward": getattr(module, name), "dx": getattr(module, f"{name}_dx")}

    return Ladder(
        name,
        "loss",
        ("forward", "dx"),
        [
            Rung(
                "naive",
                "the formula, one row or element at a time",
                None,
                run(naive),
                lambda problem, direction: 1.0 * problem.flops(direction),
            ),
            Rung(
                "parallel",
                "rows or chunks over threads, their sums added in order",
                "naive",
                run(parallel),
                # never slower: where threads do not pay it is the same loop
                lambda problem, direction: 0.9 * problem.flops(direction),
            ),
        ],
    )


CROSS_ENTROPY = _ladder("cross_entropy")
MSE = _ladder("mse")
