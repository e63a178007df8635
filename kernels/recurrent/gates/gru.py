"""A GRU's gates over the units of one batch row, whole or in the two halves between which U_n's product stands.

linear_before_reset        n = tanh(W_n x + b + r·(U_n h_prev + b'))       one row function
not linear_before_reset    n = tanh(W_n x + b + U_n (r·h_prev) + b')       reset, the product, finish
"""

from kernels.core import jit, simd
from kernels.core.simd.bits import of
from kernels.recurrent.gates.formulas import (
    candidate,
    candidate_end,
    gate,
    gate_end,
    give,
    gru_mix,
    take,
    through_candidate,
    through_gate,
)


@jit.inlined
def gru_finished(r, update, zn, q, h_in, ihp, clip, saved, gates, ig, hidden, h, ih, left):
    """From the first two gates to h, and to what is kept where saved."""
    before = take(h_in, ihp, left)
    n = candidate(simd.fma(r, q, zn), clip)
    give(gru_mix(update, n, before), h, ih, left)
    if saved:
        give(r, gates, ig, left)
        give(update, gates, ig + hidden, left)
        give(n, gates, ig + 2 * hidden, left)
        give(q, gates, ig + 3 * hidden, left)


@jit.inlined
def gru_pair_block(zx, ix, zh, iz, gap, bound, left):
    """One vector of units, up to what n is made of: r, z, n's part of x, and q."""
    r = gate(take(zx, ix, left) + take(zh, iz, left), bound)
    update = gate(take(zx, ix + gap, left) + take(zh, iz + gap, left), bound)
    return r, update, take(zx, ix + 2 * gap, left), take(zh, iz + 2 * gap, left)


@jit.inlined
def gru_pair_row(zx, ix, zh, iz, gap, h_in, ihp, clip, saved, gates, ig, hidden, h, ih, count):
    """Fill h and the gates from the input's pre-activations and the state's, three stretches each.

    A vector's candidate waits for its r, and is made beside the next vector's gates, as in `lstm_row`.
    """
    step, bound = simd.lanes(zx), simd.splat(clip, zx)
    whole = count // step * step
    made = bound, bound, bound, bound
    for u in range(0, whole, step):
        new = gru_pair_block(zx, ix + u, zh, iz + u, gap, bound, 0)
        if u > 0:
            r, update, zn, q = made
            v = u - step
            gru_finished(
                r, update, zn, q, h_in, ihp + v, bound, saved, gates, ig + v, hidden, h, ih + v, 0
            )  # fmt: skip
        made = new
    if whole > 0:
        r, update, zn, q = made
        v = whole - step
        gru_finished(
            r, update, zn, q, h_in, ihp + v, bound, saved, gates, ig + v, hidden, h, ih + v, 0
        )  # fmt: skip
    if whole < count:
        left = count - whole
        r, update, zn, q = gru_pair_block(zx, ix + whole, zh, iz + whole, gap, bound, left)
        gru_finished(
            r, update, zn, q, h_in, ihp + whole, bound, saved, gates, ig + whole, hidden, h, ih + whole, left
        )  # fmt: skip


@jit.inlined
def gru_block_backward(
    dh, ih, gates, ig, hidden, h_in, ihp, ends, drz, irz, gap, dn, idn, dq, idq, left
):
    """One vector of units."""
    low, high, end = ends
    r, update = take(gates, ig, left), take(gates, ig + hidden, left)
    n, q = take(gates, ig + 2 * hidden, left), take(gates, ig + 3 * hidden, left)
    d, before = take(dh, ih, left), take(h_in, ihp, left)
    inner = through_candidate(d * (of(n, 1.0) - update), n, end)
    give(through_gate(inner * q, r, low, high), drz, irz, left)
    give(through_gate(d * (before - n), update, low, high), drz, irz + gap, left)
    give(inner, dn, idn, left)
    give(inner * r, dq, idq, left)
    give(d * update, dh, ih, left)


@jit.inlined
def gru_row_backward(
    dh, ih, gates, ig, hidden, h_in, ihp, clip, drz, irz, gap, dn, idn, dq, idq, count
):
    """Fill drz (two stretches), dn and dq = r·dn; dh, all of h's gradient, becomes h_prev's direct part z·dh."""
    step = simd.lanes(drz)
    whole = count // step * step
    bound = simd.splat(clip, drz)
    low, high = gate_end(bound)
    ends = low, high, candidate_end(bound)
    for u in range(0, whole, step):
        gru_block_backward(
            dh, ih + u, gates, ig + u, hidden, h_in, ihp + u, ends,
            drz, irz + u, gap, dn, idn + u, dq, idq + u, 0,
        )  # fmt: skip
    if whole < count:
        u = whole
        gru_block_backward(
            dh, ih + u, gates, ig + u, hidden, h_in, ihp + u, ends,
            drz, irz + u, gap, dn, idn + u, dq, idq + u, count - whole,
        )  # fmt: skip


