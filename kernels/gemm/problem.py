"""The shape of a matrix product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class GemmProblem:
    """C[g] = op(A[g]) · op(B[g]) for g of `batch`: (m, k) · (k, n), op the identity or the transpose."""

    batch: int
    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False
    dtype: np.dtype = FLOAT32
    capability: tuple[int, int] | None = (
        None  # of the CUDA device where the arrays live; None on the CPU
    )

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def flops(self, direction: str = "forward") -> int:
        """Multiplies and adds."""
        return 2 * self.batch * self.m * self.n * self.k

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: A and B read once, C written once."""
        elements = self.m * self.k + self.k * self.n + self.m * self.n
        return self.batch * elements * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
