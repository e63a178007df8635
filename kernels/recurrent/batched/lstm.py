"""The LSTM, a product a step."""

import numpy as np

from kernels.recurrent.batched import loops
from kernels.recurrent.batched.steps import Room, back_through, through, walk


def forward(
    x, w_ih, w_hh, bias, peepholes, w_proj, h0, c0, first, lengths, stride, before, after, clip, coupled, c, gates, m, h, scratch
):  # fmt: skip
    """Fill h; c and gates where these are kept, else c (B, H) alone; m."""
    room, wide, outputs = Room(scratch), w_ih.shape[0], w_hh.shape[1]
    saved, projected = len(gates) > 0, len(m) > 0
    z = through(x, w_ih, bias, gates if saved else room.take(len(x), wide))
    zh, none = room.take(len(first), wide), np.zeros(max(wide, outputs), x.dtype)
    seen = room.take(len(first), outputs) if projected else h
    h[first + before] = h0
    c[first + before if saved else slice(None)] = c0
    to, shift = (m, 0) if projected else (h, after)
    for step in walk(first, lengths, stride):
        count = len(step.rows)
        through(step.of(h, before), w_hh, none[:wide], zh[:count])
        loops.lstm(
            z, zh, step.rows, step.batch, before, after, peepholes, clip, coupled, gates, c, to, shift
        )  # fmt: skip
        if projected:
            step.put(through(step.of(m), w_proj, none[:outputs], seen[:count]), h, after)


def backward(
    dy, w_hh, peepholes, w_proj, first, lengths, stride, before, after, clip, coupled, gates, c, dh, dc, dh0, dc0, dp, dz, scratch
):  # fmt: skip
    """Fill dz, dh0, dc0 and, with a projection, dp."""
    room, count, outputs, units = Room(scratch), len(first), w_hh.shape[1], c.shape[1]
    out, above, back = (
        room.take(count, outputs),
        room.take(count, units),
        room.take(count, outputs),
    )
    dh0[...], dc0[...] = dh, dc
    for step in walk(first, lengths, stride, back=True):
        n = len(step.rows)
        np.add(step.of(dy), step.of_batch(dh0), out=out[:n])
        if len(dp):
            step.put(out[:n], dp)
            back_through(out[:n], w_proj, above[:n])
        loops.lstm_back(
            above if len(dp) else out, step.rows, step.batch, before, after, peepholes, clip, coupled,
            gates, c, dc0, dz,
        )  # fmt: skip
        step.put_batch(back_through(step.of(dz), w_hh, back[:n]), dh0)
