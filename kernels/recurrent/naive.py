"""Rung 0: sequences as their formulas say: one gate, one unit, one loop an index, one step after another.

    LSTM  i = σ(W_i x + U_i h + b_i + p_i·c)       what is let in
          f = σ(W_f x + U_f h + b_f + p_f·c)       what is kept; coupled: f = 1 − i
          g = tanh(W_g x + U_g h + b_g)            what is offered
          c′ = f·c + i·g
          o = σ(W_o x + U_o h + b_o + p_o·c′)      what is shown
          h′ = o·tanh(c′), or W_proj (o·tanh(c′))
    GRU   r, z = σ(W x + U h + b);  h′ = (1 − z)·n + z·h
          n = tanh(W_n x + b_in + r·(U_n h + b_hn)), or tanh(W_n x + b_in + U_n (r·h) + b_hn)
    RNN   h′ = tanh(W x + U h + b), or relu

Pre-activations are bounded to [−clip, clip] first; their gradient is zero where they were, which the saved
gate tells: it is what the bound gives. x (rows, D); W (G·H, D), U (G·H, P), a gate's rows together;
states (states, P) and (states, H): `kernels.recurrent.layout` says which row is which step's. 2·G·H·(D + P)
FLOPs a step. Backward walks each row from its last step to its first; what it needs of the products, the
gradients of pre-activations, it leaves in dz: those of the weights are products of whole matrices.

Every weight is read again for every row and step. Sums may be reordered by the compiler.

Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Gers, Schraudolph and Schmidhuber, "Learning
Precise Timing with LSTM Recurrent Networks", 2002 (peepholes); Greff et al., "LSTM: A Search Space Odyssey",
2017, section 2 and appendix A (coupled gates; the gradients); Sak, Senior and Beaufays, 2014 (projection); Cho
et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014 (GRU); Elman, "Finding Structure in
Time", 1990.
"""

import numpy as np

from kernels.core import jit
from kernels.core.simd.bits import of
from kernels.recurrent.gates.formulas import (
    bounded,
    candidate,
    candidate_end,
    gate,
    gate_end,
    rectified,
    tanh,
    through_candidate,
    through_gate,
)


@jit.fast
def across(a, r, w, k):
    """Σ_j a[r, j]·w[k, j]: a row against a unit's weights."""
    total = a.dtype.type(0)
    for j in range(w.shape[1]):
        total += a[r, j] * w[k, j]
    return total


@jit.fast
def down(a, r, w, k0, j):
    """Σ_k a[r, k]·w[k0 + k, j]: the way back through the same weights."""
    total = a.dtype.type(0)
    for k in range(a.shape[1]):
        total += a[r, k] * w[k0 + k, j]
    return total


@jit.exact
def pre_activation(x, r, w_ih, h, s, w_hh, bias, k):
    """z_k = W_k x + U_k h + b_k."""
    return across(x, r, w_ih, k) + across(h, s, w_hh, k) + bias[k]


@jit.exact
def lstm(
    x, w_ih, w_hh, bias, peepholes, w_proj, h0, c0, first, lengths, stride, before, after, clip, coupled, c, gates, m, h
):  # fmt: skip
    """Fill h (states, P); c (states, H) and gates (rows, 4H) where these are kept, else c (B, H) alone; m."""
    units, saved, peep, projected = c.shape[1], gates.shape[0], peepholes.shape[0], m.shape[0]
    bound = h.dtype.type(clip)
    for b in range(first.shape[0]):
        start = first[b] + before
        for j in range(h.shape[1]):
            h[start, j] = h0[b, j]
        for j in range(units):
            c[start if saved else b, j] = c0[b, j]
        for step in range(lengths[b]):
            r = first[b] + step * stride
            old, new = (r + before, r + after) if saved else (b, b)
            for j in range(units):
                zi = pre_activation(x, r, w_ih, h, r + before, w_hh, bias, j)
                zf = pre_activation(x, r, w_ih, h, r + before, w_hh, bias, units + j)
                zg = pre_activation(x, r, w_ih, h, r + before, w_hh, bias, 2 * units + j)
                zo = pre_activation(x, r, w_ih, h, r + before, w_hh, bias, 3 * units + j)
                if peep:
                    zi += peepholes[0, j] * c[old, j]
                    zf += peepholes[1, j] * c[old, j]
                i = gate(zi, bound)
                f = of(i, 1.0) - i if coupled else gate(zf, bound)
                g = candidate(zg, bound)
                c[new, j] = f * c[old, j] + i * g
                if peep:
                    zo += peepholes[2, j] * c[new, j]
                o = gate(zo, bound)
                shown = o * tanh(c[new, j])
                if projected:
                    m[r, j] = shown
                else:
                    h[r + after, j] = shown
                if saved:
                    gates[r, j], gates[r, units + j] = i, f
                    gates[r, 2 * units + j], gates[r, 3 * units + j] = g, o
            if projected:
                for p in range(h.shape[1]):
                    h[r + after, p] = across(m, r, w_proj, p)


