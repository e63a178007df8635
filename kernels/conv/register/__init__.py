"""Rung 3: sums that stay in registers, in plain loops. `tile` is the idea; `bands` lays x out for it."""

from kernels.conv.register.bands import scratch
from kernels.conv.register.dx import dx
from kernels.conv.register.forward import conv2d

__all__ = ["conv2d", "dx", "scratch"]
