"""Threads of one region that wait for one another: counters that all of them see, and how work is claimed.

Entering a parallel region costs microseconds under OpenMP and over a hundred under `workqueue`; a step of a
recurrent network with one batch row takes about five. So such a network enters one region and its threads meet
after each step by spinning on a counter.

A barrier that every thread must reach hangs where one never comes: a layer may run a region's pieces one after
the other on a single thread. Here nobody is obliged to come. Work is numbered and claimed with a counter, a
piece at a time, and a step is over when as many pieces are *done* as it has: whoever claims a piece is running
and will finish it, and a thread that is alone claims everything and never waits. A thread keeps to its own
pieces, whose weights lie in its cache, and takes another's only after `PATIENCE` looks in vain, or while it is
alone.

The counters are 64-bit words at the start of an array, `APART` words from one to the next, so that no two share
a cache line. Compiled, each operation is one atomic instruction, sequentially consistent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from kernels.core import atomics as _atomics

atomics: Any = _atomics  # typed by Numba

APART = _atomics.APART
PATIENCE = 1000  # looks at a counter, some tens of µs


def add(counters: np.ndarray, number: int, amount: int) -> int:
    """Add to a counter, and return what it was before."""
    words = counters.reshape(-1).view(np.int64)
    before = int(words[number * APART])
    words[number * APART] = before + amount
    return before


def read(counters: np.ndarray, number: int) -> int:
    """Return a counter as it is now."""
    return int(counters.reshape(-1).view(np.int64)[number * APART])


def claim(counters: np.ndarray, number: int, end: int) -> int:
    """Take the counter's next value below `end`, which nobody else will get; −1 if there is none."""
    return add(counters, number, 1) if read(counters, number) < end else -1


def pause() -> None:
    """Tell the core that this is a spin."""


@overload(add)
def _overload_add(counters, number, amount):
    return lambda counters, number, amount: atomics.add(counters, number, amount)


@overload(read)
def _overload_read(counters, number):
    return lambda counters, number: atomics.read(counters, number)


@overload(claim)
def _overload_claim(counters, number, end):
    def taken(counters, number, end):
        value = atomics.read(counters, number)
        while value < end:
            if atomics.swap(counters, number, value, value + 1):
                return value
            value = atomics.read(counters, number)
        return np.int64(-1)

    return taken


@overload(pause)
def _overload_pause():
    return lambda: atomics.pause()
