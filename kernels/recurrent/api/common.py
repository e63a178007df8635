"""What the three sequences share: validation, and rows of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks, memory
from kernels.core.packing import Packed
from kernels.recurrent.layout import Layout, layout
from kernels.recurrent.problem import GATES, SequenceProblem


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
        try:
            lengths = np.asarray(lengths) if len(lengths) else np.empty(0, np.int64)
        except ValueError:
            raise ValueError(f"lengths: expected shape ({b},), got {lengths!r}") from None
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


def described(
    kind: str,
    x: np.ndarray,
    units: int,
    outputs: int,
    steps: Layout,
    *,
    saved: bool,
    clip: float | None,
    **options: bool,
) -> SequenceProblem:
    """The problem; `options` are the cell's own."""
    t, b, d = x.shape
    return SequenceProblem(
        kind,
        t,
        b,
        d,
        units,
        outputs,
        int(steps.lengths.sum()),
        x.dtype,
        saved=saved,
        ragged=steps.ragged,
        reverse=steps.stride < 0,
        clipped=clip is not None,
        **options,
    )


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


def check_cache(name: str, cache: Any, kind: type) -> None:
    """Raise TypeError unless `cache` is what `name` returned."""
    if not isinstance(cache, kind):
        raise TypeError(f"cache: expected what {name} returned, got {type(cache).__name__}")


def shapes_of(cache: Any, outputs: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the gradients that every sequence has."""
    bias = (len(cache.w_ih),)
    return {
        "x": cache.x.shape,
        "w_ih": cache.w_ih.shape,
        "w_hh": cache.w_hh.shape,
        "b_ih": bias,
        "b_hh": bias,
        "h0": (cache.x.shape[1], outputs),
    }


def incoming(dy: Any, cache: Any, outputs: int) -> np.ndarray:
    """Rows of dy (T, B, P); zeros where it is None. Spare rows are zero."""
    t, b = cache.x.shape[:2]
    if dy is None:
        return np.zeros((cache.layout.rows, outputs), cache.x.dtype)
    return rows_of(checks.array("dy", dy, 3, cache.x.dtype, (t, b, outputs)), cache.layout)
