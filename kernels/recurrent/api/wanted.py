"""The gradients that a sequence's backward is asked for, and the products that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kernels.core import checks, memory
from kernels.core.ladder import Job
from kernels.gemm.ladder import LINEAR
from kernels.gemm.problem import GemmProblem
from kernels.recurrent.layout import Layout

BLOCK = 1024  # rows of a product that is added to another


def _product(dz: np.ndarray, w: np.ndarray) -> Job:
    """The job of dz · w."""
    problem = GemmProblem(1, len(dz), w.shape[1], w.shape[0], dtype=w.dtype)
    return Job("dx", problem, (dz, w), (len(dz), w.shape[1]))


class Wanted:
    """The gradients that a backward is asked for, and the caller's outputs, all checked before any is written.

    Parameters
    ----------
    cache : named tuple
        The forward's; a gradient that is None there was not given to the forward.
    kind : type
        The gradients' named tuple, whose fields are the forward's arrays.
    needs, out
        As the public function's.
    shapes : mapping of str to tuple of int
        Of all gradients that exist.
    taken : sequence of numpy.ndarray
        What no output may overlap.
    """

    def __init__(
        self,
        cache: Any,
        kind: Any,
        needs: Any,
        out: Any,
        shapes: Mapping[str, tuple[int, ...]],
        taken: Sequence[np.ndarray],
    ) -> None:
        self.kind, self.shapes, self.dtype = kind, shapes, cache.x.dtype
        every = tuple(each for each in kind._fields if getattr(cache, each) is not None)
        self.needs = every if needs is None else checks.needs(needs, kind._fields)
        self.bare = needs is not None and len(self.needs) == 1
        for each in self.needs:
            if each not in shapes:
                raise ValueError(f"needs: {each!r} was not given to the forward")
        self._given = checks.outs(out, self.needs)
        taken = list(taken)
        for each in self.needs:
            given = self._given[each]
            if given is not None:
                checks.out(given, shapes[each], self.dtype, taken)
                taken.append(given)
        self._results: dict[str, np.ndarray] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.needs

    def room(self, name: str) -> np.ndarray:
        """Where a gradient goes: the caller's output or a fresh array, also if it is only on the way."""
        if name not in self._results:
            given = self._given.get(name)
            self._results[name] = (
                memory.empty(self.shapes[name], self.dtype) if given is None else given
            )
        return self._results[name]

    def weight(self, name: str, *products: tuple[np.ndarray, np.ndarray]) -> None:
        """Fill a weight's gradient: of each pair the product dzᵀ · a, one pair's rows after the other's."""
        if name not in self:
            return
        dw, start = self.room(name), 0
        for dz, a in products:
            end = start + dz.shape[1]
            problem = GemmProblem(1, dz.shape[1], a.shape[1], len(dz), True, dtype=self.dtype)
            LINEAR.compute(
                Job("dw", problem, (dz, a), (end - start, a.shape[1])), out=dw[start:end]
            )
            start = end

    def biases(self, ih: Sequence[np.ndarray], hh: Sequence[np.ndarray]) -> None:
        """Fill b_ih's and b_hh's gradients: the sums over the rows of each part, one after the other."""
        done: dict[int, np.ndarray] = {}
        for name, parts in (("b_ih", ih), ("b_hh", hh)):
            start = 0
            for dz in parts if name in self else ():
                db = self.room(name)[start : start + dz.shape[1]]
                start += dz.shape[1]
                if id(dz) in done:
                    db[:] = done[id(dz)]
                    continue
                problem = GemmProblem(1, 1, dz.shape[1], len(dz), dtype=self.dtype)
                done[id(dz)] = LINEAR.compute(Job("db", problem, (dz,), db.shape), out=db)

    def inputs(self, steps: Layout, *products: tuple[np.ndarray, np.ndarray]) -> None:
        """Fill x's gradient: the sum of the products dz · w, put where x's steps are."""
        if "x" not in self:
            return
        dx, shape = self.room("x"), (steps.rows, self.shapes["x"][2])
        rows = memory.empty(shape, self.dtype) if steps.ragged else dx.reshape(shape)
        (dz, w), *others = products
        LINEAR.compute(_product(dz, w), out=rows)
        for dz, w in others:  # some rows at a time: all of them would be scratch as large as x
            for start in range(0, len(dz), BLOCK):
                rows[start : start + BLOCK] += LINEAR.compute(
                    _product(dz[start : start + BLOCK], w)
                )
        if steps.ragged:
            steps.scatter(rows, dx)

    def result(self) -> Any:
        """The named tuple, or the one array."""
        if self.bare:
            return self._results[self.needs[0]]
        found = {each: self._results[each] for each in self.needs}
        return self.kind(*(found.get(each) for each in self.kind._fields))
