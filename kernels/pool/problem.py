"""A pooling's shapes and options: what a rung is chosen by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PoolProblem:
    """Windows of `kernel` over x (N, C, H, W) give y (N, C, OH, OW); `power` is lp_pool2d's p."""

    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, int]
    dtype: np.dtype
    power: float | None = None

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def lead(self) -> tuple[int, int]:
        """Leading padding (top, left)."""
        return self.padding[0][0], self.padding[1][0]

    @property
    def options(self) -> tuple:
        """Kernel, stride, leading padding and dilation, as the compiled loops take them."""
        return self.kernel, self.stride, self.lead, self.dilation

    @property
    def limits(self) -> tuple[int, int]:
        """Where the padded input ends, in coordinates of the input."""
        return self.h + self.padding[0][1], self.w + self.padding[1][1]

    def flops(self, direction: str = "forward") -> int:
        """One comparison or addition for each tap of each window."""
        return self.n * self.c * self.oh * self.ow * self.kernel[0] * self.kernel[1]

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: input and output once each."""
        return self.n * self.c * (self.h * self.w + self.oh * self.ow) * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)


@dataclass(frozen=True)
class AdaptiveProblem:
    """Planes H × W give planes OH × OW: adaptive pooling, and unpooling."""

    n: int
    c: int
    h: int
    w: int
    oh: int
    ow: int
    dtype: np.dtype

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def flops(self, direction: str = "forward") -> int:
        """One comparison, addition or move for each element of the larger plane."""
        return self.n * self.c * max(self.h * self.w, self.oh * self.ow)

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: input and output once each."""
        return self.n * self.c * (self.h * self.w + self.oh * self.ow) * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
