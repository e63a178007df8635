"""Which rows take part in which step, and the products of a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from kernels.core.ladder import Job
from kernels.gemm.ladder import LINEAR
from kernels.gemm.problem import GemmProblem

Array = np.ndarray


class Step(NamedTuple):
    """The rows that take one step.

    Attributes
    ----------
    rows : numpy.ndarray
        Of the steps' arrays.
    batch : numpy.ndarray
        Of the batch.
    whole : bool
        Whether they are neighbours, all of the batch in order: then a slice of an array is theirs, no copy.
    """

    rows: Array
    batch: Array
    whole: bool

    def of(self, a: Array, shift: int = 0) -> Array:
        """These rows of a steps' array, moved by `shift` for one of states."""
        if self.whole:
            start = int(self.rows[0]) + shift
            return a[start : start + len(self.rows)]
        return a[self.rows + shift]

    def of_batch(self, a: Array) -> Array:
        """These rows of an array with one row each."""
        return a if self.whole else a[self.batch]

    def put(self, value: Array, a: Array, shift: int = 0) -> None:
        """Write them."""
        if self.whole:
            self.of(a, shift)[...] = value
        else:
            a[self.rows + shift] = value

    def put_batch(self, value: Array, a: Array) -> None:
        """Write those of an array with one row each."""
        a[slice(None) if self.whole else self.batch] = value


def walk(first: Array, lengths: Array, stride: int, *, back: bool = False) -> Iterator[Step]:
    """Every step that some row takes, first to last or `back`."""
    count = len(first)
    longest = int(lengths.max(initial=0))
    whole = abs(stride) == count and bool((lengths == longest).all())
    whole = whole and bool((np.diff(first) == 1).all())
    order = np.arange(count) if whole else np.argsort(-lengths, kind="stable")
    starts, ordered = first[order], -lengths[order]
    for s in range(longest - 1, -1, -1) if back else range(longest):
        active = int(np.searchsorted(ordered, -s))  # those longer than s
        yield Step(starts[:active] + s * stride, order[:active], whole)


def through(a: Array, w: Array, bias: Array, out: Array) -> Array:
    """Fill `out` with a · wᵀ + bias."""
    problem = GemmProblem(1, len(a), len(w), w.shape[1], False, True, a.dtype)
    return LINEAR.compute(Job("forward", problem, (a, w, bias, False), out.shape), out=out)


def back_through(dz: Array, w: Array, out: Array) -> Array:
    """Fill `out` with dz · w."""
    problem = GemmProblem(1, len(dz), w.shape[1], len(w), dtype=dz.dtype)
    return LINEAR.compute(Job("dx", problem, (dz, w), out.shape), out=out)


class Room:
    """Arrays cut from a scratch vector, one after the other."""

    def __init__(self, scratch: Array) -> None:
        self._scratch, self._used = scratch, 0

    def take(self, *shape: int) -> Array:
        """The next array."""
        size = int(np.prod(shape))
        self._used += size
        return self._scratch[self._used - size : self._used].reshape(shape)


def scratch_of(problem: Any, direction: str) -> int:
    """Elements: the inputs' part of all steps where nothing else holds it, and a step's arrays."""
    p = problem
    wide = p.gates * p.h
    step = p.b * (wide + 2 * p.h + 2 * p.p)
    held = direction == "backward" or (p.kind == "lstm" and p.saved)
    return (
        1 + step + (0 if held else (p.steps + p.b) * wide)
    )  # none at all would not be handed over