@jit.inlined
def gru_reset_block(z, iz, gap, h_in, ihp, clip, saved, gates, ig, hidden, rh, irh, left):
    """One vector of units."""
    bound = simd.splat(clip, z)
    r, update = gate(take(z, iz, left), bound), gate(take(z, iz + gap, left), bound)
    reset = r * take(h_in, ihp, left)
    give(update, z, iz + gap, left)
    give(reset, rh, irh, left)
    if saved:
        give(r, gates, ig, left)
        give(update, gates, ig + hidden, left)
        give(reset, gates, ig + 3 * hidden, left)


@jit.inlined
def gru_reset_row(z, iz, gap, h_in, ihp, clip, saved, gates, ig, hidden, rh, irh, count):
    """The half before U_n's product: fill rh = r·h_prev; z's own pre-activation gives way to the gate z.

    Where saved, r, z and r·h_prev are kept, the last where q is otherwise.
    """
    step = simd.lanes(z)
    whole = count // step * step
    for u in range(0, whole, step):
        gru_reset_block(
            z, iz + u, gap, h_in, ihp + u, clip, saved, gates, ig + u, hidden, rh, irh + u, 0
        )  # fmt: skip
    if whole < count:
        gru_reset_block(
            z, iz + whole, gap, h_in, ihp + whole, clip, saved, gates, ig + whole, hidden,
            rh, irh + whole, count - whole,
        )  # fmt: skip


@jit.inlined
def gru_finish_block(z, iz, gap, h_in, ihp, clip, saved, gates, ig, hidden, h, ih, left):
    """One vector of units."""
    update, before = take(z, iz + gap, left), take(h_in, ihp, left)
    n = candidate(take(z, iz + 2 * gap, left), simd.splat(clip, z))
    give(gru_mix(update, n, before), h, ih, left)
    if saved:
        give(n, gates, ig + 2 * hidden, left)


@jit.inlined
def gru_finish_row(z, iz, gap, h_in, ihp, clip, saved, gates, ig, hidden, h, ih, count):
    """The half after it: fill h. z holds the gate z in its second stretch, all of n's pre-activation in its third."""
    step = simd.lanes(z)
    whole = count // step * step
    for u in range(0, whole, step):
        gru_finish_block(
            z, iz + u, gap, h_in, ihp + u, clip, saved, gates, ig + u, hidden, h, ih + u, 0
        )  # fmt: skip
    if whole < count:
        gru_finish_block(
            z, iz + whole, gap, h_in, ihp + whole, clip, saved, gates, ig + whole, hidden, h, ih + whole, count - whole
        )  # fmt: skip


@jit.inlined
def gru_finish_block_backward(
    dh, ih, gates, ig, hidden, h_in, ihp, ends, drz, irz, gap, dn, idn, left
):
    """One vector of units."""
    low, high, end = ends
    update, n = take(gates, ig + hidden, left), take(gates, ig + 2 * hidden, left)
    d, before = take(dh, ih, left), take(h_in, ihp, left)
    give(through_candidate(d * (of(n, 1.0) - update), n, end), dn, idn, left)
    give(through_gate(d * (before - n), update, low, high), drz, irz + gap, left)
    give(d * update, dh, ih, left)


@jit.inlined
def gru_finish_row_backward(
    dh, ih, gates, ig, hidden, h_in, ihp, clip, drz, irz, gap, dn, idn, count
):
    """First half of the way back: fill dn and z's stretch of drz; dh becomes z·dh."""
    step = simd.lanes(drz)
    whole = count // step * step
    bound = simd.splat(clip, drz)
    low, high = gate_end(bound)
    ends = low, high, candidate_end(bound)
    for u in range(0, whole, step):
        gru_finish_block_backward(
            dh, ih + u, gates, ig + u, hidden, h_in, ihp + u, ends, drz, irz + u, gap, dn, idn + u, 0
        )  # fmt: skip
    if whole < count:
        u = whole
        gru_finish_block_backward(
            dh, ih + u, gates, ig + u, hidden, h_in, ihp + u, ends,
            drz, irz + u, gap, dn, idn + u, count - whole,
        )  # fmt: skip


@jit.inlined
def gru_reset_block_backward(drh, idrh, gates, ig, h_in, ihp, ends, drz, irz, dh, ih, left):
    """One vector of units."""
    low, high, _ = ends
    r, d = take(gates, ig, left), take(drh, idrh, left)
    give(through_gate(d * take(h_in, ihp, left), r, low, high), drz, irz, left)
    give(simd.fma(d, r, take(dh, ih, left)), dh, ih, left)


@jit.inlined
def gru_reset_row_backward(drh, idrh, gates, ig, h_in, ihp, clip, drz, irz, dh, ih, count):
    """Second half: from drh = dn·U_n fill r's stretch of drz and add r·drh to dh."""
    step = simd.lanes(drz)
    whole = count // step * step
    bound = simd.splat(clip, drz)
    low, high = gate_end(bound)
    ends = low, high, low
    for u in range(0, whole, step):
        gru_reset_block_backward(
            drh, idrh + u, gates, ig + u, h_in, ihp + u, ends, drz, irz + u, dh, ih + u, 0
        )  # fmt: skip
    if whole < count:
        u = whole
        gru_reset_block_backward(
            drh, idrh + u, gates, ig + u, h_in, ihp + u, ends, drz, irz + u, dh, ih + u, count - whole
        )  # fmt: skip
