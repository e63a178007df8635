"""What the three sequences share: validation, rows of steps, and the products that end a backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks, memory
from kernels.core.ladder import Job
from kernels.core.packing import Packed
from kernels.gemm.ladder import LINEAR
from kernels.gemm.problem import GemmProblem
from kernels.recurrent.layout import Layout, layout
from kernels.recurrent.problem import GATES

BLOCK = 1024  # rows of a product that is added to another


class Weights(NamedTuple):
    """Validated weights; `w_proj` (0, H) where there is none, and `packed` where they came in a pack."""

    w_ih: np.ndarray
    w_hh: np.ndarray
    w_proj: np.ndarray
    packed: Packed | None

    @property
    def units(self) -> int:
        """H."""
        return self.w_proj.shape[1]

    @property
    def outputs(self) -> int:
        """P: H unless the output is projected."""
        return self.w_hh.shape[1]


def sequence(x: Any) -> np.ndarray:
    """Validate x (T, B, D): the batch alone may be empty."""
    return checks.array("x", x, 3, empty_axes=(1,))


def weights(op: str, x: np.ndarray, w_ih: Any, w_hh: Any, w_proj: Any = None) -> Weights:
    """Validate the weights against x, or take them out of what `kernels.pack` returned."""
    packed = w_ih if isinstance(w_ih, Packed) else None
    if packed is not None:
        packed.check(op, {}, "w_ih")
        for name, value in (("w_hh", w_hh), ("w_proj", w_proj)):
            if value is not None:
                raise ValueError(f"{name}: expected None beside packed weights, which hold it")
        w_ih, w_hh, *rest = packed.arrays
        w_proj = rest[0] if rest else None
    parts = matrices(op, w_ih, w_hh, w_proj, x.dtype)
    d = parts[0].shape[1]
    if x.shape[2] != d:
        raise ValueError(f"x: expected {d} features, as w_ih has columns, got {x.shape[2]}")
    return Weights(*parts, packed)


def matrices(
    op: str, w_ih: Any, w_hh: Any, w_proj: Any, dtype: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Validate w_ih (G·H, D), w_hh (G·H, P) and w_proj (P, H) or None against each other."""
    gates = GATES[op]
    w_ih = checks.array("w_ih", w_ih, 2, dtype, empty_axes=())
    rows = w_ih.shape[0]
    if rows % gates:
        raise ValueError(f"w_ih: expected rows for {gates} gates, a multiple of it, got {rows}")
    units = rows // gates
    if w_proj is None:
        outputs, w_proj = units, np.empty((0, units), w_ih.dtype)
    else:
        w_proj = checks.array("w_proj", w_proj, 2, w_ih.dtype, empty_axes=())
        if w_proj.shape[1] != units:
            raise ValueError(
                f"w_proj: expected {units} columns, a quarter of w_ih's rows, got {w_proj.shape[1]}"
            )
        outputs = w_proj.shape[0]
    w_hh = checks.array("w_hh", w_hh, 2, w_ih.dtype, (rows, outputs))
    return w_ih, w_hh, w_proj


def pack(op: str, w: Any, most: int = 2) -> Packed:
    """Check weights (w_ih, w_hh), and w_proj where `most` is 3, and return them as `kernels.pack` does."""
    if isinstance(w, np.ndarray) or not isinstance(w, Sequence) or not 2 <= len(w) <= most:
        names = "(w_ih, w_hh) or (w_ih, w_hh, w_proj)" if most == 3 else "(w_ih, w_hh)"
        raise TypeError(f"w: expected {names}, got {type(w).__name__}")
    w_ih, w_hh, *rest = w
    w_proj = rest[0] if rest else None
    arrays = matrices(op, w_ih, w_hh, w_proj)
    return Packed(op, arrays[: 2 if w_proj is None else 3], {})


def optional(name: str, value: Any, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray | None:
    """Validate an array that may be None."""
    return None if value is None else checks.array(name, value, len(shape), x.dtype, shape)


def optional_biases(
    b_ih: Any, b_hh: Any, size: int, x: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Validate the two biases, each of which may be None."""
    return optional("b_ih", b_ih, (size,), x), optional("b_hh", b_hh, (size,), x)


def total(biases: tuple, size: int, x: np.ndarray) -> np.ndarray:
    """The sum of two biases, zeros where there is none."""
    given = arrays(*biases)
    if len(given) == 2:
        return given[0] + given[1]
    return given[0] if given else np.zeros(size, x.dtype)


def or_zeros(value: np.ndarray | None, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The array, or zeros where there is none."""
    return np.zeros(shape, dtype) if value is None else value


def bound(clip: Any) -> float:
    """Validate clip; infinity where it is None."""
    return float("inf") if clip is None else checks.real("clip", clip, above=0.0)


def row_lengths(lengths: Any, t: int, b: int) -> np.ndarray | None:
    """Validate lengths (B,), integers from 0 to T; a copy, int64."""
    if lengths is None:
        return None
    if isinstance(lengths, list | tuple):
        lengths = np.asarray(lengths) if len(lengths) else np.empty(0, np.int64)
    lengths = checks.index_array("lengths", lengths, (b,))
    for value in (lengths.min(initial=0), lengths.max(initial=0)):
        if not 0 <= value <= t:
            raise ValueError(f"lengths: expected 0 to {t}, the steps of x, got {value}")
    return lengths.astype(np.int64)


def steps_of(x: np.ndarray, lengths: Any, reverse: Any) -> tuple[Layout, np.ndarray | None]:
    """The layout of x's steps, and the validated lengths."""
    t, b = x.shape[:2]
    valid = row_lengths(lengths, t, b)
    return layout(t, b, valid, checks.flag("reverse", reverse)), valid


def rows_of(x: np.ndarray, steps: Layout) -> np.ndarray:
    """A row a step of x (T, B, …): x itself, or gathered where lengths were given."""
    if not steps.ragged:
        return x.reshape(steps.rows, x.shape[2])
    rows = memory.empty((steps.rows, x.shape[2]), x.dtype)
    steps.gather(x, rows)
    return rows


def batch_of(
    rows: np.ndarray, steps: Layout, shape: tuple[int, ...], out: np.ndarray | None
) -> np.ndarray:
    """(T, B, …) of a steps' rows: a view of them, copied into `out` if there is one."""
    if steps.ragged:
        out = memory.empty(shape, rows.dtype) if out is None else out
        steps.scatter(rows, out)
        return out
    view = rows[: steps.rows].reshape(shape)
    if out is None:
        return view
    out[...] = view
    return out


def arrays(*values: Any) -> list[np.ndarray]:
    """The arrays among some values."""
    return [each for each in values if isinstance(each, np.ndarray)]


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


def check_cache(name: str, cache: Any, kind: type) -> None:
    """Raise TypeError unless `cache` is what `name` returned."""
    if not isinstance(cache, kind):
        raise TypeError(f"cache: expected what {name} returned, got {type(cache).__name__}")


def incoming(dy: Any, cache: Any, outputs: int) -> np.ndarray:
    """Rows of dy (T, B, P); zeros where it is None. Spare rows are zero."""
    t, b = cache.x.shape[:2]
    if dy is None:
        return np.zeros((cache.layout.rows, outputs), cache.x.dtype)
    return rows_of(checks.array("dy", dy, 3, cache.x.dtype, (t, b, outputs)), cache.layout)
