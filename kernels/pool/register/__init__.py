"""Rung 3: explicit vectors, everything in registers that can be.

`walk` folds dense windows of 2 × 2 and 3 × 3 at stride 1 and 2, each value of x read once; `band` any others;
`winners` keeps places. The gradients: `laid_out` is what they read, `carry` serves the same small windows,
`ask` any others. `kinds` says what is folded: a maximum, a mean, a root of squares.

Measured on a Zen 4, float32: in the README's table.
"""

from kernels.pool.register.forward import avg_pool2d, lp_pool2d, max_pool2d
from kernels.pool.register.forward import room as forward_room
from kernels.pool.register.gradients import avg_dx, lp_dx, max_dx
from kernels.pool.register.gradients import room as gradient_room
from kernels.pool.register.laid_out import EXACT

__all__ = [
    "EXACT",
    "avg_dx",
    "avg_pool2d",
    "forward_room",
    "gradient_room",
    "lp_dx",
    "lp_pool2d",
    "max_dx",
    "max_pool2d",
]
