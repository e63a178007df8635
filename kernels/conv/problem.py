"""A convolution's shapes and options: what a rung is chosen by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class ConvProblem:
    """x (N, C, H, W) with w (K, C/groups, R, S) gives y (N, K, OH, OW)."""

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    oh: int
    ow: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    dtype: np.dtype = FLOAT32
    capability: tuple[int, int] | None = (
        None  # of the CUDA device where the arrays live; None on the CPU
    )

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def options(self) -> tuple:
        """Stride, leading padding, dilation and groups, as the compiled loops take them."""
        lead = (self.padding[0][0], self.padding[1][0])
        return self.stride, lead, self.dilation, self.groups

    @property
    def taps(self) -> int:
        """Terms in the sum for one output: channels of a group times the window."""
        return self.c // self.groups * self.r * self.s

    def flops(self, direction: str = "forward") -> int:
        """Multiplies and adds; taps that fall on padding counted, as is the custom."""
        outputs = self.n * self.k * self.oh * self.ow
        return outputs if direction == "db" else 2 * outputs * self.taps

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: each array of the direction once."""
        x = self.n * self.c * self.h * self.w
        y = self.n * self.k * self.oh * self.ow
        weights = self.k * self.taps
        elements = y + self.k if direction == "db" else x + y + weights
        return elements * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
