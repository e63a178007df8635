"""The sizes of one step's gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Of a unit: numbers moved and operations, forward and backward. σ and tanh count as ten.
MOVED = {
    "lstm": {"forward": 4 + 1 + 1 + 4 + 1, "backward": 2 + 4 + 2 + 4 + 1},
    "gru": {"forward": 6 + 1 + 4 + 1, "backward": 1 + 4 + 1 + 6 + 1},
    "rnn": {"forward": 2, "backward": 3},
}
FLOPS = {
    "lstm": {"forward": 54, "backward": 36},
    "gru": {"forward": 38, "backward": 22},
    "rnn": {"forward": 10, "backward": 4},
}


@dataclass(frozen=True)
class GateProblem:
    """The gates of `h` units in each of `b` rows; `kind` is "lstm", "gru" or "rnn"."""

    kind: str
    b: int
    h: int
    dtype: np.dtype

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def size(self) -> int:
        """Units in all."""
        return self.b * self.h

    def flops(self, direction: str = "forward") -> int:
        """Additions, products, and ten for each σ and tanh."""
        return FLOPS[self.kind][direction] * self.size

    def bytes(self, direction: str = "forward") -> int:
        """Every array read or written once."""
        return MOVED[self.kind][direction] * self.size * self.itemsize

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads."""
        return max(self.flops(direction), self.bytes(direction) // 8)
