"""The plain cell, a product a step."""

import numpy as np

from kernels.recurrent.batched import loops
from kernels.recurrent.batched.steps import Room, back_through, through, walk


def forward(
    x, w_ih, w_hh, bias, h0, first, lengths, stride, before, after, clip, relu, h, scratch
):  # fmt: skip
    """Fill h."""
    room, units = Room(scratch), h.shape[1]
    z = through(x, w_ih, bias, room.take(len(x), units))
    zh, none = room.take(len(first), units), np.zeros(units, x.dtype)
    h[first + before] = h0
    for step in walk(first, lengths, stride):
        through(step.of(h, before), w_hh, none, zh[: len(step.rows)])
        loops.rnn(z, zh, step.rows, after, clip, relu, h)


def backward(
    dy, w_hh, first, lengths, stride, before, after, clip, relu, h, dh, dh0, dz, scratch
):  # fmt: skip
    """Fill dz and dh0."""
    room, count, units = Room(scratch), len(first), h.shape[1]
    out, back = room.take(count, units), room.take(count, units)
    dh0[...] = dh
    for step in walk(first, lengths, stride, back=True):
        n = len(step.rows)
        np.add(step.of(dy), step.of_batch(dh0), out=out[:n])
        loops.rnn_back(out, step.rows, after, clip, relu, h, dz)
        step.put_batch(back_through(step.of(dz), w_hh, back[:n]), dh0)
