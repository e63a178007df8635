"""Front door of the family: five normalisations and their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.core import checks, memory, targets
from kernels.core.ladder import Job
from kernels.normalization.cache import NormCache, NormGradients, RmsNormGradients
from kernels.normalization.ladder import LADDERS
from kernels.normalization.problem import NormProblem

ALL = ("x", "weight", "bias")


def layer_norm(
    x: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    eps: float = 1e-5,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Normalise over the last axes: y = (x − mean) / √(variance + eps) · weight + bias.

    Parameters
    ----------
    x : array (…, *normalized_shape), float32 or float64
    normalized_shape : int or tuple of int
        The last axes: what lies along them shares a mean and a variance.
    weight, bias : array of shape normalized_shape, optional
        Ones and zeros where not given.
    eps : float
        At least 0.
    return_cache : bool
        Also return what `layer_norm_backward` takes.
    algorithm : str
        A rung of ``kernels.ladder("layer_norm")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    y : numpy.ndarray of x's shape and dtype, or (y, cache)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.

    Notes
    -----
    About 8 FLOPs an element; x read and y written once at the least. The variance is the biased one.
    """
    x, shape = _rows("layer_norm", x, normalized_shape)
    affine = _affine("weight", weight, shape, x), _affine("bias", bias, shape, x)
    return _per_set("layer_norm", x, affine, shape, eps, return_cache, algorithm, out)


