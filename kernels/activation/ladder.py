"""The rungs of the activations, and what they cost."""

from kernels.activation import naive
from kernels.activation.spread import Spread, Whole
from kernels.core import threads
from kernels.core.ladder import Ladder, Rung

# ns an element of float32 on a Zen 4 with AVX-512, from the second cache: (forward, dx), `naive` and `vectorised`
COSTS = {
    "relu": ((0.06, 0.06), (0.04, 0.06)),
    "leaky_relu": ((0.07, 0.07), (0.04, 0.06)),
    "exp": ((3.0, 0.07), (0.18, 0.06)),
    "sigmoid": ((5.0, 0.1), (0.25, 0.06)),
    "tanh": ((7.0, 0.1), (0.28, 0.07)),
    "silu": ((5.0, 8.0), (0.3, 0.4)),
    "gelu": ((12.0, 16.0), (0.56, 0.58)),
    "softmax": ((4.0, 1.5), (0.25, 0.1)),
    "log_softmax": ((4.0, 4.0), (0.25, 0.3)),
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
