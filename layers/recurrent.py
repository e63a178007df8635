"""Recurrent layers over sequences: RNN, LSTM, GRU.

`layers.stacked` says how they are called: state stands beside y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks
from layers.stacked import Recurrent


class RNN(Recurrent):
    """h′ = tanh(W x + b + U h + d), or relu, step by step; layers stacked.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    nonlinearity : {"tanh", "relu"}
    bias : bool
    batch_first : bool
        Whether x and y are (B, T, features). States are not.
    dropout : float
        From 0 to 1: of the outputs of all layers but the last, in training.
    bidirectional : bool
        Whether each layer also runs from the last step to the first; y has both outputs side by side.
    dtype : float32 or float64
    rng : seed, numpy.random.Generator or None
        Where the weights are drawn from, U(±1/√hidden_size), and the seed of dropout.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, … : Parameter
        Of layer 0, and so on; the backward direction's end in ``_reverse``. Weights (hidden_size, features
        in) and (hidden_size, hidden_size).
    """

    OP, GATES, STATES = "rnn", 1, ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._sizes(input_size, hidden_size, bias, nonlinearity=nonlinearity)
        self._build(num_layers, batch_first, dropout, bidirectional, dtype, rng)


class LSTM(Recurrent):
    """A long short-term memory, `kernels.lstm`; layers stacked. Its state is (h, c).

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias, batch_first, dropout, bidirectional
        As `RNN`.
    proj_size : int
        Features of the projected output, below hidden_size; 0 for none.
    dtype, rng
        As `RNN`.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0, … : Parameter
        As `RNN`, with the rows of the gates i, f, g, o one after the other: those of the forget gate are
        ``bias_ih_l0.data[hidden_size : 2 * hidden_size]``. weight_hr (proj_size, hidden_size) projects.
    """

    OP, GATES, STATES = "lstm", 4, ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._sizes(input_size, hidden_size, bias)
        self.proj_size = checks.integer("proj_size", proj_size, 0)
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"proj_size: expected below hidden_size {hidden_size}, got {proj_size}"
            )
        self._build(num_layers, batch_first, dropout, bidirectional, dtype, rng)


class GRU(Recurrent):
    """A gated recurrent unit, `kernels.gru`; layers stacked.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias, batch_first, dropout, bidirectional
        As `RNN`.
    dtype, rng
        As `RNN`.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, … : Parameter
        As `RNN`, with the rows of r, z, n one after the other.
    """

    OP, GATES, STATES = "gru", 3, ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._sizes(input_size, hidden_size, bias)
        self._build(num_layers, batch_first, dropout, bidirectional, dtype, rng)
