"""What a forward keeps for its gradient, and the gradients' named tuples.

A cache holds the inputs themselves, not copies, and the arrays that the loops filled: the steps' rows lie as
`kernels.recurrent.layout` says. Its own backward alone takes it, as often as one likes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.recurrent.layout import Layout

Array = np.ndarray


class LstmCache(NamedTuple):
    """What `lstm_backward` needs.

    Attributes
    ----------
    x, w_ih, w_hh, b_ih, b_hh, h0, c0, peepholes, w_proj : numpy.ndarray or None
        The forward's arguments.
    lengths, reverse, clip, coupled
        Its options.
    packed : Packed or None
        The weights' packed forms, where the forward was given one.
    layout : Layout
    rows : numpy.ndarray (rows, D)
        x, a row a step.
    gates : numpy.ndarray (rows, 4H)
        i, f, g, o.
    c, h : numpy.ndarray (states, H) and (states, P)
    m : numpy.ndarray (rows, H)
        o · tanh(c), where that is projected; else empty.
    """

    x: Array
    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None
    h0: Array | None
    c0: Array | None
    peepholes: Array | None
    w_proj: Array | None
    lengths: Array | None
    reverse: bool
    clip: float | None
    coupled: bool
    packed: Any
    layout: Layout
    rows: Array
    gates: Array
    c: Array
    h: Array
    m: Array


class GruCache(NamedTuple):
    """What `gru_backward` needs: as `LstmCache`, with gates (rows, 4H) r, z, n and q.

    q is what the reset gate meets: U_n·h + b_hn, or, where it comes before the product, r·h itself.
    """

    x: Array
    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None
    h0: Array | None
    lengths: Array | None
    reverse: bool
    clip: float | None
    linear_before_reset: bool
    packed: Any
    layout: Layout
    rows: Array
    gates: Array
    h: Array


class RnnCache(NamedTuple):
    """What `rnn_backward` needs: as `LstmCache`; the states say all about their one gate."""

    x: Array
    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None
    h0: Array | None
    lengths: Array | None
    reverse: bool
    clip: float | None
    nonlinearity: str
    packed: Any
    layout: Layout
    rows: Array
    h: Array


class LstmGradients(NamedTuple):
    """Gradients of `lstm`; None where one was not asked for."""

    x: Array | None
    w_ih: Array | None
    w_hh: Array | None
    b_ih: Array | None
    b_hh: Array | None
    h0: Array | None
    c0: Array | None
    peepholes: Array | None
    w_proj: Array | None


class GruGradients(NamedTuple):
    """Gradients of `gru`; None where one was not asked for."""

    x: Array | None
    w_ih: Array | None
    w_hh: Array | None
    b_ih: Array | None
    b_hh: Array | None
    h0: Array | None


class RnnGradients(NamedTuple):
    """Gradients of `rnn`; None where one was not asked for."""

    x: Array | None
    w_ih: Array | None
    w_hh: Array | None
    b_ih: Array | None
    b_hh: Array | None
    h0: Array | None
