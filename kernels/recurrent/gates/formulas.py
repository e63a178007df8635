"""The gates as formulas, for numbers and vectors alike.

    LSTM   i, f, o = σ(z_i), σ(z_f), σ(z_o)      g = tanh(z_g)      c = f·c_prev + i·g      h = o·tanh(c)
    GRU    r, z = σ(z_r), σ(z_z)                 n = tanh(z_n + r·q)        h = (1 − z)·n + z·h_prev
    RNN    h = tanh(z), or max(0, z)

`clip` bounds a pre-activation to [−clip, clip], inf for none; where it bound, no gradient passes. Backward tells that
from the gate, which is then the bound's own (`gate_end`, `candidate_end`): up to four units of rounding, for gates
of another rung. Pre-activations of any size give exact 0, 1 or ±1, and NaN stays NaN.
"""

from kernels.core import jit, simd
from kernels.core.simd.bits import of
from kernels.core.vecmath import at_least, at_most, sigmoid, tanh

INFINITY = float("inf")
NEAR = (1.0 - 4 * 2.0**-23, 1.0 - 4 * 2.0**-52)  # four units of rounding below 1


@jit.inlined
def bounded(z, clip):
    """z, no further from 0 than `clip`, which is of z's type; NaN stays."""
    return at_least(at_most(z, clip), -clip)


@jit.inlined
def gate(z, clip):
    """σ of the bounded pre-activation: how far the gate is open, 0 to 1."""
    return sigmoid(bounded(z, clip))


@jit.inlined
def candidate(z, clip):
    """tanh of the bounded pre-activation: what the gates let in."""
    return tanh(bounded(z, clip))


@jit.inlined
def gate_end(clip):
    """Return the values from which a gate counts as bound: below the first, above the second."""
    free = clip == of(clip, INFINITY)
    low = sigmoid(-clip) / of(clip, NEAR)
    high = sigmoid(clip) * of(clip, NEAR)
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
