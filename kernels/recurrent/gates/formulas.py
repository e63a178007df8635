"""The gates as formulas, for numbers and vectors alike.

    LSTM   i, f, o = σ(z_i), σ(z_f), σ(z_o)      g = tanh(z_g)      c = f·c_prev + i·g      h = o·tanh(c)
    GRU    r, z = σ(z_r), σ(z_z)                 n = tanh(z_n + r·q)        h = (1 − z)·n + z·h_prev
    RNN    h = tanh(z), or max(0, z)

`clip` bounds a pre-activation to [−clip, clip], inf for none; where it bound, no gradient passes. Backward tells that
from the gate, which is then the bound's own (`gate_end`, `candidate_end`): up to four units of rounding, for gates
of another rung. Pre-activations of any size give exact 0, 1 or ±1, and NaN stays NaN.
"""

from kernels.core import jit, simd
from kernels.core.coefficients import EXP2
from kernels.core.simd.bits import of, polynomial, scaled
from kernels.core.vecmath import LOG2_E, at_least, at_most

INFINITY = float("inf")
GATE_END = (104.0, 746.0)  # |z| from which a gate is 0 or 1
CANDIDATE_END = (10.0, 20.0)  # |z| from which a candidate is ±1
NEAR = (1.0 - 4 * 2.0**-23, 1.0 - 4 * 2.0**-52)  # four units of rounding below 1


@jit.inlined
def bounded(z, clip):
    """z, no further from 0 than `clip`, which is of z's type; NaN stays."""
    return at_least(at_most(z, clip), -clip)


@jit.inlined
def parts(t):
    """Return n, f and p such that t = n + f, n whole and |f| ≤ ½, and 2^f = 1 + f·p."""
    n = simd.rint(t)
    f = t - n
    return n, f, polynomial(f, EXP2)


@jit.inlined
def gate(z, clip):
    """σ of the bounded pre-activation: how far the gate is open, 0 to 1.

    1/(1 + 2^(−z·log₂ e)). The bound keeps the exponential in range on both sides, so that a clip costs nothing; and
    the exponent is reduced in one step, not in two as in `vecmath.sigmoid`, a fifth of the time. It is off by z·eps
    then, and as σ′ falls faster than z grows, no gate is off by more than 0.8 eps; of its own size a nearly
    closed one may be off by z·eps.
    """
    end = at_most(clip, of(clip, GATE_END))
    n, f, p = parts(bounded(z, end) * of(z, -LOG2_E))
    one = of(z, 1.0)
    return one / (one + scaled(simd.fma(f, p, one), n))


@jit.inlined
def squash(z, end):
    """tanh of z bounded to [−end, end], `end` at most `CANDIDATE_END`; the same in one step, off by 4 ulp."""
    n, f, p = parts(at_most(simd.absolute(z), end) * of(z, 2 * LOG2_E))
    size, one = scaled(of(z, 1.0), n), of(z, 1.0)
    top = simd.fma(size, f * p, size - one)
    return simd.copysign(top / (top + of(z, 2.0)), z)


@jit.inlined
def tanh(z):
    """All of it."""
    return squash(z, of(z, CANDIDATE_END))


@jit.inlined
def candidate(z, clip):
    """tanh of the bounded pre-activation: what the gates let in."""
    return squash(z, at_most(clip, of(clip, CANDIDATE_END)))


@jit.inlined
def gate_end(clip):
    """Return the values from which a gate counts as bound: below the first, above the second."""
    free = clip == of(clip, INFINITY)
    low = gate(-clip, clip) / of(clip, NEAR)
    high = gate(clip, clip) * of(clip, NEAR)
    return simd.select(free, -clip, low), simd.select(free, clip, high)


@jit.inlined
def candidate_end(clip):
    """Return the magnitude from which a candidate counts as bound."""
    return simd.select(clip == of(clip, INFINITY), clip, tanh(clip) * of(clip, NEAR))


@jit.inlined
def through_gate(dy, y, low, high):
    """Gradient of a gate's pre-activation: dy·y·(1 − y), 0 where it was bound."""
    zero = of(y, 0.0)
    inside = simd.select(y <= low, zero, simd.select(y >= high, zero, dy))
    return inside * (y * (of(y, 1.0) - y))


@jit.inlined
def through_candidate(dy, y, end):
    """Gradient of a candidate's pre-activation: dy·(1 − y²), 0 where it was bound."""
    one = of(y, 1.0)
    inside = simd.select(simd.absolute(y) >= end, of(y, 0.0), dy)
    return inside * ((one - y) * (one + y))


@jit.inlined
def lstm_state(zi, zf, zg, c, clip, coupled):
    """Return i, f, g and the new c; coupled: what is not let in is kept, f = 1 − i."""
    i = gate(zi, clip)
    g = candidate(zg, clip)
    if coupled:
        f = of(i, 1.0) - i
    else:
        f = gate(zf, clip)
    return i, f, g, simd.fma(f, c, i * g)


@jit.inlined
def gru_mix(z, n, h):
    """(1 − z)·n + z·h."""
    return simd.fma(z, h, (of(z, 1.0) - z) * n)


@jit.inlined
def rectified(z):
    """max(0, z); NaN stays."""
    return simd.select(z < of(z, 0.0), of(z, 0.0), z)


@jit.inlined
def take(a, start, left):
    """A vector of a; only its first `left` lanes, unless that is 0."""
    if left == 0:
        return simd.vector(a, start)
    return simd.vector_part(a, start, left)


@jit.inlined
def give(value, a, start, left):
    """Write it likewise."""
    if left == 0:
        simd.put_vector(value, a, start)
    else:
        simd.put_vector_part(value, a, start, left)
