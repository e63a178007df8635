"""The rungs of matmul and linear on a CUDA device."""

from functools import partial

from kernels.core import precision
from kernels.core.cuda import choices
from kernels.core.cuda.compiler import lowered
from kernels.core.ladder import Ladder, Rung
from kernels.gemm.cuda import (
    coalesced,
    naive,
    register_tile,
    shared,
    sums,
    tensor_core,
    tensor_plan,
)
from kernels.gemm.cuda.bias import bias_relu

# Costs are nanoseconds as they are expected, not measured: a GPU of 128 multiprocessors, each of which does SPEED
# FLOPs of float32 in a nanosecond at best (256 a cycle at 1.75 GHz; of float64 half), blocks spread over them in
# waves, and of that speed the share that the loads of a rung leave for multiplying.

MULTIPROCESSORS = sums.WAVE
SPEED = 450.0
BANDWIDTH = 3000.0  # bytes in a nanosecond
LAUNCH = 3000.0

NAIVE, COALESCED, SHARED, REGISTER_TILE = 0.005, 0.06, 0.1, 0.8
TENSOR_CORE = (
    3000.0  # FLOPs of 16-bit elements in a nanosecond, of a multiprocessor: 0.4 of its data sheet
)


def expected(problem, blocks, flops, speed, launches=1):
    """Time of a grid: its blocks in waves, `flops` each, or the least traffic with memory."""
    waves = -(-blocks // MULTIPROCESSORS)
    return launches * LAUNCH + max(waves * flops / speed, problem.bytes() / BANDWIDTH)


def _points(share, rows, columns):
    """Cost of a rung whose blocks take so many rows and columns of C, a thread an element."""

    def cost(p, direction):
        blocks = p.batch * -(-p.m // rows) * -(-p.n // columns)
        return expected(p, blocks, 2 * rows * columns * p.k, SPEED * share * 4 / p.itemsize)

    return cost


def _register_tile(p, direction):
    """Whole tiles, what hangs over counted; a second launch and the parts' sums where k is split."""
    size, parts, depth = register_tile.sizes(p.batch, p.m, p.n, p.k, p.itemsize)
    blocks = parts * register_tile.tiles(size, p.batch, p.m, p.n)
    flops = 2 * size.BM * size.BN * depth
    once = expected(p, blocks, flops, SPEED * REGISTER_TILE * 4 / p.itemsize, min(parts, 2))
    again = 2 * parts * p.batch * p.m * p.n * p.itemsize / BANDWIDTH if parts > 1 else 0
    return once + again


def _tensor_core(p, direction):
    """Whole tiles, copies of odd lines and the parts' sums; out of the question where TF32 was not asked for."""
    if p.itemsize == 4 and not precision.tf32():
        return float("inf")
    blocks, flops, launches, moved = tensor_plan.work(p)
    return expected(p, blocks, flops, TENSOR_CORE * 2 / p.itemsize, launches) + moved / BANDWIDTH


def _rung(name, idea, builds_on, module, cost, refuses=choices.halves, **more):
    """Make a rung whose three directions are one loop: products all."""
    run = dict.fromkeys(("forward", "da", "db"), module.matmul)
    return Rung(name, idea, builds_on, run, cost, "cuda", refuses, **more)


MATMUL = Ladder(
    "matmul",
    "gemm",
    ("forward", "da", "db"),
    [
        _rung(
            "naive",
            "the formula, one thread an element",
            None,
            naive,
            _points(NAIVE, 1, naive.THREADS),
        ),
        _rung(
            "coalesced",
            "a warp's threads along a row of C: B and C by whole lines",
            "naive",
            coalesced,
            _points(COALESCED, coalesced.ROWS, coalesced.COLUMNS),
        ),
        _rung(
            "shared",
            "tiles of A and B in shared memory: read once for 16 multiplies",
            "coalesced",
            shared,
            _points(SHARED, shared.TILE, shared.TILE),
        ),
        _rung(
            "register_tile",
            "8 × 8 of C in each thread's registers, vectors of 16 bytes, two shared tiles in turn",
            "shared",
            register_tile,
            _register_tile,
            lowered(choices.halves),
            scratch=register_tile.scratch,
        ),
        _rung(
            "tensor_core",
            "16 × 8 tiles multiplied by a warp at once; sums in float32, float32 read as TF32",
            "register_tile",
            tensor_core,
            _tensor_core,
            lowered(choices.tensor_cores),
            scratch=tensor_plan.scratch,
            growth=tensor_plan.growth,
        ),
    ],
    "cuda",
)


def _one(x):
    """View a matrix as a batch of one."""
    return x.reshape(1, *x.shape)


def _forward(kernel, x, w, b, relu, y, *scratch):
    kernel(_one(x), _one(w), False, True, _one(y), *scratch)
    bias_relu(y, b, relu)


def _dx(kernel, dy, w, dx, *scratch):
    kernel(_one(dy), _one(w), False, False, _one(dx), *scratch)


def _dw(kernel, dy, x, dw, *scratch):
    kernel(_one(dy), _one(x), True, False, _one(dw), *scratch)


def _linear(rung):
    """Make linear's rung from matmul's: the same loop, given the operands in three ways."""
    kernel = rung.run["forward"]
    plain = rung.name == "naive"
    forward = tensor_core.linear if kernel is tensor_core.matmul else partial(_forward, kernel)

    def scratch(problem, direction):
        if direction == "db":
            return 0 if plain else sums.scratch(problem.k, problem.n, problem.itemsize)
        return rung.scratch(problem, direction)

    def growth(problem, direction):
        return None if direction == "db" or rung.growth is None else rung.growth(problem, direction)

    return Rung(
        rung.name,
        rung.idea,
        rung.builds_on,
        {
            "forward": forward,
            "dx": partial(_dx, kernel),
            "dw": partial(_dw, kernel),
            "db": naive.column_sums if plain else sums.column_sums,
        },
        rung.cost,
        "cuda",
        rung.refuses,
        scratch=scratch,
        growth=growth,
    )


LINEAR = Ladder(
    "linear",
    "gemm",
    ("forward", "dx", "dw", "db"),
    [_linear(rung) for rung in MATMUL],
    "cuda",
)
