"""The sizes of a loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LossProblem:
    """`rows` losses, each over `length` elements of `arrays` arrays.

    `weight` is what an element is worth in additions: an exponential takes as long as 32 or so.
    """

    rows: int
    length: int
    arrays: int
    dtype: np.dtype
    weight: int = 1

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def flops(self, direction: str = "forward") -> int:
        """Three operations an element, an exponential counted as one."""
        return 3 * self.rows * self.length

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: each array once."""
        arrays = self.arrays + (direction != "forward")
        return arrays * self.rows * self.length * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.weight * self.rows * self.length, self.bytes(direction) // 8)
