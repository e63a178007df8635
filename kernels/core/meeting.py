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
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from kernels.core.simd.width import X86

APART = 8  # words of a cache line
PATIENCE = 1000  # looks at a counter, some tens of µs

_WORD = ir.IntType(64)


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


def _place(context: Any, builder: Any, array_type: Any, array: Any, number: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    words = builder.bitcast(data, _WORD.as_pointer())
    return builder.gep(words, [builder.mul(number, _WORD(APART))])


@intrinsic
def _add(typing, counters, number, amount):
    def build(context, builder, signature, args):
        place = _place(context, builder, counters, args[0], args[1])
        return builder.atomic_rmw("add", place, args[2], "seq_cst")

    return types.int64(counters, types.int64, types.int64), build


@intrinsic
def _read(typing, counters, number):
    def build(context, builder, signature, args):
        place = _place(context, builder, counters, *args)
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(counters, types.int64), build


@intrinsic
def _swap(typing, counters, number, old, new):
    """Whether the counter was `old`, and is now `new`."""

    def build(context, builder, signature, args):
        place = _place(context, builder, counters, args[0], args[1])
        pair = builder.cmpxchg(place, args[2], args[3], "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(counters, types.int64, types.int64, types.int64), build


@intrinsic
def _pause(typing):
    def build(context, builder, signature, args):
        if X86:
            void = ir.FunctionType(ir.VoidType(), [])
            hint = cgutils.get_or_insert_function(builder.module, void, "llvm.x86.sse2.pause")
            builder.call(hint, [])
        return context.get_dummy_value()

    return types.void(), build


@overload(add)
def _overload_add(counters, number, amount):
    return lambda counters, number, amount: _add(counters, number, amount)


@overload(read)
def _overload_read(counters, number):
    return lambda counters, number: _read(counters, number)


@overload(claim)
def _overload_claim(counters, number, end):
    def taken(counters, number, end):
        value = _read(counters, number)
        while value < end:
            if _swap(counters, number, value, value + 1):
                return value
            value = _read(counters, number)
        return np.int64(-1)

    return taken


@overload(pause)
def _overload_pause():
    return lambda: _pause()
