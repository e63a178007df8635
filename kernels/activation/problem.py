"""The sizes of an elementwise function, or of one along an axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ActivationProblem:
    """`outer` × `length` × `inner` elements; a function along an axis runs along `length`.

    `weight` is what an element is worth in additions: an exponential takes as long as 8 or so.
    """

    outer: int
    length: int
    inner: int
    arrays: int
    dtype: np.dtype
    weight: int = 1

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def size(self) -> int:
        """Elements in all."""
        return self.outer * self.length * self.inner

    def flops(self, direction: str = "forward") -> int:
        """One operation an element, an exponential counted as one."""
        return self.size

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: each of `arrays` once."""
        return self.arrays * self.size * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.weight * self.size, self.bytes(direction) // 8)
