"""The one check that tests and bench share: is a result as close to its reference as rounding allows?

    |got − value| ≤ (4 + √terms)·eps·scale

value, scale (the sum of the magnitudes that were summed) and terms (how many) come from the family's
reference. Where the reference is NaN the result must be, and nowhere else; infinities must agree. A rung
that states its growth (Winograd's transforms) is held to growth·(4 + √terms)·eps·max(scale) instead.

What is stored in 16 bits was summed in float32: eps is float32's then, and the sum's rounding to what is stored is
allowed beside it, half a unit in the last place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Of the dtypes that NumPy's finfo may not know: what rounding to them may change, of a number and at the least.
HALVES = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 2.0**-134)}


def ratio(got: np.ndarray, judged: tuple[Any, Any, int], growth: float | None = None) -> float:
    """Largest error as a share of its bound: at most 1 passes; infinity where NaN or shape differ."""
    value, scale, terms = (np.asarray(part, np.float64) for part in judged)
    got = np.asarray(got)
    stored = HALVES.get(got.dtype.name)
    got = got.astype(np.float32) if stored else got
    if got.shape != value.shape:
        return float("inf")
    if got.size == 0:
        return 0.0
    exact = (got == value) | (np.isnan(got) & np.isnan(value))
    if exact.all():
        return 0.0
    if growth is not None:
        scale = growth * scale[np.isfinite(scale)].max(initial=0.0)
    info = np.finfo(got.dtype)
    bound = (4 + np.sqrt(terms)) * float(info.eps) * scale + 4 * float(info.smallest_subnormal)
    if stored:
        unit, least = stored
        bound += unit * (np.abs(np.where(np.isfinite(value), value, 0.0)) + bound) + least
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.abs(got.astype(np.float64) - value) / bound
    share = np.where(exact, 0.0, share)
    return float("inf") if np.isnan(share).any() else float(share.max())


def max_error(got: np.ndarray, judged: tuple[Any, Any, int]) -> float:
    """Largest error as a share of the largest value: what is reported; `ratio` is what judges."""
    value, got = np.asarray(judged[0], np.float64), np.asarray(got, np.float64)
    if got.shape != value.shape:
        return float("inf")
    finite = np.isfinite(value)
    error = np.abs(got[finite] - value[finite])
    largest = np.abs(value[finite]).max(initial=0.0) or 1.0
    return float("inf") if np.isnan(error).any() else float(error.max(initial=0.0) / largest)
