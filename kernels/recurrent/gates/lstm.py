"""An LSTM's gates over the units of one batch row.

Forward: five exponentials and five divisions a unit, 4 + 1 numbers read, 2 written and 4 more where the gates are kept.
Backward: one exponential (tanh(c) is computed again, not kept), 4 + 4 read, 4 + 1 written.

Measured on one core of a Zen 4, 16×256 units in its second cache, ns a unit: forward 1.3 (float32), 3.6 (float64),
kept gates or not (1.5 and 4.3 with each vector's tanh(c) right behind its gates); backward 0.9, 1.9. A clip costs
nothing.
"""

from kernels.core import jit, simd
from kernels.core.simd.bits import of
from kernels.recurrent.gates.formulas import (
    candidate_end,
    gate,
    gate_end,
    give,
    lstm_state,
    take,
    tanh,
    through_candidate,
    through_gate,
)


@jit.inlined
def lstm_block(
    z, iz, gap, c_in, ic, peepholes, ip, hidden, clip, coupled, saved, gates, ig, c_out, ico, left
):  # fmt: skip
    """One vector of units, up to the cell: return o and c."""
    bound = simd.splat(clip, z)
    zi, zf = take(z, iz, left), take(z, iz + gap, left)
    zg, zo = take(z, iz + 2 * gap, left), take(z, iz + 3 * gap, left)
    c = take(c_in, ic, left)
    if peepholes.size > 0:
        zi = simd.fma(take(peepholes, ip, left), c, zi)
        zf = simd.fma(take(peepholes, ip + hidden, left), c, zf)
    i, f, g, c = lstm_state(zi, zf, zg, c, bound, coupled)
    if peepholes.size > 0:
        zo = simd.fma(take(peepholes, ip + 2 * hidden, left), c, zo)
    o = gate(zo, bound)
    give(c, c_out, ico, left)
    if saved:
        give(i, gates, ig, left)
        give(f, gates, ig + hidden, left)
        give(g, gates, ig + 2 * hidden, left)
        give(o, gates, ig + 3 * hidden, left)
    return o, c


@jit.inlined
def lstm_row(
    z, iz, gap, c_in, ic, peepholes, hidden, unit, clip, coupled, saved, gates, ig, c_out, ico, h, ih, count
):  # fmt: skip
    """Fill h, c_out (which may be c_in) and, where saved, the gates, of `count` units from `unit` on.

    `ig` is where i of the first unit lies, as `iz` is; only the peepholes are counted from `unit`. A vector's
    tanh(c) waits for all its gates, and is taken beside the next vector's: one behind the other they are a chain
    longer than the processor looks ahead.
    """
    step = simd.lanes(z)
    whole = count // step * step
    o, c = simd.splat(0, z), simd.splat(0, z)
    for u in range(0, whole, step):
        new_o, new_c = lstm_block(
            z, iz + u, gap, c_in, ic + u, peepholes, unit + u, hidden, clip, coupled,
            saved, gates, ig + u, c_out, ico + u, 0,
        )  # fmt: skip
        if u > 0:
            simd.put_vector(o * tanh(c), h, ih + u - step)
        o, c = new_o, new_c
    if whole > 0:
        simd.put_vector(o * tanh(c), h, ih + whole - step)
    if whole < count:
        o, c = lstm_block(
            z, iz + whole, gap, c_in, ic + whole, peepholes, unit + whole, hidden, clip, coupled,
            saved, gates, ig + whole, c_out, ico + whole, count - whole,
        )  # fmt: skip
        give(o * tanh(c), h, ih + whole, count - whole)


@jit.inlined
def lstm_block_backward(
    dh, ih, gates, ig, hidden, c_prev, icp, c, ic, peepholes, ip, ends, coupled, dc, idc, dc_prev, idp, dz, iz, gap, left
):  # fmt: skip
    """One vector of units."""
    low, high, end = ends
    i, f = take(gates, ig, left), take(gates, ig + hidden, left)
    g, o = take(gates, ig + 2 * hidden, left), take(gates, ig + 3 * hidden, left)
    before, after, above = take(c_prev, icp, left), take(c, ic, left), take(dh, ih, left)
    one, squashed = of(i, 1.0), tanh(after)
    dzo = through_gate(above * squashed, o, low, high)
    slope = (one - squashed) * (one + squashed)
    d = simd.fma(above * o, slope, take(dc, idc, left))
    if peepholes.size > 0:
        d = simd.fma(take(peepholes, ip + 2 * hidden, left), dzo, d)
    dzg = through_candidate(d * i, g, end)
    if coupled:
        dzi = through_gate(d * (g - before), i, low, high)
        dzf = simd.select(i == i, of(i, 0.0), of(i, 0.0))  # a vector, also without the compiler
    else:
        dzi = through_gate(d * g, i, low, high)
        dzf = through_gate(d * before, f, low, high)
    d = d * f
    if peepholes.size > 0:
        d = simd.fma(take(peepholes, ip, left), dzi, d)
        d = simd.fma(take(peepholes, ip + hidden, left), dzf, d)
    give(d, dc_prev, idp, left)
    give(dzi, dz, iz, left)
    give(dzf, dz, iz + gap, left)
    give(dzg, dz, iz + 2 * gap, left)
    give(dzo, dz, iz + 3 * gap, left)


@jit.inlined
def lstm_step_backward(
    dh, ih, gates, ig, hidden, c_prev, icp, c, ic, peepholes, unit, clip, coupled, dc, idc, dc_prev, idp, dz, iz, gap, count
):  # fmt: skip
    """Fill dz and dc_prev; dc is what came from the next step, and may be dc_prev, as dz may be the gates."""
    step = simd.lanes(dz)
    whole = count // step * step
    bound = simd.splat(clip, dz)
    low, high = gate_end(bound)
    ends = low, high, candidate_end(bound)
    for u in range(0, whole, step):
        lstm_block_backward(
            dh, ih + u, gates, ig + u, hidden, c_prev, icp + u, c, ic + u, peepholes, unit + u,
            ends, coupled, dc, idc + u, dc_prev, idp + u, dz, iz + u, gap, 0,
        )  # fmt: skip
    if whole < count:
        u = whole
        lstm_block_backward(
            dh, ih + u, gates, ig + u, hidden, c_prev, icp + u, c, ic + u, peepholes, unit + u,
            ends, coupled, dc, idc + u, dc_prev, idp + u, dz, iz + u, gap, count - whole,
        )  # fmt: skip


@jit.inlined
def lstm_row_backward(
    dh, ih, gates, ig, hidden, c, ic_before, ic_after, peepholes, unit, clip, coupled, dc, idc, dz, iz, gap, count
):  # fmt: skip
    """The same within a sequence: both states are in c, and dc becomes c_prev's gradient."""
    lstm_step_backward(
        dh, ih, gates, ig, hidden, c, ic_before, c, ic_after, peepholes, unit, clip, coupled,
        dc, idc, dc, idc, dz, iz, gap, count,
    )  # fmt: skip
