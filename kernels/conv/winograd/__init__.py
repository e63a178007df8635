"""Rungs 7 and 8: fewer multiplies.

Winograd's algorithm for 3×3 filters and stride one.
"""

from kernels.conv.winograd.dw import dw_4x4
from kernels.conv.winograd.dw import scratch as dw_scratch
from kernels.conv.winograd.rungs import (
    dx_2x2,
    dx_4x4,
    forward_2x2,
    forward_4x4,
    growth,
    packed,
    refuses,
    scratch,
)
from kernels.conv.winograd.weights import pack

__all__ = [
    "dw_4x4",
    "dw_scratch",
    "dx_2x2", "dx_4x4", "forward_2x2", "forward_4x4", "growth", "pack", "packed", "refuses", "scratch",
]  # fmt: skip
