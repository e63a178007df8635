"""The exponential functions against mpmath and float64; as numbers, as vectors, as plain Python."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from mpmath import mp
from numba import njit

from bench import minimax
from bench import vecmath as sweep
from kernels.core import coefficients, simd, vecmath
from kernels.core.simd.width import X86

TRUE = {
    "exp": mp.exp,
    "log": mp.log,
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "erf": mp.erf,
    "normal_cdf": lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 50 else mp.mpf(x > 0),
}
# ulp; of float32 the worst of all inputs, which a sample may not pass
MOST = {"exp": 0.93, "log": 0.83, "tanh": 2.52, "sigmoid": 2.41, "erf": 3.22, "normal_cdf": 4.03}
LIMIT = {"exp": 2, "log": 4, "tanh": 4, "sigmoid": 4, "erf": 4, "normal_cdf": 4.1}
ENDS = {  # values at −∞, −0, 0, ∞
    "exp": (0, 1, 1, np.inf),
    "log": (np.nan, -np.inf, -np.inf, np.inf),
    "tanh": (-1, -0.0, 0, 1),
    "sigmoid": (0, 0.5, 0.5, 1),
    "erf": (-1, -0.0, 0, 1),
    "normal_cdf": (0, 0.5, 0.5, 1),
}
NAMES = pytest.mark.parametrize("name", TRUE)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def loops(name):
    """The same formula in a plain loop and over vectors."""
    function = getattr(vecmath, name)

    @njit(error_model="numpy")
    def plain(x, y):
        for i in range(y.shape[0]):
            y[i] = function(x[i])

    @njit(error_model="numpy")
    def vectors(x, y):
        step = simd.lanes(y)
        for start in range(0, y.shape[0], step):
            simd.put_vector(function(simd.vector(x, start)), y, start)

    return plain, vectors


def both(name, x):
    """Results of both loops, which must be the same to the bit (a NaN's own bits aside)."""
    padded = np.concatenate([x, np.ones(-len(x) % 16, x.dtype)])
    results = []
    for loop in loops(name):
        y = np.full_like(padded, 77)
        loop(padded, y)
        results.append(y[: len(x)])
    np.testing.assert_array_equal(*results)
    assert np.array_equal(*map(np.signbit, results))
    return results[1]


def points(name, dtype, rng, count=400):
    """Inputs from all of the range where the result is neither 0, 1 nor infinite, and from around 0 and 1."""
    info = np.finfo(dtype)
    span = {"exp": 1, "sigmoid": 1, "log": 0, "tanh": 0.03, "erf": 0.01, "normal_cdf": 0.055}[name]
    end, top = -np.log(float(info.smallest_subnormal)), np.log(float(info.max))
    parts = [
        rng.uniform(-end * span, end * span, count),
        rng.standard_normal(count),
        rng.standard_normal(count) * 10.0 ** rng.uniform(-30, 0, count),
        1 + rng.standard_normal(count) * 1e-3,
        np.exp(rng.uniform(-end, 0.999 * top, count)),
        [info.tiny, info.smallest_subnormal, info.max, 1, 2, np.sqrt(0.5), np.sqrt(2), 0.125],
        np.log(2) * np.arange(-20.5, 20.5, 0.5),
    ]
    x = np.concatenate(parts).astype(dtype)
    return np.abs(x) if name == "log" else np.concatenate([x, -x[-100:]])


def ulps(got, x, true):
    """Errors in units of the last place of the result."""
    info = np.finfo(got.dtype)
    least = info.minexp - info.nmant
    errors = []
    for one, at in zip(got, x):
        exact = true(mp.mpf(float(at)))
        if abs(exact) > mp.mpf(float(info.max)):
            errors.append(0.0 if math.isinf(one) else math.inf)
            continue
        unit = max(mp.frexp(exact)[1] - info.nmant - 1, least) if exact else least
        errors.append(float(mp.ldexp(abs(mp.mpf(float(one)) - exact), -unit)))
    return np.array(errors)


@NAMES
@DTYPES
def test_against_mpmath(name, dtype, rng):
    x = points(name, dtype, rng)
    with mp.workdps(60):
        errors = ulps(both(name, x), x, TRUE[name])
    worst = errors.argmax()
    limit = MOST[name] if dtype == np.float32 else LIMIT[name]
    assert errors[worst] <= limit, f"{errors[worst]} ulp at {x[worst]!r}"


@NAMES
def test_float32_against_float64(name, rng):
    starts = rng.choice(1 << 16, 64, replace=False).astype(np.int64) * sweep.CHUNK
    worst = sweep.sweep(name, 1, [int(start) for start in starts], sweep.CHUNK)
    assert worst.error <= MOST[name], worst


@NAMES
@DTYPES
def test_ends_and_nan(name, dtype):
    x = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan, -np.nan], dtype)
    y = both(name, x)
    np.testing.assert_array_equal(y, [*ENDS[name], np.nan, np.nan])
    if name in ("tanh", "erf"):
        assert np.signbit(y[1])
        big = both(name, np.array([30, -30, 1e30, -1e30], dtype))
        np.testing.assert_array_equal(big, [1, -1, 1, -1])


