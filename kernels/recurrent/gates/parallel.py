"""Rung 2: shares of the pieces over threads.

One loop over threads serves the six functions of `vectorised`, told by a number which: a loop over threads costs
the compiler as much as all that stands in it. Its arrays go by position; what one does not need is any array.
"""

from typing import Any

import numpy as np
from numba import prange

from kernels.core import jit
from kernels.recurrent.gates import vectorised as loops

SHARE = 2048  # units, at the least: a few µs
SHARES = 64  # at most

KINDS = ("lstm", "lstm_dz", "gru", "gru_dz", "rnn", "rnn_dz")
STATE = {
    "lstm": 4,
    "lstm_dz": 4,
    "gru": 4,
    "gru_dz": 0,
    "rnn": 1,
    "rnn_dz": 1,
}  # which array is (B, H)


@jit.exact
def share(kind, relu, a, b, c, d, e, f, g, first, last):
    """Fill pieces of one function's outputs."""
    if kind == 0:
        loops.lstm(a, b, c, d, e, first, last)
    elif kind == 1:
        loops.lstm_dz(a, b, c, d, e, f, g, first, last)
    elif kind == 2:
        loops.gru(a, b, c, d, e, first, last)
    elif kind == 3:
        loops.gru_dz(a, b, c, d, e, f, first, last)
    elif kind == 4:
        loops.rnn(a, relu, b, first, last)
    else:
        loops.rnn_dz(a, b, relu, c, first, last)


@jit.parallel
def spread(kind, relu, a, b, c, d, e, f, g, pieces, size):
    """Fill `size` pieces at a time, over threads."""
    for part in prange((pieces + size - 1) // size):
        first = np.int64(part) * size
        share(kind, relu, a, b, c, d, e, f, g, first, min(first + size, pieces))


def pieces_of(args: tuple[Any, ...], name: str) -> int:
    """Pieces of all rows."""
    rows, units = [each for each in args if isinstance(each, np.ndarray)][STATE[name]].shape
    return rows * -(-units // loops.UNITS)


class Whole:
    """A function of `vectorised`, for all of its output."""

    def __init__(self, name: str) -> None:
        self._name, self._loop = name, getattr(loops, name)
        self.py_func = getattr(self._loop, "py_func", self._loop)  # its source

    def __call__(self, *args: Any) -> None:
        """Fill its outputs."""
        self._loop(*args, np.int64(0), np.int64(pieces_of(args, self._name)))


class Spread:
    """The same by the loop over threads."""

    def __init__(self, name: str) -> None:
        self._name, self._kind = name, np.int64(KINDS.index(name))
        loop = getattr(loops, name)
        self.py_func = getattr(loop, "py_func", loop)

    def __call__(self, *args: Any) -> None:
        """Fill its outputs, on threads."""
        spread(*self._arranged(args))

    def serial(self, *args: Any) -> None:
        """Fill them on one."""
        spread.serial(*self._arranged(args))

    def _arranged(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        arrays = [each for each in args if isinstance(each, np.ndarray)]
        relu = any(each is True for each in args)
        pieces, units = pieces_of(args, self._name), arrays[STATE[self._name]].shape[1]
        least = -(-SHARE // max(1, min(units, loops.UNITS)))
        size = max(least, -(-pieces // SHARES))
        arrays += [arrays[-1]] * (7 - len(arrays))
        return self._kind, np.bool_(relu), *arrays, np.int64(pieces), np.int64(size)
