"""The sizes of a normalisation: which elements share a mean and a variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NormProblem:
    """x seen as (N, C, S), weight and bias one a channel.

    A *set* is what shares a mean and a variance: C / groups neighbouring channels of one n, or, where
    `batch` is true, one channel of all n. `fixed` says that mean and variance are given.
    """

    n: int
    c: int
    s: int
    groups: int
    batch: bool
    dtype: np.dtype
    fixed: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def size(self) -> int:
        """Elements in all."""
        return self.n * self.c * self.s

    @property
    def sets(self) -> int:
        """How many means and variances there are."""
        return self.c if self.batch else self.n * self.groups

    def flops(self, direction: str = "forward") -> int:
        """An element's operations: subtractions, products and sums, one each."""
        statistics = 0 if self.fixed else 4
        each = {"forward": 4 + statistics, "dx": 5 + statistics, "dweight": 4, "dbias": 1}
        return each[direction] * self.size

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: what is as large as x, read or written once."""
        arrays = {"forward": 2, "dx": 2 if self.fixed else 3, "dweight": 2, "dbias": 1}
        return arrays[direction] * self.size * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
