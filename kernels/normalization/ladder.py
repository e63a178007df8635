"""The rungs of the five normalisations: two sets of loops under five names."""

from kernels.core.ladder import Ladder, Rung
from kernels.normalization import naive, parallel, vectors, welford
from kernels.normalization.pieces import PARTS


def _per_element(ns):
    """Cost in ns: so much for each element."""
    return lambda problem, direction: ns * problem.size


def _totals(problem, direction):
    """Elements of what dweight and dbias are added up in: those of rows, or of each image's channels."""
    if direction == "forward" or (problem.batch and direction != "dbias"):
        return 0
    if problem.s == 1:
        return 2 * problem.c * PARTS
    return 1 if direction == "dbias" else 2 * problem.c * max(1, problem.n)


def _run(module, kind, directions):
    loops = {
        "forward": f"{kind}_norm",
        "dx": f"{kind}_dx",
        "dweight": f"{kind}_dw",
        "dbias": "bias_sums",
    }
    return {direction: getattr(module, loops[direction]) for direction in directions}


def _ladder(name):
    kind = "batch" if name == "batch_norm" else "group"
    directions = ("forward", "dx", "dweight", "dbias")[: 3 if name == "rms_norm" else 4]
    rungs = [
        Rung(
            "naive",
            "the formula: the mean, the variance about it, then each element",
            None,
            _run(naive, kind, directions),
            _per_element(3.0),
        ),
        Rung(
            "welford",
            "mean and variance in one pass, each element moving both",
            "naive",
            _run(welford, kind, ("forward",)),
            _per_element(6.0),
        ),
        Rung(
            "vectors",
            "a set at a time, in vectors, all of its passes while it is in cache",
            "naive",
            _run(vectors, kind, directions),
            _per_element(0.3),
            scratch=_totals,
        ),
        Rung(
            "parallel",
            "pieces over threads",
            "vectors",
            _run(parallel, kind, directions),
            _per_element(0.29),  # never slower: where threads do not pay it is the same loop
            scratch=_totals,
        ),
    ]
    if name == "rms_norm":
        del rungs[1]  # no mean: its one pass is no news
    return Ladder(name, "normalization", directions, rungs)


LADDERS = {
    name: _ladder(name)
    for name in ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm")
}
