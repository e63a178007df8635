"""The rungs of the five normalisations: two sets of loops under five names."""

from kernels.core.ladder import Ladder, Rung
from kernels.normalization import naive, welford


def _per_element(ns):
    """Cost in ns: so much for each element."""
    return lambda problem, direction: ns * problem.size


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
            "the formula: mean, variance about it, each element",
            None,
            _run(naive, kind, directions),
            _per_element(3.0),
        )
    ]
    if name != "rms_norm":
        rungs.append(
            Rung(
                "welford",
                "mean and variance in one pass, each element moving both",
                "naive",
                _run(welford, kind, ("forward",)),
                _per_element(6.0),
            )
        )
    return Ladder(name, "normalization", directions, rungs)


LADDERS = {
    name: _ladder(name)
    for name in ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm")
}
