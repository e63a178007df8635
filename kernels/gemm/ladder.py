"""The rungs of matmul, and of linear, which is three of its products and a bias."""

from functools import partial

from kernels.core import simd, threads
from kernels.core.ladder import Ladder, Rung
from kernels.gemm import blocked, microkernel, naive, parallel, reordered


def _rate(flops_per_ns, transposed_b=None):
    """Cost in ns at a measured rate; `transposed_b` where B read transposed has another."""

    def cost(problem, direction):
        slow = transposed_b is not None and problem.transpose_b
        return problem.flops() / (transposed_b if slow else flops_per_ns)

    return cost


def _packing(flops_per_ns):
    """Cost in ns: the product at its rate, and the packing of both panels for each block of C."""

    def cost(p, direction):
        down, across = -(-p.m // blocked.BM), -(-p.n // blocked.BN)
        packed = p.batch * p.k * (p.m * across + p.n * down)
        return 8000 + p.flops() / flops_per_ns + packed

    return cost


def _panels(problem, direction):
    return blocked.PANELS


def _panels_each(problem, direction):
    return blocked.PANELS * max(1, parallel.parts(problem.batch, problem.m, problem.n))


def _tile(p, direction):
    """Cost in ns: whole tiles at their rate, the packing, and two regions for each BK of each matrix."""
    width = simd.columns_of(p.dtype)
    tiles = -(-p.m // simd.ROWS) * -(-p.n // width)
    flops = 2 * tiles * simd.ROWS * width * p.k
    rate = 0.6 * simd.BITS * 4 / p.itemsize  # about 300 FLOPs in a ns for float32 and 512 bits
    packed = 0.5 * p.k * (p.m + p.n)
    return p.batch * (20000 + 5000 * (p.k // microkernel.BK) + flops / rate + packed)


MATMUL = Ladder(
    "matmul",
    "gemm",
    ("forward", "da", "db"),
    [
        Rung(
            "naive",
            "the formula: a row of A against a column of B",
            None,
            dict.fromkeys(("forward", "da", "db"), naive.matmul),
            _rate(1.0, 10.0),
        ),
        Rung(
            "reordered",
            "unit stride: j innermost, so rows of B and C are read along",
            "naive",
            dict.fromkeys(("forward", "da", "db"), reordered.matmul),
            _rate(20.0, 15.0),
        ),
        Rung(
            "blocked",
            "panels packed for the caches; eight multiplies a visit to C",
            "reordered",
            dict.fromkeys(("forward", "da", "db"), blocked.matmul),
            _packing(36.0),
            scratch=_panels,
        ),
        Rung(
            "parallel",
            "blocks of C over threads",
            "blocked",
            dict.fromkeys(("forward", "da", "db"), parallel.matmul),
            _packing(
                37.0
            ),  # never slower than blocked: where threads do not pay it is the same loop
            scratch=_panels_each,
        ),
        Rung(
            "microkernel",
            "C in tiles that stay in registers, fed from packed panels",
            "parallel",
            dict.fromkeys(("forward", "da", "db"), microkernel.matmul),
            _tile,
            scratch=microkernel.scratch,
        ),
    ],
)


def _forward(kernel, x, w, b, relu, y, *scratch):
    work = 2 * x.shape[0] * x.shape[1] * w.shape[0]
    threads.run(kernel, (x[None], w[None], False, True, y[None], *scratch), work)
    naive.bias_relu(y, b, relu)


def _dx(kernel, dy, w, dx, *scratch):
    work = 2 * dy.shape[0] * dy.shape[1] * w.shape[1]
    threads.run(kernel, (dy[None], w[None], False, False, dx[None], *scratch), work)


def _dw(kernel, dy, x, dw, *scratch):
    work = 2 * dy.shape[0] * dy.shape[1] * x.shape[1]
    threads.run(kernel, (dy[None], x[None], True, False, dw[None], *scratch), work)


def _linear(rung):
    """Make linear's rung from matmul's: the same loop, given the operands in three ways."""
    kernel = rung.run["forward"]
    sums = naive.column_sums if rung.name == "naive" else reordered.column_sums
    return Rung(
        rung.name,
        rung.idea,
        rung.builds_on,
        {
            "forward": partial(_forward, kernel),
            "dx": partial(_dx, kernel),
            "dw": partial(_dw, kernel),
            "db": sums,
        },
        rung.cost,
        scratch=lambda problem, direction: (
            0 if direction == "db" else rung.scratch(problem, direction)
        ),
    )


LINEAR = Ladder("linear", "gemm", ("forward", "dx", "dw", "db"), [_linear(rung) for rung in MATMUL])