def rms_norm(
    x: Any,
    normalized_shape: Any,
    weight: Any = None,
    *,
    eps: float | None = None,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Divide by the root of the mean square over the last axes: y = x / √(mean(x²) + eps) · weight.

    Parameters
    ----------
    x, normalized_shape, weight, return_cache, out
        As `layer_norm`.
    eps : float, optional
        At least 0; where not given the dtype's own: ``numpy.finfo(x.dtype).eps``.
    algorithm : str
        A rung of ``kernels.ladder("rms_norm")``, or "auto".

    Returns
    -------
    y : numpy.ndarray of x's shape and dtype, or (y, cache)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.
    """
    x, shape = _rows("rms_norm", x, normalized_shape)
    affine = _affine("weight", weight, shape, x), None
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    return _per_set("rms_norm", x, affine, shape, eps, return_cache, algorithm, out)


def group_norm(
    x: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    *,
    eps: float = 1e-5,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Normalise over groups of channels: each C / num_groups channels of an image have their own mean.

    Parameters
    ----------
    x : array (N, C) or (N, C, …), float32 or float64
    num_groups : int
        It divides C.
    weight, bias : array (C,), optional
        Ones and zeros where not given.
    eps, return_cache, out
        As `layer_norm`.
    algorithm : str
        A rung of ``kernels.ladder("group_norm")``, or "auto".

    Returns
    -------
    y : numpy.ndarray of x's shape and dtype, or (y, cache)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit, or there is one value in all of a group and one group.
    """
    x = _channels(x)
    groups = checks.integer("num_groups", num_groups, 1)
    if x.shape[1] % groups:
        raise ValueError(f"num_groups: expected a divisor of {x.shape[1]} channels, got {groups}")
    if x.size and x.size == groups:
        raise ValueError(f"x: expected more than 1 value per channel, got shape {x.shape}")
    affine = _affine("weight", weight, x.shape[1:2], x), _affine("bias", bias, x.shape[1:2], x)
    return _per_set("group_norm", x, affine, groups, eps, return_cache, algorithm, out)


def instance_norm(
    x: Any,
    weight: Any = None,
    bias: Any = None,
    *,
    eps: float = 1e-5,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Normalise each channel of each image by its own mean and variance.

    Parameters
    ----------
    x : array (N, C, …), float32 or float64
        More than one element behind the channels.
    weight, bias : array (C,), optional
        Ones and zeros where not given.
    eps, return_cache, out
        As `layer_norm`.
    algorithm : str
        A rung of ``kernels.ladder("instance_norm")``, or "auto".

    Returns
    -------
    y : numpy.ndarray of x's shape and dtype, or (y, cache)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.
    """
    x = _channels(x)
    if math.prod(x.shape[2:]) == 1:
        raise ValueError(f"x: expected more than 1 spatial element, got shape {x.shape}")
    affine = _affine("weight", weight, x.shape[1:2], x), _affine("bias", bias, x.shape[1:2], x)
    return _per_set("instance_norm", x, affine, None, eps, return_cache, algorithm, out)


def batch_norm(
    x: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    return_cache: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Normalise each channel by its mean and variance over the batch, or by the running ones.

    Parameters
    ----------
    x : array (N, C) or (N, C, …), float32 or float64
    weight, bias : array (C,) or None
        Ones and zeros where None.
    running_mean, running_var : numpy.ndarray (C,), of x's dtype, or None for both
        In training, if given, they are moved in place towards the batch's mean and its *unbiased*
        variance; in inference they are what x is normalised by.
    training : bool
    momentum : float
        From 0 to 1: the share of the way.
    eps, return_cache, out
        As `layer_norm`.
    algorithm : str
        A rung of ``kernels.ladder("batch_norm")``, or "auto".

    Returns
    -------
    y : numpy.ndarray of x's shape and dtype, or (y, cache)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit, a channel has one value in training, or inference has
        no statistics; nothing is touched then.

    Notes
    -----
    About 8 FLOPs an element in training, 4 in inference; x read and y written once at the least.
    An empty batch leaves the running statistics as they are.
    """
    x = _channels(x)
    c = x.shape[1]
    training = checks.flag("training", training)
    momentum = checks.real("momentum", momentum, 0, 1)
    eps = checks.real("eps", eps, 0, below=math.inf)
    checks.flag("return_cache", return_cache)
    weight, bias = _affine("weight", weight, (c,), x), _affine("bias", bias, (c,), x)
    running = _running(running_mean, running_var, training, x, (weight, bias))
    if training and x.size == c:
        raise ValueError(
            f"x: expected more than 1 value per channel in training, got shape {x.shape}"
        )
    if not training:
        mean, rstd = running[0].astype(np.float64), _rstd(running[1], eps)
    else:
        mean, rstd = memory.empty((2, c), np.float64)
    moving = training and x.size > 0
    if training and not moving:
        mean[:], rstd[:] = 0, 1 / math.sqrt(eps) if eps else 0
    kept = running if moving and running else (np.empty(0, x.dtype),) * 2
    problem, view = _problem("batch_norm", x, None, not training)
    affine = _ones(weight, c, x), _zeros(bias, c, x)
    args = (x.reshape(view), *affine, moving, momentum, eps, *kept, mean, rstd)
    job = Job("forward", problem, args, x.shape, view)
    arrays = [each for each in (weight, bias, *running) if each is not None]
    y = LADDERS["batch_norm"].compute(job, algorithm=algorithm, out=out, inputs=arrays)
    if not return_cache:
        return y
    return y, NormCache("batch_norm", x, mean, rstd, weight, eps, None, training)


def layer_norm_backward(
    dy: Any,
    cache: NormCache,
    *,
    needs: tuple[str, ...] = ALL,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `layer_norm`: see the family's README for their derivation.

    Parameters
    ----------
    dy : array of the output's shape
        Gradient of the loss with respect to the output.
    cache : NormCache
        What the forward returned; the input it holds must not have been changed since.
    needs : sequence drawn from ("x", "weight", "bias")
        The gradients wanted. Those of weight and bias are there even where the forward was given none.
    algorithm : str
        A rung of the forward's ladder, or "auto".
    out : numpy.ndarray or sequence of them, optional
        One for each of `needs`, in that order.

    Returns
    -------
    NormGradients, or numpy.ndarray
        Fields x, weight, bias; the array itself where one gradient is wanted.

    Raises
    ------
    TypeError, ValueError
        If `cache` is another operation's, or dtypes, shapes or `out` do not fit.

    Notes
    -----
    All that is asked for comes from one pass: dy and x read and dx written once at the least.
    """
    return _backward("layer_norm", dy, cache, needs, algorithm, out)


def rms_norm_backward(
    dy: Any,
    cache: NormCache,
    *,
    needs: tuple[str, ...] = ALL[:2],
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `rms_norm`: as `layer_norm_backward`, and there is no bias.

    Returns
    -------
    RmsNormGradients, or numpy.ndarray
        Fields x, weight; the array itself where one gradient is wanted.
    """
    return _backward("rms_norm", dy, cache, needs, algorithm, out)


def group_norm_backward(
    dy: Any,
    cache: NormCache,
    *,
    needs: tuple[str, ...] = ALL,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `group_norm`: parameters, results and errors as `layer_norm_backward`."""
    return _backward("group_norm", dy, cache, needs, algorithm, out)


def instance_norm_backward(
    dy: Any,
    cache: NormCache,
    *,
    needs: tuple[str, ...] = ALL,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `instance_norm`: parameters, results and errors as `layer_norm_backward`."""
    return _backward("instance_norm", dy, cache, needs, algorithm, out)


def batch_norm_backward(
    dy: Any,
    cache: NormCache,
    *,
    needs: tuple[str, ...] = ALL,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `batch_norm`: parameters, results and errors as `layer_norm_backward`.

    After a forward in inference the statistics are constants: dx = dy · weight · rstd.
    """
    return _backward("batch_norm", dy, cache, needs, algorithm, out)


def _rows(name: str, x: Any, normalized_shape: Any) -> tuple[np.ndarray, tuple[int, ...]]:
    """Validate x and the axes that a row is made of."""
    if checks.is_integer(normalized_shape):
        normalized_shape = (normalized_shape,)
    try:
        count = len(normalized_shape)
    except TypeError:
        count = 1  # no sequence: what follows says so
    if count == 0:
        raise ValueError(f"normalized_shape: expected at least one axis, got {normalized_shape!r}")
    shape = checks.integers("normalized_shape", normalized_shape, count, 1)
    x = targets.to_numpy("x", x)
    if x.shape[-len(shape) :] != shape:
        raise ValueError(f"normalized_shape: expected the last axes of {x.shape}, got {shape}")
    return checks.array("x", x, empty_axes=tuple(range(x.ndim - len(shape)))), shape


def _channels(x: Any) -> np.ndarray:
    x = targets.to_numpy("x", x)
    if x.ndim < 2:
        raise ValueError(f"x: expected (N, C) or (N, C, …), got shape {x.shape}")
    return checks.array("x", x)


def _affine(name: str, value: Any, shape: tuple[int, ...], x: np.ndarray) -> np.ndarray | None:
    return None if value is None else checks.array(name, value, len(shape), x.dtype, shape)


def _ones(weight: np.ndarray | None, size: int, x: np.ndarray) -> np.ndarray:
    return np.ones(size, x.dtype) if weight is None else weight.reshape(size)


def _zeros(bias: np.ndarray | None, size: int, x: np.ndarray) -> np.ndarray:
    return np.zeros(size, x.dtype) if bias is None else bias.reshape(size)


def _rstd(variance: np.ndarray, eps: float) -> np.ndarray:
    """1 / √(variance + eps) in float64; NaN for a variance below −eps, infinite at it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 / np.sqrt(variance.astype(np.float64) + eps)


def _running(mean: Any, var: Any, training: bool, x: np.ndarray, others: tuple) -> tuple:
    """Validate the running statistics: two arrays, or none where training can do without."""
    if (mean is None) != (var is None):
        raise ValueError(
            "running_mean, running_var: expected both or neither, got None for "
            f"{'running_mean' if mean is None else 'running_var'} alone"
        )
    shape = x.shape[1:2]
    if mean is None:
        if not training:
            raise ValueError("running_mean: expected the running statistics in inference, got None")
        return ()
    if not training:
        return tuple(
            checks.array(name, value, 1, x.dtype, shape)
            for name, value in (("running_mean", mean), ("running_var", var))
        )
    taken = [x, *(each for each in others if each is not None)]
    mean = checks.state("running_mean", mean, shape, x.dtype, taken)
    return mean, checks.state("running_var", var, shape, x.dtype, [*taken, mean])


def _problem(
    name: str, x: np.ndarray, option: Any, fixed: bool = False
) -> tuple[NormProblem, tuple[int, int, int]]:
    """See x as (N, C, S), a weight each channel; layer norm's rows are channels of one element."""
    if name in ("layer_norm", "rms_norm"):
        c = math.prod(option)
        view = (x.size // c, c, 1)
    else:
        view = (x.shape[0], x.shape[1], math.prod(x.shape[2:]))
    groups = option if name == "group_norm" else view[1] if name == "instance_norm" else 1
    return NormProblem(*view, groups, name == "batch_norm", x.dtype, fixed), view


def _per_set(name, x, affine, option, eps, return_cache, algorithm, out) -> Any:
    """Run a forward whose sets lie within an image or a row."""
    eps = checks.real("eps", eps, 0, below=math.inf)
    checks.flag("return_cache", return_cache)
    problem, view = _problem(name, x, option)
    mean, rstd = memory.empty((2, problem.sets), np.float64)
    both = _ones(affine[0], problem.c, x), _zeros(affine[1], problem.c, x)
    args = (x.reshape(view), *both, problem.groups, name != "rms_norm", eps, mean, rstd)
    job = Job("forward", problem, args, x.shape, view)
    y = LADDERS[name].compute(job, algorithm=algorithm, out=out)
    if not return_cache:
        return y
    if name in ("group_norm", "instance_norm"):
        mean, rstd = (each.reshape(len(x), problem.groups) for each in (mean, rstd))
    return y, NormCache(name, x, mean, rstd, affine[0], eps, option)


def _backward(name: str, dy: Any, cache: Any, needs: Any, algorithm: str, out: Any) -> Any:
    """Compute all that is asked for in one job: dx's fills dweight and dbias on its way, dweight's dbias."""
    kind = RmsNormGradients if name == "rms_norm" else NormGradients
    needs = checks.needs(needs, kind._fields)
    if not isinstance(cache, NormCache) or cache.operation != name:
        got = cache.operation if isinstance(cache, NormCache) else type(cache).__name__
        raise TypeError(f"cache: expected what {name} returned, got that of {got}")
    x = cache.x
    dy = checks.array("dy", dy, x.ndim, x.dtype, x.shape)
    problem, view = _problem(name, x, cache.option, not cache.training)
    given, shapes = (
        checks.outs(out, needs),
        {**dict.fromkeys(kind._fields, cache.affine_shape), "x": x.shape},
    )
    taken = [each for each in (dy, x, cache.mean, cache.rstd, cache.weight) if each is not None]
    lead = next(each for each in kind._fields if each in needs)  # the one that brings the others
    LADDERS[name].choose(problem, f"d{lead}", algorithm)
    for each in needs:
        if given[each] is not None:
            checks.out(given[each], shapes[each], x.dtype, taken)
            taken.append(given[each])
    results = {
        each: memory.empty(shapes[each], x.dtype) if given[each] is None else given[each]
        for each in needs
        if each != lead
    }
    none = np.empty(0, x.dtype)
    dw, db = (results.get(each, none).reshape(-1) for each in ("weight", "bias"))
    stats = dy.reshape(view), x.reshape(view), cache.mean.reshape(-1), cache.rstd.reshape(-1)
    batch = name == "batch_norm"
    if lead == "x":
        option = (cache.training,) if batch else (problem.groups, name != "rms_norm")
        job_args = (*stats, _ones(cache.weight, problem.c, x), *option, dw, db)
    elif lead == "weight":
        job_args = (*stats, db) if batch else (*stats, problem.groups, db)
    else:
        job_args = stats[:1]
    job = Job(f"d{lead}", problem, job_args, shapes[lead], view if lead == "x" else (problem.c,))
    results[lead] = LADDERS[name].compute(job, algorithm=algorithm, out=given[lead])
    if len(needs) == 1:
        return results[lead]
    return kind(*(results.get(each) for each in kind._fields))
