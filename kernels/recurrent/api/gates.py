"""Front doors of one step's gates, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks, memory
from kernels.core.ladder import Job
from kernels.recurrent.api.common import optional, or_zeros
from kernels.recurrent.gates.ladder import LADDERS
from kernels.recurrent.gates.problem import GateProblem

Array = np.ndarray
NONLINEARITIES = ("tanh", "relu")


class LstmGates(NamedTuple):
    """What `lstm_gates` gives."""

    h: Array
    c: Array
    gates: Array


class LstmGatesGradients(NamedTuple):
    """Gradients of `lstm_gates`."""

    z: Array
    c_prev: Array


class GruGates(NamedTuple):
    """What `gru_gates` gives."""

    h: Array
    gates: Array


class GruGatesGradients(NamedTuple):
    """Gradients of `gru_gates`."""

    zx: Array
    zh: Array
    h_prev: Array


def lstm_gates(z: Any, c_prev: Any, *, algorithm: str = "auto", out: Any = None) -> LstmGates:
    """Apply one step's gates of an LSTM: i, f, o = σ(z), g = tanh(z), c = f·c_prev + i·g, h = o·tanh(c).

    Parameters
    ----------
    z : array (B, 4H), float32 or float64
        Pre-activations W x + U h + b of i, f, g, o, in that order. B may be 0.
    c_prev : array (B, H)
        The cell before the step.
    algorithm : str
        A rung of ``kernels.ladder("lstm_gates")``, or "auto".
    out : tuple of numpy.ndarray, optional
        Where to write h, c and gates: exact shapes and dtype, C-contiguous, memory of their own.

    Returns
    -------
    LstmGates
        h and c (B, H); gates (B, 4H): i, f, g, o, for `lstm_gates_backward`.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, `algorithm` or `out` do not fit.

    Notes
    -----
    A unit: three σ and two tanh, four more operations; 5 numbers read and 6 written. Pre-activations of any
    size give exact 0, 1 or ±1. A gate is off by less than an eps of 1, not always of itself.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; Gers, Schmidhuber and Cummins, "Learning
    to Forget", 2000.
    """
    z, c_prev = _pair("z", z, 4, "c_prev", c_prev)
    problem = _problem("lstm", c_prev)
    shapes = {"h": c_prev.shape, "c": c_prev.shape, "gates": z.shape}
    h, c, gates = _outputs(problem, "forward", algorithm, out, shapes, (z, c_prev))
    return LstmGates(_run(problem, "forward", algorithm, (z, c_prev, c, gates), h), c, gates)


def lstm_gates_backward(
    dh: Any, dc: Any, gates: Any, c_prev: Any, c: Any, *, algorithm: str = "auto", out: Any = None
) -> LstmGatesGradients:
    """Gradients of `lstm_gates`: the README derives them.

    Parameters
    ----------
    dh, dc : array (B, H), or None
        Gradients of the loss with respect to h and, from the step after, to c; zeros where None.
    gates, c_prev, c : array (B, 4H), (B, H), (B, H)
        The forward's results and the cell that it was given.
    algorithm : str
        A rung of ``kernels.ladder("lstm_gates")``, or "auto".
    out : tuple of numpy.ndarray, optional
        Where to write the two gradients.

    Returns
    -------
    LstmGatesGradients
        z (B, 4H) and c_prev (B, H).

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, `algorithm` or `out` do not fit.

    Notes
    -----
    tanh(c) is computed again, not kept. 8 numbers read and 5 written a unit.
    """
    gates, c_prev = _pair("gates", gates, 4, "c_prev", c_prev)
    shape, dtype = c_prev.shape, c_prev.dtype
    c = checks.array("c", c, 2, dtype, shape)
    given = optional("dh", dh, shape, c), optional("dc", dc, shape, c)
    problem = _problem("lstm", c)
    shapes = {"z": gates.shape, "c_prev": shape}
    inputs = (*given, gates, c_prev, c)
    dz, dc_prev = _outputs(problem, "backward", algorithm, out, shapes, inputs)
    sent = tuple(or_zeros(each, shape, dtype) for each in given)
    args = (*sent, gates, c_prev, c, dc_prev)
    return LstmGatesGradients(_run(problem, "backward", algorithm, args, dz), dc_prev)


def gru_gates(
    zx: Any, zh: Any, h_prev: Any, *, algorithm: str = "auto", out: Any = None
) -> GruGates:
    """Apply one step's gates of a GRU: r, z = σ(zx + zh), n = tanh(zx + r·zh), h = (1 − z)·n + z·h_prev.

    Parameters
    ----------
    zx, zh : array (B, 3H), float32 or float64
        Pre-activations of r, z, n, in that order: what comes from the input, W x + b, and from the state,
        U h + b. B may be 0.
    h_prev : array (B, H)
        The state before the step.
    algorithm : str
        A rung of ``kernels.ladder("gru_gates")``, or "auto".
    out : tuple of numpy.ndarray, optional
        Where to write h and gates.

    Returns
    -------
    GruGates
        h (B, H); gates (B, 4H): r, z, n and the state's part of n, for `gru_gates_backward`.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, `algorithm` or `out` do not fit.

    Notes
    -----
    A unit: two σ and a tanh, eight more operations; 7 numbers read and 5 written.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014; the reset after the
    product is cuDNN's and PyTorch's.
    """
    zx, h_prev = _pair("zx", zx, 3, "h_prev", h_prev)
    zh = checks.array("zh", zh, 2, zx.dtype, zx.shape)
    problem = _problem("gru", h_prev)
    shapes = {"h": h_prev.shape, "gates": (h_prev.shape[0], 4 * h_prev.shape[1])}
    h, gates = _outputs(problem, "forward", algorithm, out, shapes, (zx, zh, h_prev))
    return GruGates(_run(problem, "forward", algorithm, (zx, zh, h_prev, gates), h), gates)


def gru_gates_backward(
    dh: Any, gates: Any, h_prev: Any, *, algorithm: str = "auto", out: Any = None
) -> GruGatesGradients:
    """Gradients of `gru_gates`: the README derives them.

    Parameters
    ----------
    dh : array (B, H)
        Gradient of the loss with respect to h.
    gates, h_prev : array (B, 4H) and (B, H)
        The forward's result and the state that it was given.
    algorithm : str
        A rung of ``kernels.ladder("gru_gates")``, or "auto".
    out : tuple of numpy.ndarray, optional
        Where to write the three gradients.

    Returns
    -------
    GruGatesGradients
        zx and zh (B, 3H), which differ in n's part alone, and h_prev (B, H): what reaches it past the products.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, `algorithm` or `out` do not fit.

    Notes
    -----
    6 numbers read and 7 written a unit.
    """
    gates, h_prev = _pair("gates", gates, 4, "h_prev", h_prev)
    dh = checks.array("dh", dh, 2, gates.dtype, h_prev.shape)
    problem, wide = _problem("gru", h_prev), (h_prev.shape[0], 3 * h_prev.shape[1])
    shapes = {"zx": wide, "zh": wide, "h_prev": h_prev.shape}
    dzx, dzh, dh_prev = _outputs(problem, "backward", algorithm, out, shapes, (dh, gates, h_prev))
    args = dh, gates, h_prev, dzh, dh_prev
    return GruGatesGradients(_run(problem, "backward", algorithm, args, dzx), dzh, dh_prev)


def rnn_gates(
    z: Any, *, nonlinearity: str = "tanh", algorithm: str = "auto", out: Array | None = None
) -> Array:
    """Apply one step of the plain cell: h = tanh(z), or max(0, z).

    Parameters
    ----------
    z : array (B, H), float32 or float64
        Pre-activations W x + U h + b. B may be 0.
    nonlinearity : {"tanh", "relu"}
    algorithm : str
        A rung of ``kernels.ladder("rnn_gates")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with z.

    Returns
    -------
    numpy.ndarray (B, H)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.
    """
    z = checks.array("z", z, 2)
    relu = checks.choice("nonlinearity", nonlinearity, NONLINEARITIES) == "relu"
    job = Job("forward", _problem("rnn", z), (z, relu), z.shape)
    return LADDERS["rnn"].compute(job, algorithm=algorithm, out=out)


def rnn_gates_backward(
    dh: Any,
    h: Any,
    *,
    nonlinearity: str = "tanh",
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Gradient of `rnn_gates`: dh·(1 − h²), or dh where h > 0.

    Parameters
    ----------
    dh, h : array (B, H)
        Gradient of the loss with respect to h, and the forward's result.
    nonlinearity, algorithm, out
        As `rnn_gates`.

    Returns
    -------
    numpy.ndarray (B, H)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.
    """
    h = checks.array("h", h, 2)
    dh = checks.array("dh", dh, 2, h.dtype, h.shape)
    relu = checks.choice("nonlinearity", nonlinearity, NONLINEARITIES) == "relu"
    job = Job("backward", _problem("rnn", h), (dh, h, relu), h.shape)
    return LADDERS["rnn"].compute(job, algorithm=algorithm, out=out)