@DTYPES
def test_denormal_numbers_are_taken_and_given(dtype):
    info = np.finfo(dtype)
    least, end = float(info.smallest_subnormal), float(np.log(float(info.smallest_subnormal)))
    x = np.array([end, end - 0.6, end - 1, end + 3], dtype)
    want = np.exp(x.astype(np.float64)) if dtype == np.float32 else np.exp(x)
    for name in ("exp", "sigmoid"):
        np.testing.assert_allclose(both(name, x), want, rtol=0, atol=1.01 * least)
    small = np.array([least, -least, 8 * least], dtype)
    np.testing.assert_array_equal(both("tanh", small), small)
    np.testing.assert_allclose(both("log", np.abs(small))[0], end, rtol=1e-6)


def test_gauss_gives_the_density_too(rng):
    @njit
    def density(x, y):
        for start in range(0, len(y), simd.lanes(y)):
            n, e, _ = vecmath.gauss(simd.vector(x, start))
            simd.put_vector(vecmath.scaled(e, n), y, start)

    x = rng.uniform(-38, 38, 800)
    y = np.empty_like(x)
    density(x, y)
    with mp.workdps(40):
        errors = ulps(y, x, lambda x: mp.exp(-x * x / 2))
    assert errors.max() < 2


@NAMES
@pytest.mark.skipif(simd.BITS < 256 or not X86, reason="reads x86's assembly")
def test_plain_loops_become_vectors(name):
    plain, _ = loops(name)
    plain(np.ones(64, np.float32), np.ones(64, np.float32))
    (assembly,) = plain.inspect_asm().values()
    assert re.search(r"vfn?madd\w+ps\s.*%[yz]mm", assembly)


def test_without_compiler():
    """The same functions on NumPy's arrays and numbers; nothing is fused there, so a little less exact."""
    code = """
import math, numpy as np
import kernels
from kernels.core import vecmath
x = np.array([-np.inf, -90, -2, -0.3, 0.0, 0.2, 3, np.inf, np.nan], np.float32)
erf = np.vectorize(math.erf)
wide = x.astype(np.float64)
with np.errstate(all="ignore"):
    for name, want in {
        "exp": np.exp(wide), "log": np.log(wide), "tanh": np.tanh(wide),
        "sigmoid": 1 / (1 + np.exp(-wide)), "erf": erf(wide),
        "normal_cdf": (1 + erf(wide / 2**0.5)) / 2,
    }.items():
        y = getattr(vecmath, name)(x)
        assert y.dtype == np.float32, name
        np.testing.assert_allclose(y, want, rtol=5e-7, atol=1e-16, err_msg=name)
        one = getattr(vecmath, name)(np.float32(0.2))
        np.testing.assert_allclose(one, want[5], rtol=5e-7)
    rows = np.random.default_rng(0).standard_normal((3, 21)).astype(np.float32)
    for name in ("relu", "gelu", "silu", "softmax", "log_softmax"):
        want = getattr(kernels, name)(rows, algorithm="naive")
        for axis in ({}, {"axis": 0}) if "softmax" in name else ({},):
            want = getattr(kernels, name)(rows, **axis, algorithm="naive")
            got = getattr(kernels, name)(rows, **axis, algorithm="vectorised")
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
"""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_coefficients_are_what_minimax_finds():
    with mp.workdps(40):
        for name in ("EXP", "LOG"):
            found, error = minimax.rounded(minimax.fits()[name], np.float32)
            np.testing.assert_allclose(found, getattr(coefficients, name)[0], rtol=2e-7)
            assert error < 0.2
