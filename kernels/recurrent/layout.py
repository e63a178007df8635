"""Where the steps of a batch of sequences lie in memory: rows, one for each step of each batch row.

Inputs, gates and their gradients have a row a step; hidden and cell states one more a batch row, the
initial one. Step s of batch row b, in the order in which the steps are walked, is row

    r = first[b] + s · stride

of x and the gates; the state before it is row r + before of the states, the state after it r + after.

Without lengths the rows are (T, B, …) as it is: r = t·B + b, and nothing is copied. With lengths each batch
row's steps lie together, and one spare row follows them, for the state that has no step: so a row costs
what its steps cost, and padding only the copy past it. Walked in reverse, `first` is the last step, `stride`
negative, and `before` and `after` change places; a row is turned within its own length.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np


class Layout(NamedTuple):
    """The places of steps and states.

    Attributes
    ----------
    first, lengths : numpy.ndarray (B,), int64
        The row of the step that is walked first, and how many there are.
    stride, before, after : int
        From one step to the next, and from a step to the states around it.
    rows, states : int
        How many rows the steps' arrays have, and the states'.
    ragged : bool
        Whether lengths were given.
    """

    first: np.ndarray
    lengths: np.ndarray
    stride: int
    before: int
    after: int
    rows: int
    states: int
    ragged: bool

    @property
    def walk(self) -> tuple[np.ndarray, np.ndarray, int, int, int]:
        """What every compiled loop over a sequence takes."""
        return self.first, self.lengths, self.stride, self.before, self.after

    @property
    def last(self) -> np.ndarray:
        """The states' rows after each batch row's last step; of its initial state if it has no step."""
        return self.first + self.lengths * self.stride + self.before

    @property
    def base(self) -> np.ndarray:
        """The row of each batch row's step 0 in time, where lengths were given."""
        return self.first if self.stride > 0 else self.first - self.lengths + 1

    @property
    def paired(self) -> int:
        """How many of the steps' rows have a state on each side: all but the last spare one."""
        return min(self.rows, self.states - max(self.before, self.after))

    def beside(self, states: np.ndarray, shift: int) -> np.ndarray:
        """The states `before` or `after` the paired steps, row by row; zero beside a spare row.

        A spare row's gradient is zero, but the state there is another's, and 0·NaN is NaN. A view where there
        are no spare rows, else a copy.
        """
        view = states[shift : shift + self.paired]
        if not self.ragged:
            return view
        rows = view.copy()
        spare = self.base + self.lengths
        rows[spare[spare < self.paired]] = 0
        return rows

    def clear(self, rows: np.ndarray) -> None:
        """Make the spare rows of a steps' array zero."""
        if self.ragged:
            rows[self.base + self.lengths] = 0

    def gather(self, x: np.ndarray, rows: np.ndarray) -> None:
        """Copy the steps of x (T, B, …) to their rows; the spare rows become zero."""
        for b, (start, length) in enumerate(zip(self.base.tolist(), self.lengths.tolist())):
            rows[start : start + length] = x[:length, b]
            rows[start + length] = 0

    def scatter(self, rows: np.ndarray, x: np.ndarray) -> None:
        """Copy rows to the steps of x (T, B, …), and zeros past each row's length."""
        for b, (start, length) in enumerate(zip(self.base.tolist(), self.lengths.tolist())):
            x[:length, b] = rows[start : start + length]
            x[length:, b] = 0


def layout(t: int, b: int, lengths: np.ndarray | None, reverse: bool) -> Layout:
    """Return the layout of T steps of B rows, `lengths` (B,) int64 or None for T everywhere."""
    if lengths is not None:
        return _ragged(lengths, reverse)
    kept = _uniform(t, b, reverse)  # whose arrays are nobody's to change
    return kept._replace(first=kept.first.copy(), lengths=kept.lengths.copy())


@functools.lru_cache(maxsize=256)  # small calls would spend their time on it
def _uniform(t: int, b: int, reverse: bool) -> Layout:
    first, lengths = np.arange(b), np.full(b, t)
    if reverse:
        return Layout(first + (t - 1) * b, lengths, -b, b, 0, t * b, (t + 1) * b, False)
    return Layout(first, lengths, b, 0, b, t * b, (t + 1) * b, False)


def _ragged(lengths: np.ndarray, reverse: bool) -> Layout:
    ends = np.cumsum(lengths + 1)
    base = ends - (lengths + 1)
    rows = int(ends[-1]) if len(ends) else 0
    if reverse:
        return Layout(base + lengths - 1, lengths, -1, 1, 0, rows, rows, True)
    return Layout(base, lengths, 1, 0, 1, rows, rows, True)
