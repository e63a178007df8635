"""Front door of the GRU over a sequence, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks, memory
from kernels.core.ladder import Job
from kernels.core.packing import Packed
from kernels.recurrent.api import common
from kernels.recurrent.api.wanted import Wanted
from kernels.recurrent.cache import GruCache, GruGradients
from kernels.recurrent.ladder import GRU


def gru(
    x: Any,
    w_ih: Any,
    w_hh: Any = None,
    b_ih: Any = None,
    b_hh: Any = None,
    *,
    h0: Any = None,
    lengths: Any = None,
    reverse: bool = False,
    linear_before_reset: bool = True,
    clip: float | None = None,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Run gated recurrent units over a sequence.

    r, z = σ(W x + U h + b), h′ = (1 − z)·n + z·h, step by step, and
    n = tanh(W_n x + b_in + r·(U_n h + b_hn)), or, the reset gate first, tanh(W_n x + b_in + U_n (r·h) + b_hn).

    Parameters
    ----------
    x : array (T, B, D), float32 or float64
        T at least 1; B may be 0.
    w_ih : array (3H, D), or what ``kernels.pack("gru", (w_ih, w_hh))`` returned; then `w_hh` is None
        Rows of r, z, n.
    w_hh : array (3H, H)
    b_ih, b_hh : array (3H,), optional
        Zeros where not given.
    h0 : array (B, H), optional
        The state before the first step; zeros where not given.
    lengths, reverse, return_cache
        As `kernels.lstm`.
    linear_before_reset : bool
        The recurrent product first, its result reset, as PyTorch; else the state reset first, as the paper.
    clip : float, optional
        Bounds the pre-activations of r, z and n to [−clip, clip].
    algorithm : str
        A rung of ``kernels.ladder("gru")``, or "auto".
    out : numpy.ndarray, optional
        Where to write y: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    y : numpy.ndarray (T, B, H)
        It may be a view of the states that the cache holds: change neither before the gradient is taken.
    h : numpy.ndarray (B, H)
        The state after each row's last step.
    cache : GruCache
        If asked for.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.

    Notes
    -----
    6·H·(D + H) FLOPs a step. Gates, 4·H numbers a step, are written only where the cache is asked for. Scratch:
    the packed weights, and for a handful of rows the inputs' part, 3·H a step; with lengths also x and y.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.
    """
    x = common.sequence(x)
    w = common.weights("gru", x, w_ih, w_hh)
    (t, b, _), units = x.shape, w.units
    biases = common.optional_biases(b_ih, b_hh, 3 * units, x)
    h0 = common.optional("h0", h0, (b, units), x)
    steps, lengths = common.steps_of(x, lengths, reverse)
    first = checks.flag("linear_before_reset", linear_before_reset)
    bound, saved = common.bound(clip), checks.flag("return_cache", return_cache)
    problem = common.described(
        "gru",
        x,
        units,
        units,
        steps,
        saved=saved,
        clip=clip,
        linear_before_reset=first,
    )
    GRU.choose(problem, "forward", algorithm)
    if out is not None:
        inputs = common.arrays(x, w.w_ih, w.w_hh, *biases, h0)
        checks.out(out, (t, b, units), x.dtype, inputs)
    rows = common.rows_of(x, steps)
    gates = memory.empty((steps.rows if saved else 0, 4 * units), x.dtype)
    args = (
        rows,
        w.w_ih,
        w.w_hh,
        _bias(biases, units, x),
        common.or_zeros(h0, (b, units), x.dtype),
        *steps.walk,
        bound,
        first,
        gates,
    )
    shape, weights = (steps.states, units), (w.w_ih, w.w_hh, w.w_proj)
    job = Job("forward", problem, args, shape, weights=weights, packed=w.packed)
    h = GRU.compute(job, algorithm=algorithm)
    y = common.batch_of(h[steps.after :], steps, (t, b, units), out)
    state = h[steps.last]
    if not saved:
        return y, state
    cache = GruCache(
        x, w.w_ih, w.w_hh, *biases, h0, lengths, steps.stride < 0, clip, first, w.packed, steps, rows, gates, h
    )  # fmt: skip
    return y, state, cache


