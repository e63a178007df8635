"""The polynomials of `kernels.core.vecmath`, fitted anew: ``python -m bench.minimax`` prints its tables.

Remez's exchange, in 40 digits of mpmath, on the extrema of a Chebyshev grid: with m coefficients the best
polynomial is the one whose weighted error takes its largest value m + 1 times with alternating signs, and
solving for that on m + 1 points, then moving the points to where the error is largest, gets there in a
few rounds. Coefficients are rounded one by one, from the constant up, and those above are fitted again
to what is left, so that the rounding of one is made good by the others (not so where the interval has
zero inside, as `EXP`'s: there the constant alone fits the middle).

The weight turns an error of the polynomial into a relative error of the function that it serves.

Sources: Remez, 1934; Muller, "Elementary Functions", 3rd edition, 2016, chapter 3; Brisebarre and
Chevillard, "Efficient polynomial L∞-approximations", ARITH 2007 (rounding).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf

Function = Callable[[Any], Any]


class Fit(NamedTuple):
    """What a table of coefficients approximates: `f` on [low, high], its error weighed by `weight`."""

    f: Function
    weight: Function
    low: Any
    high: Any
    counts: tuple[int, int]  # coefficients in float32, in float64


def exchange(fit: Fit, powers: range, high: Any, grid: int = 500) -> tuple[list, Any]:
    """Return the coefficients of `powers` and the largest weighted error, in float64's ulp."""
    middle, half = (fit.low + high) / 2, (high - fit.low) / 2
    points = [middle - half * mp.cos(mp.pi * (i + mpf("0.5")) / grid) for i in range(grid)]
    values, weights = ([g(x) for x in points] for g in (fit.f, fit.weight))
    rows = [[x**k for k in powers] for x in points]
    size = len(powers)
    chosen = [round(i * (grid - 1) / size) for i in range(size + 1)]
    for _ in range(20):
        system = mp.matrix(size + 1, size + 1)
        for i, point in enumerate(chosen):
            for j in range(size):
                system[i, j] = rows[point][j]
            system[i, size] = (-1) ** i / weights[point]
        solved = mp.lu_solve(system, mp.matrix([values[point] for point in chosen]))
        found = [solved[j] for j in range(size)]
        errors = [
            weight * (value - mp.fdot(found, row))
            for weight, value, row in zip(weights, values, rows)
        ]
        peaks: list[int] = []
        for i, error in enumerate(errors):
            if peaks and (errors[peaks[-1]] > 0) == (error > 0):
                if abs(error) > abs(errors[peaks[-1]]):
                    peaks[-1] = i
            else:
                peaks.append(i)
        while len(peaks) > size + 1:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if peaks == chosen or len(peaks) < size + 1:
            break
        chosen = peaks
    return found, max(map(abs, errors))


def _less(f: Function, kept: list[float]) -> Function:
    """What is left of `f` when the coefficients found so far have done their part."""
    return lambda x: f(x) - sum(c * x**k for k, c in enumerate(kept))


def rounded(fit: Fit, dtype: Any) -> tuple[list[float], float]:
    """Fit, round and fit again: coefficients as floats of `dtype`, and the error before rounding, in ulp."""
    count = fit.counts[dtype == np.float64]
    high = fit.high[dtype == np.float64] if isinstance(fit.high, tuple) else fit.high
    kept: list[float] = []
    first = None
    for power in range(count):
        found, error = exchange(fit._replace(f=_less(fit.f, kept)), range(power, count), high)
        first = error if first is None else first
        if fit.low < 0:  # x^k … alone fit nothing at 0: all are rounded at once
            kept = [float(dtype(float(c))) for c in found]
            break
        kept.append(float(dtype(float(found[0]))))
    return kept, float(first / mpf(float(np.finfo(dtype).eps)))


POLE = 4  # of the variable in which Φ's tail is fitted


def _tail(v: Any) -> Any:
    """Φ(−a)·exp(a²/2)·(a + 4) where v = (a − 4)/(a + 4)."""
    a = POLE * (1 + v) / (1 - v)
    return mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2 * (a + POLE)


def fits() -> dict[str, Fit]:
    """Return what each table approximates."""
    half = mp.log(2) / 2
    least = mpf("0.02")
    s = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
    return {
        # e^r = 1 + r + r²·q(r); the weight is that of expm1(r)
        "EXP": Fit(
            lambda r: mp.fsum(r**k / mp.factorial(k + 2) for k in range(30)),
            lambda r: max(abs(r), least),
            -half * mpf("1.0001"),
            half * mpf("1.0001"),
            (5, 10),
        ),
        # 2^f = 1 + f·q(f); the weight is that of 2^f
        "EXP2": Fit(
            lambda f: mp.fsum(mp.log(2) ** (k + 1) * f**k / mp.factorial(k + 1) for k in range(30)),
            lambda f: max(abs(f), least),
            mpf("-0.5001"),
            mpf("0.5001"),
            (6, 11),
        ),
        # log((1 + s)/(1 − s)) = 2s + s·z·q(z), z = s²
        "LOG": Fit(
            lambda z: mp.fsum(2 * z**k / (2 * k + 3) for k in range(40)),
            lambda z: z / 2,
            mpf("1e-5"),
            s * s * mpf("1.001"),
            (3, 7),
        ),
        # erf(a) = 1 − exp(−a·q(a))
        "ERF": Fit(
            lambda a: -mp.log(mp.erfc(a)) / a,
            lambda a: a * mp.erfc(a) / mp.erf(a),
            mpf("1e-9"),
            (mpf("3.95"), mpf("5.95")),
            (9, 23),
        ),
        # Φ(−a) = exp(−a²/2)·q(v)/(a + 4), v = (a − 4)/(a + 4)
        "NORMAL": Fit(
            _tail,
            lambda v: 1 / _tail(v),
            mpf(-1),
            tuple(mpf(end - POLE) / (end + POLE) for end in (mpf("14.5"), mpf(39))),
            (10, 23),
        ),
    }


def main() -> None:
    """Print every table and its error."""
    mp.dps = 40
    for name, fit in fits().items():
        print(f"{name} = (")
        for dtype in (np.float32, np.float64):
            found, error = rounded(fit, dtype)
            digits = " ".join(f"{c:.9g}," if dtype == np.float32 else f"{c!r}," for c in found)
            print(f"    ({digits}),  # {error:.3f} ulp")
        print(")")


if __name__ == "__main__":
    main()
