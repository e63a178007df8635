"""Constants, polynomials and exponents, for formulas that are written once.

As in `elementwise`, each takes a number or a vector in compiled code and gives the same kind back; as plain
Python, a NumPy array too. A *constant* here is a number, or a pair of them, for float32 and for float64; a
table of coefficients is a pair of tuples.

A float is (−1)^sign · 1.fraction · 2^exponent, its bits in the order sign, exponent, fraction: so an integer
shifted into the exponent's place is a power of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from kernels.core.simd import lowering as _lowering
from kernels.core.simd.lowering import bits as _bits

bits: Any = _bits  # typed by Numba
lowering: Any = _lowering


def of(x: Any, constant: Any) -> Any:
    """Return a constant in x's dtype: a number beside a number, all lanes beside a vector."""
    dtype = np.asarray(x).dtype
    pair = constant if isinstance(constant, tuple) else (constant, constant)
    return dtype.type(pair[dtype == np.float64])


def polynomial(x: Any, table: Any) -> Any:
    """Return c₀ + c₁x + c₂x² + …, by Horner's rule, each step rounded once."""
    coefficients = table[np.asarray(x).dtype == np.float64]
    total = of(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * x + of(x, c)
    return total


def scaled(x: Any, n: Any) -> Any:
    """Return x · 2ⁿ, rounded once; n a whole number as a float, within twice the exponent's range."""
    with np.errstate(all="ignore"):
        return np.ldexp(x, np.nan_to_num(n).astype(np.int32))


def mantissa(x: Any) -> Any:
    """Return m such that x = m · 2ⁿ and √½ ≤ m < √2; for x positive and finite, denormal too."""
    return np.ldexp(x, -exponent(x).astype(np.int32))


def exponent(x: Any) -> Any:
    """Return that n, as a float."""
    m, n = np.frexp(x)
    return (n - (m < np.sqrt(0.5))).astype(np.asarray(x).dtype)


def _wide(x: Any) -> int:
    """Which of a pair is x's."""
    return int(getattr(x, "dtype", x) == types.float64)


@overload(of)
def _of(x, constant):
    if not isinstance(constant, types.BaseTuple):
        return lambda x, constant: lowering.constant(constant, x)
    which = _wide(x)
    return lambda x, constant: lowering.constant(constant[which], x)


@overload(polynomial)
def _polynomial(x, table):
    which = _wide(x)
    return lambda x, table: bits.polynomial(x, table[which])


@overload(scaled)
def _scaled(x, n):
    return lambda x, n: bits.scaled(x, n)


@overload(mantissa)
def _mantissa(x):
    return lambda x: bits.mantissa(x)


@overload(exponent)
def _exponent(x):
    return lambda x: bits.exponent(x)
