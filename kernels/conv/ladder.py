"""The rungs of conv2d."""

from kernels.conv import im2col, naive, parallel, reordered
from kernels.core.ladder import Ladder, Rung


def _rate(flops_per_ns, strided=None):
    """Cost in ns at a measured rate; `strided` where outputs do not read neighbouring inputs."""

    def cost(problem, direction):
        rate = strided if strided is not None and problem.stride[1] > 1 else flops_per_ns
        return problem.flops(direction) / rate

    return cost


def _lowered(p, direction):
    """Cost in ns: the product, and making (or adding back) each element of the column matrix."""
    columns = p.n * p.groups * p.taps * p.oh * p.ow
    return 2000 + p.flops(direction) / 30.0 + columns


CONV2D = Ladder(
    "conv2d",
    "conv",
    ("forward", "dx", "dw", "db"),
    [
        Rung(
            "naive",
            "the formula: one loop an index, a test at every tap",
            None,
            {"forward": naive.conv2d, "dx": naive.dx, "dw": naive.dw, "db": naive.db},
            _rate(1.0),
        ),
        Rung(
            "reordered",
            "rows inside, taps outside: unit stride, no test in the loop",
            "naive",
            {"forward": reordered.conv2d, "dx": reordered.dx, "dw": reordered.dw},
            _rate(8.0, 2.0),
        ),
        Rung(
            "parallel",
            "planes over threads",
            "reordered",
            {"forward": parallel.conv2d, "dx": parallel.dx, "dw": parallel.dw, "db": parallel.db},
            _rate(8.1, 2.1),  # never slower: where threads do not pay it is the same loop
        ),
        Rung(
            "im2col",
            "lowered to gemm: panels of the column matrix, made in cache",
            "parallel",
            {"forward": im2col.conv2d, "dx": im2col.dx, "dw": im2col.dw},
            _lowered,
            scratch=im2col.scratch,
        ),
    ],
)
