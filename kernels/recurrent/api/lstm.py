"""Front door of the LSTM over a sequence, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks, memory
from kernels.core.ladder import Job
from kernels.core.packing import Packed
from kernels.recurrent.api import common
from kernels.recurrent.api.wanted import Wanted
from kernels.recurrent.cache import LstmCache, LstmGradients
from kernels.recurrent.ladder import LSTM


def lstm(
    x: Any,
    w_ih: Any,
    w_hh: Any = None,
    b_ih: Any = None,
    b_hh: Any = None,
    *,
    h0: Any = None,
    c0: Any = None,
    lengths: Any = None,
    reverse: bool = False,
    peepholes: Any = None,
    w_proj: Any = None,
    clip: float | None = None,
    coupled: bool = False,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Run a long short-term memory over a sequence.

    i, f, o = σ(W x + U h + b), g = tanh(W x + U h + b), c′ = f·c + i·g, h′ = o·tanh(c′), step by step.

    Parameters
    ----------
    x : array (T, B, D), float32 or float64
        T at least 1; B may be 0.
    w_ih : array (4H, D), or what ``kernels.pack("lstm", (w_ih, w_hh))`` returned, with `w_proj` as its third
        where there is one; then `w_hh` and `w_proj` are None. Rows of i, f, g, o.
    w_hh : array (4H, H), or (4H, P) with a projection
    b_ih, b_hh : array (4H,), optional
        Their sum is the bias; zeros where not given.
    h0, c0 : array (B, H), optional
        The states before the first step, h0 (B, P) with a projection; zeros where not given.
    lengths : integers (B,), optional
        Steps of each row, from 0 to T. Outputs past them are zero and the states stop there; a row of none
        keeps its initial states. What x holds past them is not read.
    reverse : bool
        From the last step to the first, each row within its own length; y stays in x's order.
    peepholes : array (3, H), optional
        Weights of the cell in the gates, rows i, f, o; o sees the new cell.
    w_proj : array (P, H), optional
        The output is w_proj · h, and so is the state.
    clip : float, optional
        Bounds the pre-activations of the gates, peepholes included, to [−clip, clip]. The gradient of one that
        was bound is zero, as of one within rounding of the bound, for the gate alone tells: in float32 a clip
        below 10⁻⁵ bounds everything.
    coupled : bool
        f = 1 − i; what the weights hold for f is ignored, and its gradient is zero.
    return_cache : bool
        Also return what `lstm_backward` takes.
    algorithm : str
        A rung of ``kernels.ladder("lstm")``, or "auto".
    out : numpy.ndarray, optional
        Where to write y: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    y : numpy.ndarray (T, B, P)
        P = H without a projection. It may be a view of the states that the cache holds: change neither
        before the gradient is taken.
    (h, c) : numpy.ndarray (B, P) and (B, H)
        The states after each row's last step.
    cache : LstmCache
        If asked for.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.

    Notes
    -----
    8·H·(D + P) FLOPs a step, and 2·P·H with a projection. Gates and cells, 5·H numbers a step, are written only
    where the cache is asked for. Scratch: the packed weights, and for a handful of rows the inputs' part, 4·H a
    step; with lengths also x and y, a row a step.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; see `kernels.recurrent.naive` for the
    options'.
    """
    x = common.sequence(x)
    w = common.weights("lstm", x, w_ih, w_hh, w_proj)
    (t, b, _), units, outputs = x.shape, w.units, w.outputs
    biases = common.optional_biases(b_ih, b_hh, 4 * units, x)
    h0 = common.optional("h0", h0, (b, outputs), x)
    c0 = common.optional("c0", c0, (b, units), x)
    peepholes = common.optional("peepholes", peepholes, (3, units), x)
    steps, lengths = common.steps_of(x, lengths, reverse)
    bound, coupled = common.bound(clip), checks.flag("coupled", coupled)
    saved = checks.flag("return_cache", return_cache)
    problem = common.described(
        "lstm",
        x,
        units,
        outputs,
        steps,
        saved=saved,
        clip=clip,
        peepholes=peepholes is not None,
        coupled=coupled,
        projected=len(w.w_proj) > 0,
    )
    LSTM.choose(problem, "forward", algorithm)
    if out is not None:
        inputs = common.arrays(x, w.w_ih, w.w_hh, w.w_proj, *biases, h0, c0, peepholes)
        checks.out(out, (t, b, outputs), x.dtype, inputs)
    rows = common.rows_of(x, steps)
    c = memory.empty((steps.states if saved else b, units), x.dtype)
    gates = memory.empty((steps.rows if saved else 0, 4 * units), x.dtype)
    m = memory.empty((steps.rows if problem.projected else 0, units), x.dtype)
    args = (
        rows,
        w.w_ih,
        w.w_hh,
        common.total(biases, 4 * units, x),
        common.or_zeros(peepholes, (0, units), x.dtype),
        w.w_proj,
        common.or_zeros(h0, (b, outputs), x.dtype),
        common.or_zeros(c0, (b, units), x.dtype),
        *steps.walk,
        bound,
        coupled,
        c,
        gates,
        m,
    )
    job = Job(
        "forward",
        problem,
        args,
        (steps.states, outputs),
        weights=(w.w_ih, w.w_hh, w.w_proj),
        packed=w.packed,
    )
    h = LSTM.compute(job, algorithm=algorithm)
    y = common.batch_of(h[steps.after :], steps, (t, b, outputs), out)
    states = h[steps.last], c[steps.last] if saved else c
    if not saved:
        return y, states
    if problem.projected:
        steps.clear(m)
    cache = LstmCache(
        x, w.w_ih, w.w_hh, *biases, h0, c0, peepholes, w.w_proj if problem.projected else None,
        lengths, steps.stride < 0, clip, coupled, w.packed, steps, rows, gates, c, h, m,
    )  # fmt: skip
    return y, states, cache