@jit.exact
def lstm_dz(
    dy, w_hh, peepholes, w_proj, first, lengths, stride, before, after, clip, coupled, gates, c, dh, dc, dh0, dc0, dp, dz
):  # fmt: skip
    """Fill dz (rows, 4H), dh0 (B, P), dc0 (B, H), which hold a step's dh and dc on the way; dp (rows, P).

    dp is the gradient of each step's projected output; without a projection it has no rows.
    """
    units, peep, projected = c.shape[1], peepholes.shape[0], dp.shape[0]
    bound = dz.dtype.type(clip)
    low, high = gate_end(bound)
    end = candidate_end(bound)
    for b in range(first.shape[0]):
        for p in range(dh.shape[1]):
            dh0[b, p] = dh[b, p]
        for j in range(units):
            dc0[b, j] = dc[b, j]
        for step in range(lengths[b] - 1, -1, -1):
            r = first[b] + step * stride
            if projected:
                for p in range(dh.shape[1]):
                    dp[r, p] = dy[r, p] + dh0[b, p]
            for j in range(units):
                i, f = gates[r, j], gates[r, units + j]
                g, o = gates[r, 2 * units + j], gates[r, 3 * units + j]
                dshown = down(dp, r, w_proj, 0, j) if projected else dy[r, j] + dh0[b, j]
                t = tanh(c[r + after, j])
                do = through_gate(dshown * t, o, low, high)
                dcell = dc0[b, j] + dshown * o * (of(t, 1.0) - t) * (of(t, 1.0) + t)
                if peep:
                    dcell += do * peepholes[2, j]
                dg = through_candidate(dcell * i, g, end)
                if coupled:
                    di = through_gate(dcell * (g - c[r + before, j]), i, low, high)
                    df = of(di, 0.0)
                else:
                    di = through_gate(dcell * g, i, low, high)
                    df = through_gate(dcell * c[r + before, j], f, low, high)
                dc0[b, j] = dcell * f
                if peep:
                    dc0[b, j] += di * peepholes[0, j] + df * peepholes[1, j]
                dz[r, j], dz[r, units + j] = di, df
                dz[r, 2 * units + j], dz[r, 3 * units + j] = dg, do
            for p in range(dh.shape[1]):
                dh0[b, p] = down(dz, r, w_hh, 0, p)