def _bias(biases: tuple, units: int, x: np.ndarray) -> np.ndarray:
    """One vector (4H,): r and z summed, n's beside x, n's beside h: the last two meet the reset gate apart."""
    ih, hh = (common.or_zeros(each, (3 * units,), x.dtype) for each in biases)
    both = 2 * units
    return np.concatenate([ih[:both] + hh[:both], ih[both:], hh[both:]])


def gru_backward(
    dy: Any,
    cache: GruCache,
    *,
    dh: Any = None,
    needs: tuple[str, ...] | None = None,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `gru`, back through time: see the family's README for their derivation.

    Parameters
    ----------
    dy : array (T, B, H), or None
        Gradient of the loss with respect to y; what it holds past a row's length is not read. None: zeros,
        where only the last state was used.
    cache : GruCache
        What the forward returned; none of its arrays must have been changed since.
    dh : array (B, H), optional
        Gradient with respect to the last state, beside what y brings; zeros where not given.
    needs : sequence drawn from GruGradients' fields, optional
        The gradients wanted; where not given those of all arrays that the forward was given. Those of h0,
        b_ih and b_hh are there even where it was not given them.
    algorithm : str
        A rung of ``kernels.ladder("gru")`` for the sweep through time, or "auto".
    out : numpy.ndarray or sequence of them, optional
        One for each gradient, in the order of `needs`, or of the fields.

    Returns
    -------
    GruGradients, or numpy.ndarray
        Fields x, w_ih, w_hh, b_ih, b_hh, h0, each of its array's shape, None where it was not asked for; the
        array itself where `needs` names one.

    Raises
    ------
    TypeError, ValueError
        If `cache` is another operation's, or dtypes, shapes, `needs` or `out` do not fit.

    Notes
    -----
    12·H·(D + H) FLOPs a step. Scratch: the gradients of the pre-activations, as large as the saved gates; with
    lengths also dy, dx and a copy of the states, a row a step; where dy is None, zeros in its place.

    Source: Chung et al., "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling", 2014, for
    the cell; the family's README derives its gradients.
    """
    common.check_cache("gru", cache, GruCache)
    x, steps, first = cache.x, cache.layout, cache.linear_before_reset
    b, units = x.shape[1], cache.h.shape[1]
    dh = common.optional("dh", dh, (b, units), x)
    dy_rows = common.incoming(dy, cache, units)
    taken = common.arrays(*cache, dy_rows, dy, dh)
    wanted = Wanted(cache, GruGradients, needs, out, common.shapes_of(cache, units), taken)
    problem = common.described(
        "gru",
        x,
        units,
        units,
        steps,
        saved=True,
        clip=cache.clip,
        linear_before_reset=first,
    )
    dn = memory.empty((steps.rows, units), x.dtype)
    dq = memory.empty((steps.rows if first else 0, units), x.dtype)
    args = (
        dy_rows,
        cache.w_hh,
        *steps.walk,
        common.bound(cache.clip),
        first,
        cache.gates,
        cache.h,
        common.or_zeros(dh, (b, units), x.dtype),
        wanted.room("h0"),
        dn,
        dq,
    )
    shape = steps.rows, 2 * units
    weights = cache.w_ih, cache.w_hh, np.empty((0, units), x.dtype)
    job = Job("backward", problem, args, shape, weights=weights, packed=cache.packed)
    drz = GRU.compute(job, algorithm=algorithm)
    steps.clear(drz)
    steps.clear(dn)
    some = slice(0, steps.paired)
    wanted.weight("w_ih", (drz, cache.rows), (dn, cache.rows))
    wanted.inputs(steps, (drz, cache.w_ih[: 2 * units]), (dn, cache.w_ih[2 * units :]))
    if first:
        steps.clear(dq)
    elif "w_hh" in wanted:
        reset = cache.gates[:, 3 * units :].copy()
        steps.clear(reset)
        met = dn, reset
    if "w_hh" in wanted:
        before = steps.beside(cache.h, steps.before)
        wanted.weight("w_hh", (drz[some], before), (dq[some], before) if first else met)
    wanted.biases((drz, dn), (drz, dq if first else dn))
    return wanted.result()


def pack_gru(w: Any) -> Packed:
    """Check (w_ih, w_hh), and return them as `kernels.pack` does."""
    return common.pack("gru", w)
