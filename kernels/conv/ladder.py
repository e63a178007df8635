"""The rungs of conv2d."""

from kernels.conv import (
    costs,
    depthwise,
    direct,
    few,
    im2col,
    naive,
    parallel,
    register,
    reordered,
    winograd,
)
from kernels.core.ladder import Ladder, Pack, Rung


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
        costs.winograd(m),
        refuses=winograd.refuses(m),
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
            costs.naive,
        ),
        Rung(
            "reordered",
            "rows inside, taps outside: unit stride, no test in the loop",
            "naive",
            {"forward": reordered.conv2d, "dx": reordered.dx, "dw": reordered.dw},
            costs.reordered,
        ),
        Rung(
            "parallel",
            "planes over threads",
            "reordered",
            {"forward": parallel.conv2d, "dx": parallel.dx, "dw": parallel.dw, "db": parallel.db},
            costs.parallel,
        ),
        Rung(
            "register",
            "a few filters × neighbouring outputs summed in registers, in plain loops",
            "parallel",
            {"forward": register.conv2d, "dx": register.dx},
            costs.register,
            scratch=register.scratch,
        ),
        Rung(
            "im2col",
            "lowered to gemm: panels of the column matrix, made in cache",
            "parallel",
            {"forward": im2col.conv2d, "dx": im2col.dx, "dw": im2col.dw},
            costs.im2col,
            scratch=im2col.scratch,
        ),
        Rung(
            "direct",
            "register tiles over the padded images: no column matrix",
            "im2col",
            {"forward": direct.conv2d, "dx": direct.dx, "dw": direct.dw},
            costs.direct,
            scratch=direct.scratch,
            pack={
                "forward": Pack(direct.packed, direct.pack_forward),
                "dx": Pack(direct.packed, direct.pack_dx),
            },
        ),
        Rung(
            "few",
            "few channels: vectors along outputs, weights as they are",
            "direct",
            {"forward": few.conv2d, "dx": few.dx},
            costs.few,
            refuses=few.refuses,
            scratch=few.scratch,
        ),
        Rung(
            "depthwise",
            "a channel a group: a row of x in vectors serves R rows of y in registers",
            "few",
            {"forward": depthwise.conv2d, "dx": depthwise.dx, "dw": depthwise.dw},
            costs.depthwise,
            refuses=depthwise.refuses,
        ),
        _winograd(
            "winograd_2x2", 2, "fewer multiplies: 16 for 2×2 outputs instead of 36", "direct"
        ),
        _winograd(
            "winograd_4x4", 4, "36 multiplies for 4×4 outputs instead of 144", "winograd_2x2"
        ),
    ],
)
