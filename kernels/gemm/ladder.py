"""The rungs of matmul, and of linear, which is three of its products and a bias."""

from functools import partial

from kernels.core import simd, threads
from kernels.core.ladder import Ladder, Rung
from kernels.gemm import blocked, deep, microkernel, naive, parallel, register, reordered

# Costs are nanoseconds, fitted to medians measured on two threads of a Zen 5, float32: 16 shapes from
# 16×64 · 64×64 to 1024³, both transpositions.

MEETING = 15000  # two regions more, and the wait for the slower thread in each


def _naive(p, direction):
    return p.flops() / (10.0 if p.transpose_b else 1.0)


def _reordered(p, direction):
    """Rows of C read along; where B is read transposed, dot products along k: short ones do not pay."""
    along, short = (p.k, 12) if p.transpose_b else (p.n, 60)
    return p.flops() * (1 + short / max(1, along)) / (45.0 * 4 / p.itemsize)


def _panels(p):
    """Packing for every block, on one core: five times as long where a line goes to a column."""
    a = (0.7 if p.transpose_a else 0.14) * p.m * -(-p.n // blocked.BN)
    b = (0.7 if p.transpose_b else 0.14) * p.n * -(-p.m // blocked.BM)
    return p.batch * p.k * (a + b) * p.itemsize / 4


def _blocked(p, direction):
    """Rows of a panel, with a start and an end that is no whole vector, the packing, and C."""
    columns = p.n + 24 * -(-p.n // blocked.BN) + 3 * (p.n % 16)
    multiplied = 2 * p.batch * p.m * p.k * columns / (120.0 * 4 / p.itemsize)
    return 500 + multiplied + _panels(p) + 0.26 * p.batch * p.m * p.n


def _shared(p, alone):
    """What two threads take for it: the larger half of its blocks, and their waking where that pays."""
    blocks = max(1, p.batch * -(-p.m // blocked.BM) * -(-p.n // blocked.BN))
    return alone if p.work() < threads.GRAIN else 4000 + alone * -(-blocks // 2) / blocks


def _parallel(p, direction):
    return _shared(p, _blocked(p, direction))


def _register(p, direction):
    """Whole tiles at their rate, what is left over at an eighth of it, the packing, and C."""
    whole = (p.m - p.m % register.ROWS) * (p.n - p.n % register.COLUMNS)
    share = 0.42 if simd.BITS == 512 else 0.25  # the sums fill more than 16 registers
    rate = share * simd.BITS * 4 / p.itemsize  # 215 FLOPs in a ns for float32 and 512 bits
    multiplied = 2 * p.batch * p.k * (whole + 8 * (p.m * p.n - whole)) / rate
    return _shared(p, 500 + multiplied + _panels(p) + 0.14 * p.batch * p.m * p.n)


def _microkernel(p, direction):
    """Whole tiles at their rate, B and a transposed A packed, C, and two regions for each BK of each matrix."""
    tiles = -(-p.m // simd.ROWS) * -(-p.n // simd.columns_of(p.dtype))
    flops = 2 * tiles * simd.ROWS * simd.columns_of(p.dtype) * p.k
    rate = 0.86 * simd.BITS * 4 / p.itemsize  # 440 FLOPs in a ns for float32 and 512 bits
    moved = p.k * (0.06 * p.n + (0.14 if p.transpose_a else 0) * p.m) + 0.02 * p.m * p.n
    meetings = MEETING * (-(-p.k // microkernel.BK) - 1)
    return p.batch * (5000 + meetings + flops / rate + moved)


def _deep(p, direction):
    """As `microkernel`, but one region for each matrix; B is packed by every thread, A anew for each piece of B."""
    again = (
        0.14 * p.m * (-(-p.n // (deep.COLUMNS * simd.columns_of(p.dtype))) - 1)
        if p.transpose_a
        else 0
    )
    meetings = MEETING * (-(-p.k // microkernel.BK) - 1)
    return _microkernel(p, direction) + p.batch * (p.k * (0.06 * p.n + again) + 500 - meetings)


def _room(problem, direction):
    return blocked.PANELS


def _room_each(problem, direction):
    return blocked.PANELS * max(1, parallel.parts(problem.batch, problem.m, problem.n))


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
            _naive,
        ),
        Rung(
            "reordered",
            "unit stride: j innermost, so rows of B and C are read along",
            "naive",
            dict.fromkeys(("forward", "da", "db"), reordered.matmul),
            _reordered,
        ),
        Rung(
            "blocked",
            "panels packed for the caches; eight multiplies a visit to C",
            "reordered",
            dict.fromkeys(("forward", "da", "db"), blocked.matmul),
            _blocked,
            scratch=_room,
        ),
        Rung(
            "parallel",
            "blocks of C over threads",
            "blocked",
            dict.fromkeys(("forward", "da", "db"), parallel.matmul),
            _parallel,
            scratch=_room_each,
        ),
        Rung(
            "register",
            "4 rows × 32 columns of C summed in registers, in plain loops",
            "parallel",
            dict.fromkeys(("forward", "da", "db"), register.matmul),
            _register,
            scratch=register.scratch,
        ),
        Rung(
            "microkernel",
            "the tile spelled out in vectors, fed from panels packed once",
            "register",
            dict.fromkeys(("forward", "da", "db"), microkernel.matmul),
            _microkernel,
            scratch=microkernel.scratch,
        ),
        Rung(
            "deep",
            "a piece of C for each thread, over all of k: they never meet",
            "microkernel",
            dict.fromkeys(("forward", "da", "db"), deep.matmul),
            _deep,
            scratch=deep.scratch,
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