def _pair(name: str, wide: Any, times: int, other: str, state: Any) -> tuple[Array, Array]:
    """Validate an array and the state that it is `times` as wide as."""
    state = checks.array(other, state, 2)
    b, units = state.shape
    return checks.array(name, wide, 2, state.dtype, (b, times * units)), state


def _problem(kind: str, state: Array) -> GateProblem:
    b, h = state.shape
    return GateProblem(kind, b, h, state.dtype)


def _outputs(
    problem: GateProblem,
    direction: str,
    algorithm: str,
    out: Any,
    shapes: dict[str, tuple[int, ...]],
    inputs: Sequence[Array | None],
) -> list[Array]:
    """The caller's outputs, all checked before any is written, or fresh ones, when a rung has been chosen."""
    LADDERS[problem.kind].choose(problem, direction, algorithm)
    given, taken = checks.outs(out, tuple(shapes)), list(inputs)
    for name, shape in shapes.items():
        if given[name] is not None:
            checks.out(given[name], shape, problem.dtype, taken)
            taken.append(given[name])
    return [
        memory.empty(shape, problem.dtype) if given[name] is None else given[name]
        for name, shape in shapes.items()
    ]


def _run(
    problem: GateProblem, direction: str, algorithm: str, args: tuple[Array, ...], result: Array
) -> Array:
    """Run the rung: it fills the outputs among `args`, and `result`."""
    job = Job(direction, problem, args, result.shape)
    return LADDERS[problem.kind].compute(job, algorithm=algorithm, out=result)
