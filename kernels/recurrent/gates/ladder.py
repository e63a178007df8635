"""The rungs of one step's gates, and what they cost."""

from kernels.core import threads
from kernels.core.ladder import Ladder, Rung
from kernels.recurrent.gates import naive
from kernels.recurrent.gates.parallel import Spread, Whole

# ns a unit of float32 (256×1024, one core of a Zen 4), forward and backward: of `naive`, of `vectorised`
COSTS = {
    "lstm": ((64.0, 23.0), (1.2, 1.2)),
    "gru": ((40.0, 6.4), (1.5, 1.3)),
    "rnn": ((16.0, 0.15), (0.27, 0.14)),
}


def _per_unit(kind, vectors):
    """Cost in ns: so much for each unit."""

    def cost(problem, direction):
        return COSTS[kind][vectors][direction == "backward"] * problem.size

    return cost


def _spread(kind):
    """The same over threads: cheaper where the work is worth waking them, and dearer by a call where not."""
    alone = _per_unit(kind, True)

    def cost(problem, direction):
        worth = problem.work(direction) >= threads.GRAIN
        return alone(problem, direction) * (0.6 if worth else 1) + 500

    return cost


def _ladder(kind):
    def run(form):
        return {"forward": form(kind), "backward": form(f"{kind}_dz")}

    return Ladder(
        f"{kind}_gates",
        "recurrent",
        ("forward", "backward"),
        [
            Rung(
                "naive",
                "the formula, unit by unit",
                None,
                run(lambda each: getattr(naive, each)),
                _per_unit(kind, False),
            ),
            Rung(
                "vectorised",
                "whole vectors of each gate, branch-free, nothing written before it is used",
                "naive",
                run(Whole),
                _per_unit(kind, True),
            ),
            Rung(
                "parallel",
                "pieces of rows over threads",
                "vectorised",
                run(Spread),
                _spread(kind),
            ),
        ],
    )


LADDERS = {kind: _ladder(kind) for kind in COSTS}
