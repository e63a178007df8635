"""exp, log, tanh, sigmoid, erf and Φ without a branch, a table or a call: one formula for number and vector.

Called with a number they are scalar formulas, which the compiler spreads over vectors in a plain loop; called
with a vector (`kernels.core.simd`) they compute that. Where a case must be told apart, both sides are
computed and one is selected. NaN stays NaN, infinities go to their limits, denormal numbers are taken
and given.

*Argument reduction.* x = n·log 2 + r with n whole and |r| ≤ ½ log 2, so e^x = 2ⁿ·e^r, and on so short an
interval e^r is a polynomial of a few terms. log 2 comes in two parts, the first with so few bits that n times
it is exact: subtracting it first loses nothing where n·log 2 and x nearly cancel (Cody and Waite). 2ⁿ goes
into the exponent's bits, last, so that a denormal result is rounded once. The logarithm takes
the same way back: x = 2ⁿ·m, m from √½ to √2.

tanh and erf are odd and vanish at 0, where 1 − e^… would lose all digits: they go by e^r − 1, which has a
polynomial without a constant.

    function     error in ulp: float32, float64     ns an element: float32, float64
    exp          0.93   0.84                        0.17   0.55
    log          0.83   0.80                        0.40   0.98
    tanh         2.52   2.4                         0.28   0.76
    sigmoid      2.41   1.9                         0.25   0.74
    erf          3.22   2.9                         0.42   2.0
    normal_cdf   4.03   3.4                         0.55   2.0

float32: the largest of all 2³² inputs (``python -m bench.vecmath``). float64: of some 18,000, against mpmath. Times
are one core's of a Zen 4 with AVX-512, arrays in its second cache; the C library's take 3 to 12 ns.

Sources: Cody and Waite, "Software Manual for the Elementary Functions", 1980, chapters 5, 6 and 13; Muller,
"Elementary Functions", 3rd edition, 2016, chapters 3 and 11; the logarithm's form from fdlibm's e_log.c (Sun
Microsystems, 1993). The coefficients are our own (`kernels.core.coefficients`).
"""

from __future__ import annotations

from kernels.core import jit, simd
from kernels.core.coefficients import ERF, EXP, LOG, NORMAL
from kernels.core.simd.bits import exponent, mantissa, of, polynomial, scaled

# Pairs: for float32, for float64.
LOG2_E = 1.4426950408889634
LN2_HIGH = (0.693359375, 0.6931471803691238)
LN2_LOW = (-2.1219444005469058e-4, 1.9082149292705877e-10)
EXP_LOW, EXP_HIGH = (-104.0, -746.0), (89.0, 710.0)  # below: 0; above: infinity
TANH_END = (20.0, 40.0)  # 2|x| from which tanh rounds to 1
ERF_END = (3.95, 5.95)  # the same of erf
NORMAL_END = (14.7, 39.0)  # a from which Φ(−a) rounds to 0, and its density
INFINITY, NAN = float("inf"), float("nan")


@jit.inlined
def at_most(x, end):
    """Return the smaller; NaN stays if x is it. One instruction, where `simd.minimum` takes three."""
    return simd.select(x > end, end, x)


@jit.inlined
def at_least(x, end):
    """Return the larger; NaN stays if x is it."""
    return simd.select(x < end, end, x)


@jit.inlined
def reduced(x):
    """Return n and r such that x = n·log 2 + r, |r| ≤ ½ log 2."""
    n = simd.rint(x * of(x, LOG2_E))
    r = simd.fma(n, -of(x, LN2_HIGH), x)
    return n, simd.fma(n, -of(x, LN2_LOW), r)


@jit.inlined
def exp_near(r):
    """e^r of a reduced r: 1 + r·(1 + r·q(r))."""
    one = of(r, 1.0)
    return simd.fma(r, simd.fma(r, polynomial(r, EXP), one), one)


@jit.inlined
def expm1_near(r):
    """e^r − 1 of a reduced r: r + r²·q(r)."""
    return simd.fma(r * r, polynomial(r, EXP), r)


@jit.inlined
def exp(x):
    """e^x."""
    n, r = reduced(at_least(at_most(x, of(x, EXP_HIGH)), of(x, EXP_LOW)))
    return scaled(exp_near(r), n)


