"""The GRU, a product a step; two where the reset comes before the product."""

import numpy as np

from kernels.recurrent.batched import loops
from kernels.recurrent.batched.steps import Room, back_through, through, walk


def forward(
    x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, linear_before_reset, gates, h, scratch
):  # fmt: skip
    """Fill h, and gates unless they have no rows."""
    room, units = Room(scratch), h.shape[1]
    zx = through(x, w_ih, bias[: 3 * units], room.take(len(x), 3 * units))
    zh = room.take(len(first), 3 * units)
    late = np.concatenate([np.zeros(2 * units, x.dtype), bias[3 * units :]])
    h[first + before] = h0
    if linear_before_reset:
        for step in walk(first, lengths, stride):
            through(step.of(h, before), w_hh, late, zh[: len(step.rows)])
            loops.gru(zx, zh, step.rows, before, after, clip, gates, h)
        return
    size = len(first) * units
    rz, zn = zh.reshape(-1)[: 2 * size].reshape(-1, 2 * units), zh.reshape(-1)[2 * size :]
    zn, met = zn.reshape(-1, units), room.take(len(first), units)
    u_rz, u_n = w_hh[: 2 * units], w_hh[2 * units :]
    for step in walk(first, lengths, stride):
        n = len(step.rows)
        through(step.of(h, before), u_rz, late[: 2 * units], rz[:n])
        loops.gru_reset(zx, rz, step.rows, before, clip, gates, h, met)
        through(met[:n], u_n, late[2 * units :], zn[:n])
        loops.gru_finish(zx, zn, step.rows, before, after, clip, gates, h)


def backward(
    dy, w_hh, first, lengths, stride, before, after, clip, linear_before_reset, gates, h, dh, dh0, dn, dq, drz, scratch
):  # fmt: skip
    """Fill drz, dn, dh0, and dq where the product comes first."""
    room, count, units = Room(scratch), len(first), h.shape[1]
    out, back, d = room.take(count, units), room.take(count, units), room.take(count, 3 * units)
    pair = d.reshape(-1)[: 2 * count * units].reshape(-1, 2 * units)
    dmet = d.reshape(-1)[2 * count * units :].reshape(-1, units)
    u_rz, u_n = w_hh[: 2 * units], w_hh[2 * units :]
    dh0[...] = dh
    for step in walk(first, lengths, stride, back=True):
        n = len(step.rows)
        np.add(step.of(dy), step.of_batch(dh0), out=out[:n])
        if linear_before_reset:
            loops.gru_back(out, step.rows, before, clip, gates, h, d, dn)
            step.put(d[:n, : 2 * units], drz)
            step.put(d[:n, 2 * units :], dq)
            back_through(d[:n], w_hh, back[:n])
        else:
            loops.gru_finish_back(out, step.rows, before, clip, gates, h, pair, dn)
            back_through(step.of(dn), u_n, dmet[:n])
            loops.gru_reset_back(dmet, step.rows, before, clip, gates, h, pair, out)
            step.put(pair[:n], drz)
            back_through(pair[:n], u_rz, back[:n])
        step.put_batch(np.add(out[:n], back[:n], out=out[:n]), dh0)
