"""The rungs of conv2d."""

from kernels.conv import direct, im2col, naive, parallel, reordered, winograd
from kernels.core import simd
from kernels.core.ladder import Ladder, Pack, Rung

# Costs are nanoseconds, fitted to medians measured on two threads of a Zen 5 (`python -m bench conv2d`);
# what matters is where two rungs cross.
NAIVE = {"forward": 0.9, "dx": 3.6, "dw": 0.4, "db": 1.0}  # a FLOP
ROW = {"forward": (3.5, 0.07, 0.38), "dx": (3.5, 0.07, 0.38), "dw": (5.0, 0.19, 0.42)}
COLUMN = {"forward": 0.4, "dx": 1.0, "dw": 1.6}  # an element of the column matrix


def _naive(p, direction):
    return NAIVE[direction] * p.flops(direction)


def _reordered(p, direction):
    """A plane for each tap, a row for each of its outputs' rows, an element for each output."""
    row, unit, strided = ROW[direction]
    element = unit if p.stride[1] == 1 else strided
    return p.n * p.k * p.taps * (8 + p.oh * (row + element * p.ow))


def _parallel(p, direction):
    """Half of it: never slower, for where threads do not pay it is the same loop."""
    return (_naive if direction == "db" else _reordered)(p, direction) / 2


def _im2col(p, direction):
    """The product, whose rate wants many columns and some depth, and the column matrix."""
    pixels = p.oh * p.ow
    columns = p.taps if direction == "dw" else pixels
    depth = pixels if direction == "dw" else p.taps
    share = columns / (columns + 100) * depth / (depth + 16)
    made = p.n * p.groups * p.taps * pixels
    return 15000 + p.flops(direction) / (220 * share) + COLUMN[direction] * made


def _direct(p, direction):
    """Whole tiles at their rate, the copy of the images, the packing, and the way out of the tiles."""
    width = simd.columns_of(p.dtype)
    rate = 0.8 * simd.BITS * 4 / p.itemsize  # 410 FLOPs in a ns for float32 and 512 bits
    x, y = p.n * p.c * p.h * p.w, p.n * p.k * p.oh * p.ow
    filters, channels, area = p.k // p.groups, p.c // p.groups, p.r * p.s
    if direction == "forward":
        pitch = p.ow + (p.s - 1) * p.dilation[1] // p.stride[1]
        rows, depth, positions = filters, p.taps, (p.oh - 1) * pitch + p.ow
        moved = 5.0 * p.n * p.c * p.h + 0.25 * x + 0.2 * y
    elif direction == "dx":  # each phase of dx has its share of the outputs, and of the taps
        pitch = -(-p.w // p.stride[1]) + (p.s - 1) * p.dilation[1] // p.stride[1]
        rows, depth, positions = channels, filters * area, -(-p.h // p.stride[0]) * pitch
        moved = 5.0 * p.n * p.k * p.oh + 0.25 * y + (0.2 if p.stride[1] == 1 else 11.0) * x
    else:  # vectors along (s, c), positions summed over
        span = channels * (p.s if p.dilation[1] == 1 else 1)
        rows, depth, positions = filters, p.oh * p.ow * p.taps // span, span
        moved = 1.0 * x + 0.25 * y + 2.0 * p.k * p.taps
    panels = p.groups * -(-rows // simd.ROWS)
    multiplied = 2 * p.n * panels * simd.ROWS * -(-positions // width) * width * depth / rate
    return 15000 + multiplied + moved + 0.5 * p.k * p.taps


def _winograd(name, m, idea, builds_on):
    """Make the rung of one tile size."""
    run = {d: getattr(winograd, f"{d}_{m}x{m}") for d in ("forward", "dx")}
    if m == 4:
        run["dw"] = winograd.dw_4x4
    return Rung(
        name,
        idea,
        builds_on,
        run,
        lambda problem, direction: 1e9,
        refuses=winograd.refuses,
        scratch=lambda p, d: winograd.dw_scratch(p, d) if d == "dw" else winograd.scratch(m)(p, d),
        pack={
            "forward": Pack(winograd.packed(m), winograd.pack, (m, False)),
            "dx": Pack(winograd.packed(m), winograd.pack, (m, True)),
        },
        growth=winograd.growth(m),
    )


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
            _naive,
        ),
        Rung(
            "reordered",
            "rows inside, taps outside: unit stride, no test in the loop",
            "naive",
            {"forward": reordered.conv2d, "dx": reordered.dx, "dw": reordered.dw},
            _reordered,
        ),
        Rung(
            "parallel",
            "planes over threads",
            "reordered",
            {"forward": parallel.conv2d, "dx": parallel.dx, "dw": parallel.dw, "db": parallel.db},
            _parallel,
        ),
        Rung(
            "im2col",
            "lowered to gemm: panels of the column matrix, made in cache",
            "parallel",
            {"forward": im2col.conv2d, "dx": im2col.dx, "dw": im2col.dw},
            _im2col,
            scratch=im2col.scratch,
        ),
        Rung(
            "direct",
            "register tiles over the padded images: no column matrix",
            "im2col",
            {"forward": direct.conv2d, "dx": direct.dx, "dw": direct.dw},
            _direct,
            scratch=direct.scratch,
            pack={
                "forward": Pack(direct.packed, direct.pack_forward),
                "dx": Pack(direct.packed, direct.pack_dx),
            },
        ),
        _winograd(
            "winograd_2x2", 2, "fewer multiplies: 16 for 2×2 outputs instead of 36", "direct"
        ),
        _winograd(
            "winograd_4x4", 4, "36 multiplies for 4×4 outputs instead of 144", "winograd_2x2"
        ),
    ],
)
