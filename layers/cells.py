"""Recurrent cells: one step.

    state = cell(x, state)                                  inference
    state, cache = cell.forward(x, state)                   training
    dx, dstate = cell.backward(dstate, cache)               of the state after in, of the state before out

A cell's output is its state: h, or (h, c) of an LSTM's. It runs its kernel over a sequence of one step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks
from layers.gated import Gated, State
from layers.layer import dtype_of, generator


class CellCache(NamedTuple):
    """What a cell's `backward` needs: the kernel's cache, and the shapes of x and of the states."""

    cache: Any
    shape: tuple[int, ...]
    states: list[tuple[int, ...]]


class Cell(Gated):
    """Base of RNNCell, LSTMCell and GRUCell."""

    def _build(self, dtype: Any, rng: Any) -> None:
        self._draw("", self.input_size, generator(rng), dtype_of(dtype))

    def __call__(self, x: Any, state: Any = None) -> Any:
        """Return the state after x; nothing is kept.

        Parameters
        ----------
        x : array (B, input_size), or (input_size,)
        state : h, or (h, c) of an LSTMCell, optional
            The state before, (B, hidden_size), or (hidden_size,) where x has no batch; zeros where not given.
        """
        return self._step(x, state, False)[0]

    def forward(self, x: Any, state: Any = None) -> Any:
        """Return the state after x, and the cache that `backward` takes."""
        return self._step(x, state, True)

    def backward(self, dy: Any, cache: Any) -> Any:
        """Add the parameters' gradients; return dx and the gradient of the state before.

        `dy` is the gradient of the state after; of (dh, dc) one may be None.
        """
        return self._back(dy, cache, True)

    def backward_parameters(self, dy: Any, cache: Any) -> None:
        """Add the parameters' gradients; dx is not computed."""
        self._back(dy, cache, False)

    def _step(self, x: Any, state: Any, keep: bool) -> tuple[Any, Any]:
        dims = getattr(x, "ndim", 2)
        if dims not in (1, 2):
            raise ValueError(f"x: expected 1 or 2 dimensions, got {dims} (shape {x.shape})")
        empty = (0,) if dims == 2 else ()
        x = checks.array("x", x, None, self.dtype, empty_axes=empty)
        if x.shape[-1] != self.input_size:
            raise ValueError(f"x: expected {self.input_size} features, got shape {x.shape}")
        shapes: list[tuple[int, ...]] = [(*x.shape[:-1], self.hidden_size)] * len(self.STATES)
        before = _rows(self._each("state", state, shapes))
        _, after, cache = self._run("", x.reshape(1, -1, self.input_size), before, keep)
        result = self._spelt(_shaped(after, shapes))
        return result, CellCache(cache, x.shape, shapes) if keep else None

    def _back(self, dy: Any, cache: Any, wants_dx: bool) -> Any:
        if not isinstance(cache, CellCache):
            raise TypeError(f"cache: expected what forward returned, got {type(cache).__name__}")
        after = _rows(self._each("dy", dy, cache.states, gaps=True))
        dx, before = self._pull("", None, cache.cache, after, wants_dx)
        dx = dx.reshape(cache.shape) if wants_dx else None
        return dx, self._spelt(_shaped(before, cache.states))

    def _options(self) -> str:
        words = [str(self.input_size), str(self.hidden_size)]
        words += [] if self.bias else ["bias=False"]
        words += [f"{key}={value!r}" for key, value in self.options.items() if value != "tanh"]
        return ", ".join(words)


def _rows(state: State | None) -> State | None:
    """Each state with a batch."""
    if state is None:
        return None
    return tuple(None if each is None else np.atleast_2d(each) for each in state)


def _shaped(state: State, shapes: list[tuple[int, ...]]) -> State:
    """Each state as the caller sees it."""
    return tuple(each.reshape(shape) for each, shape in zip(state, shapes))


class RNNCell(Cell):
    """h′ = tanh(W x + b + U h + d), or relu: one step of `RNN`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    nonlinearity : {"tanh", "relu"}
    dtype : float32 or float64
    rng : seed, numpy.random.Generator or None
        Where the weights are drawn from: U(±1/√hidden_size).

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh : Parameter
        As those of `RNN`.
    """

    OP, GATES, STATES = "rnn", 1, ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._sizes(input_size, hidden_size, bias, nonlinearity=nonlinearity)
        self._build(dtype, rng)


class LSTMCell(Cell):
    """One step of `LSTM`. Its state is (h, c).

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    dtype, rng
        As `RNNCell`.

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh : Parameter
        As those of `LSTM`.
    """

    OP, GATES, STATES = "lstm", 4, ("h", "c")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._sizes(input_size, hidden_size, bias)
        self._build(dtype, rng)


class GRUCell(Cell):
    """One step of `GRU`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    dtype, rng
        As `RNNCell`.

    Attributes
    ----------
    weight_ih, weight_hh, bias_ih, bias_hh : Parameter
        As those of `GRU`.
    """

    OP, GATES, STATES = "gru", 3, ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self._sizes(input_size, hidden_size, bias)
        self._build(dtype, rng)