@jit.exact
def gru(
    x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, linear_before_reset, gates, h
):  # fmt: skip
    """Fill h (states, H); and gates (rows, 4H), r, z, n and what r meets, unless they have no rows.

    bias (4H,): of r, of z, n's beside x, n's beside h.
    """
    units, saved = h.shape[1], gates.shape[0]
    bound = h.dtype.type(clip)
    reset = np.empty((2, units), h.dtype)  # r, and r·h
    for b in range(first.shape[0]):
        for j in range(units):
            h[first[b] + before, j] = h0[b, j]
        for step in range(lengths[b]):
            row = first[b] + step * stride
            old, new = row + before, row + after
            for j in range(units):
                zr = pre_activation(x, row, w_ih, h, old, w_hh, bias, j)
                reset[0, j] = gate(zr, bound)
                reset[1, j] = reset[0, j] * h[old, j]
            for j in range(units):
                zz = pre_activation(x, row, w_ih, h, old, w_hh, bias, units + j)
                z = gate(zz, bound)
                zn = across(x, row, w_ih, 2 * units + j) + bias[2 * units + j]
                if linear_before_reset:
                    q = across(h, old, w_hh, 2 * units + j) + bias[3 * units + j]
                    zn += reset[0, j] * q
                else:
                    q = reset[1, j]
                    zn += across(reset, 1, w_hh, 2 * units + j) + bias[3 * units + j]
                n = candidate(zn, bound)
                h[new, j] = (of(z, 1.0) - z) * n + z * h[old, j]
                if saved:
                    gates[row, j], gates[row, units + j] = reset[0, j], z
                    gates[row, 2 * units + j], gates[row, 3 * units + j] = n, q


@jit.exact
def gru_dz(
    dy, w_hh, first, lengths, stride, before, after, clip, linear_before_reset, gates, h, dh, dh0, dn, dq, drz
):  # fmt: skip
    """Fill drz (rows, 2H), dn (rows, H) and dh0 (B, H); dq = dn·r too where the product comes first."""
    units = h.shape[1]
    bound = drz.dtype.type(clip)
    low, high = gate_end(bound)
    end = candidate_end(bound)
    for b in range(first.shape[0]):
        for j in range(units):
            dh0[b, j] = dh[b, j]
        for step in range(lengths[b] - 1, -1, -1):
            row = first[b] + step * stride
            for j in range(units):
                z, n = gates[row, units + j], gates[row, 2 * units + j]
                dh0[b, j] += dy[row, j]
                dn[row, j] = through_candidate(dh0[b, j] * (of(z, 1.0) - z), n, end)
                dz = dh0[b, j] * (h[row + before, j] - n)
                drz[row, units + j] = through_gate(dz, z, low, high)
            for j in range(units):
                r, z = gates[row, j], gates[row, units + j]
                dh0[b, j] *= z
                if linear_before_reset:
                    dq[row, j] = dn[row, j] * r
                    dr = dn[row, j] * gates[row, 3 * units + j]
                else:
                    through = down(dn, row, w_hh, 2 * units, j)
                    dh0[b, j] += through * r
                    dr = through * h[row + before, j]
                drz[row, j] = through_gate(dr, r, low, high)
            for j in range(units):
                dh0[b, j] += down(drz, row, w_hh, 0, j)
                if linear_before_reset:
                    dh0[b, j] += down(dq, row, w_hh, 2 * units, j)


@jit.exact
def rnn(x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, relu, h):
    """Fill h (states, H)."""
    bound = h.dtype.type(clip)
    for b in range(first.shape[0]):
        for j in range(h.shape[1]):
            h[first[b] + before, j] = h0[b, j]
        for step in range(lengths[b]):
            r = first[b] + step * stride
            for j in range(h.shape[1]):
                z = pre_activation(x, r, w_ih, h, r + before, w_hh, bias, j)
                h[r + after, j] = rectified(bounded(z, bound)) if relu else candidate(z, bound)


@jit.exact
def rnn_dz(dy, w_hh, first, lengths, stride, before, after, clip, relu, h, dh, dh0, dz):
    """Fill dz (rows, H) and dh0 (B, H)."""
    bound = dz.dtype.type(clip)
    end = candidate_end(bound)
    for b in range(first.shape[0]):
        for j in range(h.shape[1]):
            dh0[b, j] = dh[b, j]
        for step in range(lengths[b] - 1, -1, -1):
            r = first[b] + step * stride
            for j in range(h.shape[1]):
                y, dout = h[r + after, j], dy[r, j] + dh0[b, j]
                if relu:
                    dz[r, j] = of(y, 0.0) if y <= of(y, 0.0) or y >= bound else dout
                else:
                    dz[r, j] = through_candidate(dout, y, end)
            for j in range(h.shape[1]):
                dh0[b, j] = down(dz, r, w_hh, 0, j)
