"""The rungs of the activations."""

from kernels.activation import naive, parallel
from kernels.core.ladder import Ladder, Rung


def _per_element(ns):
    """Cost in ns: so much for each element."""
    return lambda problem, direction: ns * problem.size


def _ladder(name):
    def run(module):
        return {"forward": getattr(module, name), "dx": getattr(module, f"{name}_dx")}

    return Ladder(
        name,
        "activation",
        ("forward", "dx"),
        [
            Rung("naive", "the formula, element by element", None, run(naive), _per_element(1.0)),
            Rung(
                "parallel",
                "chunks or rows over threads",
                "naive",
                run(parallel),
                _per_element(0.9),  # never slower: where threads do not pay it is the same loop
            ),
        ],
    )


LADDERS = {name: _ladder(name) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")}
