"""What the kernels of all directions load, piece by piece, into registers."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from kernels.core.cuda.compiler import inlined
from kernels.core.cuda.operations import copy1, copy16

# for what a loop carries: Numba's own integers take two registers, and two additions
INT = np.int32
NEAR = 2**30  # elements of a group of an image whose taps, padding too, 32 bits can list


@inlined
def within(ih, iw, high, across):
    """Whether there is such a row and column."""
    return (ih >= 0) & (ih < high) & (iw >= 0) & (iw < across)


@functools.cache
def pieces(count: int, every: int, width: int, index: type) -> Callable:
    """Make the loop that loads `count` pieces of `width` elements: one, or as many as 16 bytes hold.

    `every`: how many rows (terms, channels, filters) lie from one piece to the next; `index`: the integer that an
    index fits.
    """

    @inlined
    def load(source, at, rest, step, registers):
        """Pieces from `at` on, `step` elements apart, of as many rows as `rest` says; zeros past these."""
        for i in range(count):
            if INT(i * every) < rest:
                if width == 1:
                    copy1(source, at, registers, (i, 0))
                else:
                    copy16(source, at, registers, (i, 0))
            else:
                for v in range(width):
                    registers[i, v] = 0
            at = index(at + step)

    return load


@functools.cache
def by_table(count: int, every: int, index: type) -> Callable:
    """Make the loop that loads `count` elements from where a table says, zeros where that is outside of x."""

    @inlined
    def load(source, at, rest, table, first, ih, iw, high, across, entry, registers):
        """Elements for the table's columns first, first + every, …, of as many as `rest` says.

        table: what to add to the index, to the row ih and to the column iw; entry: registers for one of its columns.
        """
        for i in range(count):
            registers[i, 0] = 0
            if INT(i * every) < rest:
                copy1(table, (0, first + i * every), entry, 0)
                copy1(table, (1, first + i * every), entry, 1)
                copy1(table, (2, first + i * every), entry, 2)
                if within(INT(ih + entry[1]), INT(iw + entry[2]), high, across):
                    copy1(source, index(at + entry[0]), registers, (i, 0))

    return load
