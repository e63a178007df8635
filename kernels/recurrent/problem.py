"""The sizes and options of a sequence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class SequenceProblem:
    """A sequence through one cell: T steps of B rows, D features in, H units, P outputs.

    Parameters
    ----------
    kind : {"lstm", "gru", "rnn"}
    t, b, d, h, p : int
        Time, batch, inputs, units, outputs; P = H unless the output is projected.
    steps : int
        How many steps there are in all: T·B, or the sum of the lengths.
    dtype : numpy.dtype
    saved : bool
        Whether gates and states are kept for the gradient.
    ragged : bool
        Whether lengths were given.
    reverse, peepholes, coupled, clipped, projected : bool
    linear_before_reset, relu : bool
        The GRU's kind and the plain cell's.
    """

    kind: str
    t: int
    b: int
    d: int
    h: int
    p: int
    steps: int
    dtype: np.dtype
    saved: bool = False
    ragged: bool = False
    reverse: bool = False
    peepholes: bool = False
    coupled: bool = False
    clipped: bool = False
    projected: bool = False
    linear_before_reset: bool = True
    relu: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.dtype.itemsize

    @property
    def gates(self) -> int:
        """Rows of the weights for each unit."""
        return GATES[self.kind]

    def _recurrent(self) -> int:
        """FLOPs of one pass over the recurrent weights and the projection."""
        projection = 2 * self.p * self.h if self.projected else 0
        return self.steps * (2 * self.gates * self.h * self.p + projection)

    def _inputs(self) -> int:
        return self.steps * 2 * self.gates * self.h * self.d

    def flops(self, direction: str = "forward") -> int:
        """Multiplies and adds of the matrix products.

        "backward" is all of it: the sweep back through time, which is a pass over the recurrent weights,
        then the gradients of the weights and of x.
        """
        once = self._inputs() + self._recurrent()
        return once if direction == "forward" else 2 * once

    def bytes(self, direction: str = "forward") -> int:
        """Least traffic: x, the weights, what is saved, and the results, each read or written once."""
        weights = self.gates * self.h * (self.d + self.p)
        kept = self.steps * self._kept()
        if direction == "forward":
            moved = self.steps * (self.d + self.p) + weights + (kept if self.saved else 0)
        else:
            moved = self.steps * (2 * self.d + 2 * self.p) + 2 * weights + kept
        return moved * self.itemsize

    def _kept(self) -> int:
        """Elements a step that the gradient wants beside x and h: the gates, and the LSTM's cell."""
        return {"lstm": 5, "gru": 4, "rnn": 0}[self.kind] * self.h

    def work(self, direction: str = "forward") -> int:
        """What to weigh against the cost of waking threads: of "backward" the sweep alone."""
        flops = self.flops() if direction == "forward" else self._recurrent()
        return max(flops, self.bytes(direction) // 8)
