"""The size of a dropout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class DropoutProblem:
    """`size` elements."""

    size: int
    dtype: np.dtype

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def flops(self, direction: str = "forward") -> int:
        """Ten rounds of two multiplies and four exclusive ors, for four elements."""
        return 15 * self.size

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: input and output once each; the mask is never stored."""
        return 2 * self.size * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