def lstm_backward(
    dy: Any,
    cache: LstmCache,
    *,
    dh: Any = None,
    dc: Any = None,
    needs: tuple[str, ...] | None = None,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `lstm`, back through time: see the family's README for their derivation.

    Parameters
    ----------
    dy : array (T, B, P), or None
        Gradient of the loss with respect to y; what it holds past a row's length is not read. None: zeros,
        where only the last states were used.
    cache : LstmCache
        What the forward returned; none of its arrays must have been changed since.
    dh, dc : array (B, P) and (B, H), optional
        Gradients with respect to the last states, beside what y brings; zeros where not given.
    needs : sequence drawn from LstmGradients' fields, optional
        The gradients wanted; where not given those of all arrays that the forward was given. Those of h0,
        c0, b_ih and b_hh are there even where it was not given them.
    algorithm : str
        A rung of ``kernels.ladder("lstm")`` for the sweep through time, or "auto".
    out : numpy.ndarray or sequence of them, optional
        One for each gradient, in the order of `needs`, or of the fields.

    Returns
    -------
    LstmGradients, or numpy.ndarray
        Fields x, w_ih, w_hh, b_ih, b_hh, h0, c0, peepholes, w_proj, each of its array's shape, None where it
        was not asked for; the array itself where `needs` names one.

    Raises
    ------
    TypeError, ValueError
        If `cache` is another operation's, dtypes, shapes or `out` do not fit, or `needs` names peepholes or
        w_proj that the forward was not given.

    Notes
    -----
    16·H·(D + P) FLOPs a step. Scratch: the gradients of the pre-activations, as large as the saved gates,
    and with a projection those of the outputs, as large as the states. With lengths also dy, dx and a copy of
    the states, a row a step; where dy is None, zeros in its place. For one step after the other the sweep of
    `fused` reads w_hh once for each four rows, and gates, cells and dz once.

    Source: Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", 2012, section 4.6.
    """
    common.check_cache("lstm", cache, LstmCache)
    x, steps = cache.x, cache.layout
    b, units, outputs = x.shape[1], cache.c.shape[1], cache.h.shape[1]
    dh = common.optional("dh", dh, (b, outputs), x)
    dc = common.optional("dc", dc, (b, units), x)
    shapes = {**common.shapes_of(cache, outputs), "c0": (b, units)}
    if cache.peepholes is not None:
        shapes["peepholes"] = (3, units)
    if cache.w_proj is not None:
        shapes["w_proj"] = (outputs, units)
    dy_rows = common.incoming(dy, cache, outputs)
    taken = common.arrays(*cache, dy_rows, dy, dh, dc)
    wanted = Wanted(cache, LstmGradients, needs, out, shapes, taken)
    problem = common.described(
        "lstm",
        x,
        units,
        outputs,
        steps,
        saved=True,
        clip=cache.clip,
        peepholes=cache.peepholes is not None,
        coupled=cache.coupled,
        projected=cache.w_proj is not None,
    )
    w_proj = common.or_zeros(cache.w_proj, (0, units), x.dtype)
    w_ih, w_hh, peepholes, packed = cache.w_ih, cache.w_hh, cache.peepholes, cache.packed
    if cache.coupled:
        w_ih, w_hh = _without_f(w_ih, units), _without_f(w_hh, units)
        packed = packed if w_hh is cache.w_hh else None
        peepholes = None if peepholes is None else _without_f(peepholes, 1)
    dp = memory.empty((steps.rows if problem.projected else 0, outputs), x.dtype)
    args = (
        dy_rows,
        w_hh,
        common.or_zeros(peepholes, (0, units), x.dtype),
        w_proj,
        *steps.walk,
        common.bound(cache.clip),
        cache.coupled,
        cache.gates,
        cache.c,
        common.or_zeros(dh, (b, outputs), x.dtype),
        common.or_zeros(dc, (b, units), x.dtype),
        wanted.room("h0"),
        wanted.room("c0"),
        dp,
    )
    job = Job(
        "backward",
        problem,
        args,
        (steps.rows, 4 * units),
        weights=(w_ih, w_hh, w_proj),
        packed=packed,
    )
    dz = LSTM.compute(job, algorithm=algorithm)
    steps.clear(dz)
    paired = dz[: steps.paired]
    wanted.weight("w_ih", (dz, cache.rows))
    if "w_hh" in wanted:
        wanted.weight("w_hh", (paired, steps.beside(cache.h, steps.before)))
    wanted.biases((dz,), (dz,))
    if "w_proj" in wanted:
        steps.clear(dp)
        wanted.weight("w_proj", (dp, cache.m))
    if "peepholes" in wanted:
        into = wanted.room("peepholes")
        di, df, _, do = np.split(paired, 4, axis=1)
        before, after = (steps.beside(cache.c, each) for each in (steps.before, steps.after))
        for row, (gate, cell) in enumerate(((di, before), (df, before), (do, after))):
            (gate * cell).sum(0, out=into[row])
    wanted.inputs(steps, (dz, w_ih))
    return wanted.result()


def _without_f(w: np.ndarray, units: int) -> np.ndarray:
    """Weights of coupled gates: where f's, which are ignored, hold no number, zeros for them; 0·NaN is NaN."""
    f = slice(units, 2 * units)
    if np.isfinite(w[f]).all():
        return w
    w = w.copy()
    w[f] = 0
    return w


def pack_lstm(w: Any) -> Packed:
    """Check (w_ih, w_hh) or (w_ih, w_hh, w_proj), and return them as `kernels.pack` does."""
    return common.pack("lstm", w, 3)
