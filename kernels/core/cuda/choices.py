"""What the rungs' choices have in common: the device that tiles are counted against, and whom an array's dtype suits.

Shapes alone decide how a problem is cut, the same on every device, so that the same bits come out.
"""

from __future__ import annotations

from typing import Any

from kernels.core import precision

MULTIPROCESSORS = 132  # of an H100 or H200
PARTS = 8  # that a sum is cut into, at most; they are added in their order
ROUNDED = 2 * 2.0**-11 + 2.0**-22  # of |a|·|b|, where both are rounded to TF32


def halves(problem: Any, direction: str) -> str | None:
    """Refuse what only tensor cores take."""
    if problem.itemsize < 4:
        return f"it sums in the arrays' own dtype, and {problem.dtype} is for tensor_core"
    return None


def tensor_cores(problem: Any, direction: str) -> str | None:
    """Refuse devices without these tensor cores, float64, and float32 where nothing may be rounded."""
    major, minor = problem.capability
    if (major, minor) < (8, 0):
        return f"its instructions need compute capability 8.0, and this device has {major}.{minor}"
    if problem.itemsize == 8:
        return "it multiplies float16, bfloat16, and float32 rounded to TF32, not float64"
    if problem.itemsize == 4 and precision.strict():
        return "it rounds float32 to TF32, which precision('strict') leaves out"
    return None


def tf32_growth(problem: Any, terms: int) -> float | None:
    """By how much TF32 may exceed a plain sum's bound: both factors are rounded, by at most 2⁻¹¹ of themselves."""
    if problem.itemsize < 4:
        return None  # products of 16-bit elements are exact in float32
    return 1 + ROUNDED / ((4 + terms**0.5) * 2.0**-23)
