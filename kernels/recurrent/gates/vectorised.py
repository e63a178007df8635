"""Rung 1: the gates of one step in whole vectors, by the branch-free formulas of `formulas`.

A vector of each gate's pre-activations is read, and all that follows from them is computed in registers: no gate
is written before it is used. Work is counted in *pieces*, `UNITS` units of a row; each function fills the pieces
[first, last), all of them as this rung, a share in `parallel`.

Measured on one core of a Zen 4, 256×1024 float32, ns a unit beside `naive`: lstm 1.2 (64) forward, 1.2 (23) backward;
gru 1.3 (40), 1.3 (6.4); rnn 0.27 (16), 0.14 (0.13).
"""

from kernels.core import jit, simd, stack
from kernels.recurrent.gates.gru import gru_pair_row, gru_row_backward
from kernels.recurrent.gates.lstm import lstm_row, lstm_step_backward
from kernels.recurrent.gates.rnn import rnn_row, rnn_row_backward

UNITS = 256
ROOM = 4 * UNITS
PAGE = 4096  # bytes from one line of a set of the first cache to the next
NONE = float("inf")  # clip


@jit.inlined
def pieces_of(h):
    """Pieces of each row."""
    return (h.shape[1] + UNITS - 1) // UNITS


@jit.inlined
def place(h, piece):
    """Return a piece's row, its first unit and how many it has."""
    across = pieces_of(h)
    unit = piece % across * UNITS
    return piece // across, unit, min(UNITS, h.shape[1] - unit)


@jit.inlined
def copy(source, start, target, at, count):
    """target[at : at + count] = source[start : start + count]."""
    step = simd.lanes(source)
    whole = count // step * step
    for u in range(0, whole, step):
        simd.put_vector(simd.vector(source, start + u), target, at + u)
    if whole < count:
        part = simd.vector_part(source, start + whole, count - whole)
        simd.put_vector_part(part, target, at + whole, count - whole)


@jit.inlined
def crowded(h):
    """Whether the stretches of a row lie whole pages apart, and so in the same few sets of the first cache.

    Lines fetched to be written are then thrown out again before they are: what is written goes through a small
    array on the stack, and out one stretch after the other. (GRU, 1024 units: 2.9 → 1.3 ns a unit; elsewhere that
    would cost a fifth.)
    """
    return h.shape[1] * h.itemsize % PAGE == 0


@jit.inlined
def copy_out(room, target, start, gap, stretches, count):
    """Write what was gathered in `room`."""
    for k in range(stretches):
        copy(room, k * UNITS, target, start + k * gap, count)


@jit.exact
def lstm(z, c_prev, c, gates, h, first, last):
    """Fill pieces of c, gates and h."""
    units = h.shape[1]
    flat_z, flat_prev, flat_c = z.reshape(z.size), c_prev.reshape(c.size), c.reshape(c.size)
    flat_gates, flat_h = gates.reshape(gates.size), h.reshape(h.size)
    for piece in range(first, last):
        b, u, count = place(h, piece)
        one, four = b * units + u, 4 * b * units + u
        lstm_row(
            flat_z, four, units, flat_prev, one, flat_c[:0], units, u, NONE, False,
            True, flat_gates, four, flat_c, one, flat_h, one, count,
        )  # fmt: skip


@jit.exact
def lstm_dz(dh, dc, gates, c_prev, c, dc_prev, dz, first, last):
    """Fill pieces of dc_prev and dz."""
    units, room, apart = c.shape[1], stack.empty(ROOM, c), crowded(c)
    flat_dh, flat_dc, flat_gates = dh.reshape(c.size), dc.reshape(c.size), gates.reshape(gates.size)
    flat_prev, flat_c, flat_dz = c_prev.reshape(c.size), c.reshape(c.size), dz.reshape(dz.size)
    flat_back = dc_prev.reshape(c.size)
    to, gap = (room, UNITS) if apart else (flat_dz, units)
    for piece in range(first, last):
        b, u, count = place(c, piece)
        one, four = b * units + u, 4 * b * units + u
        lstm_step_backward(
            flat_dh, one, flat_gates, four, units, flat_prev, one, flat_c, one, flat_c[:0], u, NONE, False,
            flat_dc, one, flat_back, one, to, 0 if apart else four, gap, count,
        )  # fmt: skip
        if apart:
            copy_out(room, flat_dz, four, units, 4, count)


@jit.exact
def gru(zx, zh, h_prev, gates, h, first, last):
    """Fill pieces of gates and h."""
    units, room, apart = h.shape[1], stack.empty(ROOM, h), crowded(h)
    flat_x, flat_h, flat_prev = zx.reshape(zx.size), zh.reshape(zh.size), h_prev.reshape(h.size)
    flat_gates, flat = gates.reshape(gates.size), h.reshape(h.size)
    to, gap = (room, UNITS) if apart else (flat_gates, units)
    for piece in range(first, last):
        b, u, count = place(h, piece)
        one, three, four = b * units + u, 3 * b * units + u, 4 * b * units + u
        gru_pair_row(
            flat_x, three, flat_h, three, units, flat_prev, one, NONE, True,
            to, 0 if apart else four, gap, flat, one, count,
        )  # fmt: skip
        if apart:
            copy_out(room, flat_gates, four, units, 4, count)


@jit.exact
def gru_dz(dh, gates, h_prev, dzh, dh_prev, dzx, first, last):
    """Fill pieces of dzh, dh_prev and dzx."""
    units, room, apart = dh.shape[1], stack.empty(ROOM, dh), crowded(dh)
    flat_dh, flat_gates = dh.reshape(dh.size), gates.reshape(gates.size)
    flat_prev, flat_back = h_prev.reshape(dh.size), dh_prev.reshape(dh.size)
    flat_x, flat_h = dzx.reshape(dzx.size), dzh.reshape(dzh.size)
    to, gap = (room, UNITS) if apart else (flat_x, units)
    for piece in range(first, last):
        b, u, count = place(dh, piece)
        one, three, four = b * units + u, 3 * b * units + u, 4 * b * units + u
        at = 0 if apart else three
        copy(flat_dh, one, flat_back, one, count)
        gru_row_backward(
            flat_back, one, flat_gates, four, units, flat_prev, one, NONE, to, at, gap,
            to, at + 2 * gap, flat_h, three + 2 * units, count,
        )  # fmt: skip
        if apart:
            copy_out(room, flat_x, three, units, 3, count)
        copy(flat_x, three, flat_h, three, count)
        copy(flat_x, three + units, flat_h, three + units, count)


@jit.exact
def rnn(z, relu, h, first, last):
    """Fill pieces of h."""
    units, flat_z, flat_h = h.shape[1], z.reshape(h.size), h.reshape(h.size)
    for piece in range(first, last):
        b, u, count = place(h, piece)
        rnn_row(flat_z, b * units + u, NONE, relu, flat_h, b * units + u, count)


@jit.exact
def rnn_dz(dh, h, relu, dz, first, last):
    """Fill pieces of dz."""
    units = h.shape[1]
    flat_dh, flat_h, flat_dz = dh.reshape(h.size), h.reshape(h.size), dz.reshape(h.size)
    for piece in range(first, last):
        b, u, count = place(h, piece)
        one = b * units + u
        rnn_row_backward(flat_dh, one, flat_h, one, NONE, relu, flat_dz, one, count)