@jit.inlined
def exp_below(x):
    """e^x for x ≤ 0: a comparison less."""
    n, r = reduced(at_least(x, of(x, EXP_LOW)))
    return scaled(exp_near(r), n)


@jit.inlined
def exp_minus(a):
    """e^−a for a ≥ 0."""
    return exp_below(-a)


@jit.inlined
def log(x):
    """Natural logarithm: −∞ at 0, NaN below.

    With x = 2ⁿ·(1 + f), s = f/(2 + f) and z = s²: log(1 + f) = log((1 + s)/(1 − s)) = 2s + s·z·q(z), and
    as 2s = f − s·f it is f − (½f² − s·(½f² + z·q(z))), whose first term is exact and by far the largest.
    """
    zero = of(x, 0.0)
    n = exponent(x)
    f = mantissa(x) - of(x, 1.0)
    s = f / (of(x, 2.0) + f)
    z = s * s
    half_square = of(x, 0.5) * f * f
    rest = simd.fma(s, simd.fma(z, polynomial(z, LOG), half_square), n * of(x, LN2_LOW))
    y = simd.fma(n, of(x, LN2_HIGH), f - (half_square - rest))
    y = simd.select(x < of(x, INFINITY), y, x)
    y = simd.select(x == zero, of(x, -INFINITY), y)
    return simd.select(x < zero, of(x, NAN), y)


@jit.inlined
def tanh(x):
    """(e^2a − 1)/(e^2a + 1) with x's sign, a = |x|; with e^2a = 2ⁿ·(1 + p), e^2a − 1 = 2ⁿ·p + (2ⁿ − 1)."""
    a = simd.absolute(x)
    n, r = reduced(at_most(a + a, of(x, TANH_END)))
    power = scaled(of(x, 1.0), n)
    top = simd.fma(power, expm1_near(r), power - of(x, 1.0))
    return simd.copysign(top / (top + of(x, 2.0)), x)


@jit.inlined
def sigmoid(x):
    """1/(1 + e^−x), below zero e^x/(1 + e^x): no exponential overflows, and small results keep their digits."""
    one = of(x, 1.0)
    e = exp_minus(simd.absolute(x))
    return simd.select(x < of(x, 0.0), e, one) / (one + e)


@jit.inlined
def erf(x):
    """1 − e^(−a·q(a)) with x's sign, a = |x|, where a·q(a) = −log(1 − erf(a)).

    q is smooth, from 2/√π at 0 to a; and an error in it shrinks on its way through 1 − e^…, by as much as
    erf's slope falls, so a short polynomial does for all of the axis.
    """
    a = at_most(simd.absolute(x), of(x, ERF_END))
    n, r = reduced(-(a * polynomial(a, ERF)))
    power = scaled(of(x, 1.0), n)
    return simd.copysign(simd.fma(-power, expm1_near(r), of(x, 1.0) - power), x)


@jit.inlined
def gauss(x):
    """Return n, e and q such that e^(−x²/2) = 2ⁿ·e and Φ(−|x|) = 2ⁿ·q.

    Rounding x² alone would cost x²/2 units in the last place: what it loses goes into the reduced argument.
    Φ(−a)·e^(a²/2) falls as 1/a, so (a + 4) times it is nearly flat, in v = (a − 4)/(a + 4), which brings all of
    the axis to [−1, 1]. 2ⁿ is left to the caller, to be applied last.
    """
    a = at_most(simd.absolute(x), of(x, NORMAL_END))
    square = a * a
    n, r = reduced(of(x, -0.5) * square)
    e = exp_near(simd.fma(of(x, -0.5), simd.fma(a, a, -square), r))
    d = a + of(x, 4.0)
    v = simd.fma(of(x, 2.0), a / d, of(x, -1.0))
    return n, e, e / d * polynomial(v, NORMAL)


@jit.inlined
def normal_cdf(x):
    """Φ(x) = ½·erfc(−x/√2), with all its digits where x is negative."""
    n, _, q = gauss(x)
    tail = scaled(q, n)
    return simd.select(x > of(x, 0.0), of(x, 1.0) - tail, tail)
