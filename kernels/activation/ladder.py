"""The rungs of the activations, and what they cost."""

from kernels.activation import naive
from kernels.activation.spread import Spread, Whole
from kernels.core import threads
from kernels.core.ladder import Ladder, Rung

# ns an element of float32 (4096×1024, one core of a Zen 4): (forward, dx) of `naive`, of `vectorised`
COSTS = {
    "relu": ((0.18, 0.31), (0.15, 0.21)),
    "leaky_relu": ((0.18, 0.31), (0.15, 0.21)),
    "exp": ((3.4, 0.32), (0.17, 0.21)),
    "sigmoid": ((3.7, 0.31), (0.25, 0.22)),
    "tanh": ((24.0, 0.31), (0.27, 0.22)),
    "silu": ((4.6, 5.0), (0.30, 0.44)),
    "gelu": ((11.0, 15.0), (0.50, 0.55)),
    "softmax": ((9.0, 1.0), (0.32, 0.23)),
    "log_softmax": ((6.5, 6.2), (0.40, 0.27)),
}


def _per_element(name, vectors):
    """Cost in ns: so much for each element."""

    def cost(problem, direction):
        return COSTS[name][vectors][direction == "dx"] * problem.size

    return cost


def _spread(name):
    """The same over threads: cheaper where the work is worth waking them, and dearer by a call where not."""
    alone = _per_element(name, True)

    def cost(problem, direction):
        worth = problem.work(direction) >= threads.GRAIN
        return alone(problem, direction) * 0.6 if worth else alone(problem, direction) + 1e3

    return cost


def _ladder(name):
    def run(form):
        return {"forward": form(name), "dx": form(f"{name}_dx")}

    return Ladder(
        name,
        "activation",
        ("forward", "dx"),
        [
            Rung(
                "naive",
                "the formula, element by element",
                None,
                run(lambda each: getattr(naive, each)),
                _per_element(name, False),
            ),
            Rung(
                "vectorised",
                "branch-free formulas on whole vectors, no call of the C library",
                "naive",
                run(Whole),
                _per_element(name, True),
            ),
            Rung(
                "parallel",
                "chunks or groups of rows over threads",
                "vectorised",
                run(Spread),
                _spread(name),
            ),
        ],
    )


LADDERS = {name: _ladder(name) for name in COSTS}
