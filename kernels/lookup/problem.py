"""The size of a look-up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EmbeddingProblem:
    """`count` rows of `width` elements, out of a table of `rows`."""

    count: int
    rows: int
    width: int
    dtype: np.dtype

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    def flops(self, direction: str = "forward") -> int:
        """A move, or an addition, for each element looked up."""
        return self.count * self.width

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: the indices, and once each the rows looked up (at most a table full) and y, or dy and the table's gradient."""
        table = self.rows if direction == "dtable" else min(self.rows, self.count)
        return 8 * self.count + (self.count + table) * self.width * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
