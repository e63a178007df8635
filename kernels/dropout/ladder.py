"""The rungs of dropout; forward and gradient are one loop."""

from kernels.core.ladder import Ladder, Rung
from kernels.dropout import naive, parallel

DROPOUT = Ladder(
    "dropout",
    "dropout",
    ("forward", "dx"),
    [
        Rung(
            "naive",
            "one counter, four random words, four elements",
            None,
            {"forward": naive.dropout, "dx": naive.dropout},
            lambda problem, direction: 4.0 * problem.size,
        ),
        Rung(
            "parallel",
            "counters over threads",
            "naive",
            {"forward": parallel.dropout, "dx": parallel.dropout},
            lambda problem, direction: 3.9 * problem.size,  # never slower than the same loop
        ),
    ],
)
