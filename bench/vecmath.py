"""Every float32 through `kernels.core.vecmath`, judged in float64: ``python -m bench.vecmath [NAME …]``.

All 2³² bit patterns go in, and the largest error of each function comes out, in units of the last place
of the result (a denormal result's unit is the smallest denormal), with its input. The judge is the C library's
float64 function, whose own error is a few billionths of that unit. NaN must come where the judge says NaN and
nowhere else; an infinity where the result rounds to none that is finite is held to lie at 2¹²⁸.

About a minute a function on two cores. The figures are in vecmath's docstring.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from rich.console import Console
from rich.progress import track

from kernels.core import simd, vecmath

CHUNK = 1 << 16  # inputs that one loop computes before they are judged: they stay in the cache
ROUND = 1 << 24  # inputs of a step of the progress bar
FEWEST = -149  # the smallest denormal float32 is 2^−149


@njit
def _log(x):
    return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)


@njit
def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


@njit
def _normal_cdf(x):
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


JUDGES: dict[str, Callable] = {
    "exp": njit(lambda x: math.exp(x)),
    "log": _log,
    "tanh": njit(lambda x: math.tanh(x)),
    "sigmoid": _sigmoid,
    "erf": njit(lambda x: math.erf(x)),
    "normal_cdf": _normal_cdf,
}


class Worst(NamedTuple):
    """The largest error found, in units of the last place, and its input."""

    error: float
    x: float


@njit
def error(got: float, true: float) -> float:
    """Return |got − true| in units of float32's last place at `true`; infinity where only one is NaN."""
    if math.isnan(got) or math.isnan(true):
        return 0.0 if math.isnan(got) and math.isnan(true) else math.inf
    end = 2.0**128
    got, true = min(max(got, -end), end), min(max(true, -end), end)
    if got == true:
        return 0.0
    unit = max(math.frexp(true)[1] - 24, FEWEST)
    return math.ldexp(abs(got - true), -unit)


@njit
def judged(x, y, judge):
    """Return the largest error of y, and where it is."""
    most, where = 0.0, 0
    for i in range(x.shape[0]):
        one = error(np.float64(y[i]), judge(np.float64(x[i])))  # Numba's float() keeps float32
        if one > most:
            most, where = one, i
    return most, where


def _loop(function: Any) -> Callable:
    @njit(nogil=True, error_model="numpy")
    def run(x, y):
        step = simd.lanes(y)
        for start in range(0, y.shape[0] - step + 1, step):
            simd.put_vector(function(simd.vector(x, start)), y, start)

    return run


def _walk(name: str) -> Callable[[int, int], Worst]:
    """Return what judges the inputs of the bit patterns [first, last)."""
    loop, judge = _loop(getattr(vecmath, name)), JUDGES[name]

    @njit(nogil=True, error_model="numpy")
    def walk(first, last):
        bits, y = np.empty(CHUNK, np.uint32), np.empty(CHUNK, np.float32)
        x = bits.view(np.float32)
        most, where = 0.0, np.float32(0)
        for start in range(first, last, CHUNK):
            for i in range(CHUNK):
                bits[i] = start + i
            loop(x, y)
            one, i = judged(x, y, judge)
            if one > most:
                most, where = one, x[i]
        return most, where

    return lambda first, last: Worst(*walk(first, last))


def sweep(
    name: str, threads: int, rounds: Sequence[int] = range(0, 1 << 32, ROUND), size: int = ROUND
) -> Worst:
    """Return the worst of the bit patterns from each of `rounds` on, `size` of them."""
    walk = _walk(name)
    walk(0, CHUNK)
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda first: walk(first, first + size), rounds)
        quiet = not Console().is_terminal
        return max(track(found, name, total=len(rounds), transient=True, disable=quiet))


def main(argv: Sequence[str] | None = None) -> None:
    """Sweep the functions asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench.vecmath", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(JUDGES)} (all)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args(argv)
    for name in options.names:
        if name not in JUDGES:
            parser.error(f"NAME: expected one of {sorted(JUDGES)}, got {name!r}")
    console = Console()
    for name in options.names or JUDGES:
        worst = sweep(name, options.threads)
        console.print(f"{name:<10} {worst.error:.3f} ulp at {worst.x!r} ({worst.x.hex()})")


if __name__ == "__main__":
    main()
