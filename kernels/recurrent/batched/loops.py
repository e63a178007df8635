"""The gates of one step, for all rows that take it: what stands between two products, compiled."""

from kernels.core import jit, simd
from kernels.recurrent.gates import (
    gru_finish_row,
    gru_finish_row_backward,
    gru_pair_row,
    gru_reset_row,
    gru_reset_row_backward,
    gru_row_backward,
    lstm_row,
    lstm_row_backward,
    rnn_row,
    rnn_row_backward,
)


@jit.inlined
def add(a, ia, b, ib, count):
    """b[ib : ib + count] += a[ia : ia + count]."""
    step = simd.lanes(a)
    whole = count // step * step
    for u in range(0, whole, step):
        simd.put_vector(simd.vector(b, ib + u) + simd.vector(a, ia + u), b, ib + u)
    if whole < count:
        left = count - whole
        part = simd.vector_part(b, ib + whole, left) + simd.vector_part(a, ia + whole, left)
        simd.put_vector_part(part, b, ib + whole, left)


@jit.exact
def lstm(z, zh, rows, batch, before, after, peepholes, clip, coupled, gates, c, to, shift):
    """Add zh to z's rows, and fill c, gates (which may be z) and `to`, whose row is `shift` further on."""
    units, saved = c.shape[1], gates.shape[0] > 0
    flat_z, flat_zh, flat_c = z.reshape(z.size), zh.reshape(zh.size), c.reshape(c.size)
    flat_p, flat_gates = peepholes.reshape(peepholes.size), gates.reshape(gates.size)
    flat_to = to.reshape(to.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        at = 4 * units * r
        old, new = (r + before, r + after) if saved else (batch[k], batch[k])
        add(flat_zh, 4 * units * k, flat_z, at, 4 * units)
        lstm_row(
            flat_z, at, units, flat_c, old * units, flat_p, units, 0, clip, coupled,
            saved, flat_gates, at, flat_c, new * units, flat_to, (r + shift) * units, units,
        )  # fmt: skip


@jit.exact
def lstm_back(dh, rows, batch, before, after, peepholes, clip, coupled, gates, c, dc, dz):
    """Fill dz's rows from dh, a row each; dc has one for all of the batch."""
    units = c.shape[1]
    flat_dh, flat_gates, flat_c = dh.reshape(dh.size), gates.reshape(gates.size), c.reshape(c.size)
    flat_p, flat_dc, flat_dz = peepholes.reshape(peepholes.size), dc.reshape(dc.size), dz.reshape(dz.size)  # fmt: skip
    for k in range(rows.shape[0]):
        r = rows[k]
        at = 4 * units * r
        lstm_row_backward(
            flat_dh, k * units, flat_gates, at, units, flat_c, (r + before) * units, (r + after) * units,
            flat_p, 0, clip, coupled, flat_dc, batch[k] * units, flat_dz, at, units, units,
        )  # fmt: skip


@jit.exact
def gru(zx, zh, rows, before, after, clip, gates, h):
    """Fill h and gates."""
    units, saved = h.shape[1], gates.shape[0] > 0
    flat_x, flat_z, flat_h = zx.reshape(zx.size), zh.reshape(zh.size), h.reshape(h.size)
    flat_gates = gates.reshape(gates.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        gru_pair_row(
            flat_x, 3 * units * r, flat_z, 3 * units * k, units, flat_h, (r + before) * units, clip,
            saved, flat_gates, 4 * units * r, units, flat_h, (r + after) * units, units,
        )  # fmt: skip


@jit.exact
def gru_back(dh, rows, before, clip, gates, h, d, dn):
    """Fill d, a row each of dr, dz and dq, and dn's rows; dh becomes z·dh."""
    units = h.shape[1]
    flat_dh, flat_gates, flat_h = dh.reshape(dh.size), gates.reshape(gates.size), h.reshape(h.size)
    flat_d, flat_dn = d.reshape(d.size), dn.reshape(dn.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        gru_row_backward(
            flat_dh, k * units, flat_gates, 4 * units * r, units, flat_h, (r + before) * units, clip,
            flat_d, 3 * units * k, units, flat_dn, r * units, flat_d, 3 * units * k + 2 * units, units,
        )  # fmt: skip


@jit.exact
def gru_reset(zx, zh, rows, before, clip, gates, h, met):
    """Add zh to r's and z's part of zx's rows, and fill met = r·h, a row each."""
    units, saved = h.shape[1], gates.shape[0] > 0
    flat_x, flat_z, flat_h = zx.reshape(zx.size), zh.reshape(zh.size), h.reshape(h.size)
    flat_gates, flat_met = gates.reshape(gates.size), met.reshape(met.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        add(flat_z, 2 * units * k, flat_x, 3 * units * r, 2 * units)
        gru_reset_row(
            flat_x, 3 * units * r, units, flat_h, (r + before) * units, clip,
            saved, flat_gates, 4 * units * r, units, flat_met, k * units, units,
        )  # fmt: skip


@jit.exact
def gru_finish(zx, zn, rows, before, after, clip, gates, h):
    """Add zn to n's part, and fill h."""
    units, saved = h.shape[1], gates.shape[0] > 0
    flat_x, flat_z, flat_h = zx.reshape(zx.size), zn.reshape(zn.size), h.reshape(h.size)
    flat_gates = gates.reshape(gates.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        add(flat_z, units * k, flat_x, 3 * units * r + 2 * units, units)
        gru_finish_row(
            flat_x, 3 * units * r, units, flat_h, (r + before) * units, clip,
            saved, flat_gates, 4 * units * r, units, flat_h, (r + after) * units, units,
        )  # fmt: skip


@jit.exact
def gru_finish_back(dh, rows, before, clip, gates, h, d, dn):
    """Fill dz's half of d, a row each, and dn's rows; dh becomes z·dh."""
    units = h.shape[1]
    flat_dh, flat_gates, flat_h = dh.reshape(dh.size), gates.reshape(gates.size), h.reshape(h.size)
    flat_d, flat_dn = d.reshape(d.size), dn.reshape(dn.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        gru_finish_row_backward(
            flat_dh, k * units, flat_gates, 4 * units * r, units, flat_h, (r + before) * units, clip,
            flat_d, 2 * units * k, units, flat_dn, r * units, units,
        )  # fmt: skip


@jit.exact
def gru_reset_back(dmet, rows, before, clip, gates, h, d, dh):
    """Fill dr's half of d, and add r·dmet to dh."""
    units = h.shape[1]
    flat_dh, flat_gates, flat_h = dh.reshape(dh.size), gates.reshape(gates.size), h.reshape(h.size)
    flat_d, flat_met = d.reshape(d.size), dmet.reshape(dmet.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        gru_reset_row_backward(
            flat_met, k * units, flat_gates, 4 * units * r, flat_h, (r + before) * units, clip,
            flat_d, 2 * units * k, flat_dh, k * units, units,
        )  # fmt: skip


@jit.exact
def rnn(z, zh, rows, after, clip, relu, h):
    """Add zh to z's rows, and fill h."""
    units = h.shape[1]
    flat_z, flat_zh, flat_h = z.reshape(z.size), zh.reshape(zh.size), h.reshape(h.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        add(flat_zh, k * units, flat_z, r * units, units)
        rnn_row(flat_z, r * units, clip, relu, flat_h, (r + after) * units, units)


@jit.exact
def rnn_back(dh, rows, after, clip, relu, h, dz):
    """Fill dz's rows from dh, a row each."""
    units = h.shape[1]
    flat_dh, flat_h, flat_dz = dh.reshape(dh.size), h.reshape(h.size), dz.reshape(dz.size)
    for k in range(rows.shape[0]):
        r = rows[k]
        rnn_row_backward(
            flat_dh, k * units, flat_h, (r + after) * units, clip, relu, flat_dz, r * units, units
        )
