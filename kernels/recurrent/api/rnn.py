"""Front door of the plain recurrent network over a sequence, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks
from kernels.core.ladder import Job
from kernels.core.packing import Packed
from kernels.recurrent.api import common
from kernels.recurrent.api.wanted import Wanted
from kernels.recurrent.cache import RnnCache, RnnGradients
from kernels.recurrent.ladder import RNN

NONLINEARITIES = ("tanh", "relu")


def rnn(
    x: Any,
    w_ih: Any,
    w_hh: Any = None,
    b_ih: Any = None,
    b_hh: Any = None,
    *,
    h0: Any = None,
    lengths: Any = None,
    reverse: bool = False,
    nonlinearity: str = "tanh",
    clip: float | None = None,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Run a plain recurrent network over a sequence: h′ = tanh(W x + U h + b), or relu, step by step.

    Parameters
    ----------
    x : array (T, B, D), float32 or float64
        T at least 1; B may be 0.
    w_ih : array (H, D), or what ``kernels.pack("rnn", (w_ih, w_hh))`` returned; then `w_hh` is None
    w_hh : array (H, H)
    b_ih, b_hh : array (H,), optional
        Their sum is the bias; zeros where not given.
    h0 : array (B, H), optional
        The state before the first step; zeros where not given.
    lengths, reverse, return_cache
        As `kernels.lstm`.
    nonlinearity : {"tanh", "relu"}
    clip : float, optional
        Bounds the pre-activations to [−clip, clip].
    algorithm : str
        A rung of ``kernels.ladder("rnn")``, or "auto".
    out : numpy.ndarray, optional
        Where to write y: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    y : numpy.ndarray (T, B, H)
        It may be a view of the states that the cache holds: change neither before the gradient is taken.
    h : numpy.ndarray (B, H)
        The state after each row's last step.
    cache : RnnCache
        If asked for.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.

    Notes
    -----
    2·H·(D + H) FLOPs a step. Scratch: the packed weights, and for a handful of rows the inputs' part, H a step;
    with lengths also x and y, a row a step.

    Source: Elman, "Finding Structure in Time", 1990.
    """
    x = common.sequence(x)
    w = common.weights("rnn", x, w_ih, w_hh)
    (t, b, _), units = x.shape, w.units
    biases = common.optional_biases(b_ih, b_hh, units, x)
    h0 = common.optional("h0", h0, (b, units), x)
    steps, lengths = common.steps_of(x, lengths, reverse)
    relu = checks.choice("nonlinearity", nonlinearity, NONLINEARITIES) == "relu"
    bound, saved = common.bound(clip), checks.flag("return_cache", return_cache)
    problem = common.described(
        "rnn",
        x,
        units,
        units,
        steps,
        saved=saved,
        clip=clip,
        relu=relu,
    )
    RNN.choose(problem, "forward", algorithm)
    if out is not None:
        inputs = common.arrays(x, w.w_ih, w.w_hh, *biases, h0)
        checks.out(out, (t, b, units), x.dtype, inputs)
    rows = common.rows_of(x, steps)
    args = (
        rows,
        w.w_ih,
        w.w_hh,
        common.total(biases, units, x),
        common.or_zeros(h0, (b, units), x.dtype),
        *steps.walk,
        bound,
        relu,
    )
    shape, weights = (steps.states, units), (w.w_ih, w.w_hh, w.w_proj)
    job = Job("forward", problem, args, shape, weights=weights, packed=w.packed)
    h = RNN.compute(job, algorithm=algorithm)
    y = common.batch_of(h[steps.after :], steps, (t, b, units), out)
    state = h[steps.last]
    if not saved:
        return y, state
    cache = RnnCache(
        x, w.w_ih, w.w_hh, *biases, h0, lengths, steps.stride < 0, clip, nonlinearity, w.packed, steps, rows, h
    )  # fmt: skip
    return y, state, cache


def rnn_backward(
    dy: Any,
    cache: RnnCache,
    *,
    dh: Any = None,
    needs: tuple[str, ...] | None = None,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `rnn`, back through time: see the family's README for their derivation.

    Parameters
    ----------
    dy, dh, needs, out
        As `gru_backward`.
    cache : RnnCache
        What the forward returned; none of its arrays must have been changed since.
    algorithm : str
        A rung of ``kernels.ladder("rnn")`` for the sweep through time, or "auto".

    Returns
    -------
    RnnGradients, or numpy.ndarray
        Fields x, w_ih, w_hh, b_ih, b_hh, h0, each of its array's shape, None where it was not asked for; the
        array itself where `needs` names one.

    Raises
    ------
    TypeError, ValueError
        If `cache` is another operation's, or dtypes, shapes, `needs` or `out` do not fit.

    Notes
    -----
    4·H·(D + H) FLOPs a step. Scratch: the gradients of the pre-activations, as large as the states; with
    lengths also dy, dx and a copy of the states, a row a step; where dy is None, zeros in its place.

    Source: Werbos, "Backpropagation Through Time: What It Does and How to Do It", 1990.
    """
    common.check_cache("rnn", cache, RnnCache)
    x, steps = cache.x, cache.layout
    b, units = x.shape[1], cache.h.shape[1]
    dh = common.optional("dh", dh, (b, units), x)
    dy_rows = common.incoming(dy, cache, units)
    taken = common.arrays(*cache, dy_rows, dy, dh)
    wanted = Wanted(cache, RnnGradients, needs, out, common.shapes_of(cache, units), taken)
    relu = cache.nonlinearity == "relu"
    problem = common.described(
        "rnn",
        x,
        units,
        units,
        steps,
        saved=True,
        clip=cache.clip,
        relu=relu,
    )
    args = (
        dy_rows,
        cache.w_hh,
        *steps.walk,
        common.bound(cache.clip),
        relu,
        cache.h,
        common.or_zeros(dh, (b, units), x.dtype),
        wanted.room("h0"),
    )
    shape = steps.rows, units
    weights = cache.w_ih, cache.w_hh, np.empty((0, units), x.dtype)
    job = Job("backward", problem, args, shape, weights=weights, packed=cache.packed)
    dz = RNN.compute(job, algorithm=algorithm)
    steps.clear(dz)
    wanted.weight("w_ih", (dz, cache.rows))
    if "w_hh" in wanted:
        wanted.weight("w_hh", (dz[: steps.paired], steps.beside(cache.h, steps.before)))
    wanted.biases((dz,), (dz,))
    wanted.inputs(steps, (dz, cache.w_ih))
    return wanted.result()


def pack_rnn(w: Any) -> Packed:
    """Check (w_ih, w_hh), and return them as `kernels.pack` does."""
    return common.pack("rnn", w)
