"""Front door of the family: cross_entropy and mse, with their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.core import checks, memory, targets
from kernels.core.ladder import Job
from kernels.loss.ladder import CROSS_ENTROPY, MSE
from kernels.loss.parallel import CHUNK
from kernels.loss.problem import LossProblem

REDUCTIONS = ("mean", "sum", "none")


def cross_entropy(
    logits: Any,
    targets: Any,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Cross-entropy between softmax(logits) and class indices, as PyTorch's.

    Parameters
    ----------
    logits : array (N, C) or (N, C, d1, …), float32 or float64
    targets : integer array (N,) or (N, d1, …)
        From 0 to C − 1, or `ignore_index`.
    ignore_index : int
        Rows with this target have no loss and no gradient, and do not count in the mean.
    label_smoothing : float
        ε from 0 to 1: the target becomes (1 − ε)·one-hot + ε/C.
    reduction : {"mean", "sum", "none"}
    algorithm : str
        A rung of ``kernels.ladder("cross_entropy")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Of shape (), or of the targets' where `reduction` is "none". A mean over no row is NaN.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit, or a target is out of range.
    """
    x, labels, options = _classes(logits, targets, ignore_index, label_smoothing)
    checks.choice("reduction", reduction, REDUCTIONS)
    reduced = reduction != "none"
    divisor = float((labels != ignore_index).sum()) if reduction == "mean" else 1.0
    losses = memory.empty(max(1, labels.size) if reduced else 0, x.dtype)
    if reduced and labels.size == 0:
        losses[0] = 0
    problem = LossProblem(labels.size, x.shape[1], 1, x.dtype, 32)
    shape = () if reduced else labels.shape
    view = _three(x), _two(labels, x)
    job = Job(
        "forward",
        problem,
        (*view, *options, divisor, losses),
        shape,
        (1,) if reduced else (labels.size,),
    )
    return CROSS_ENTROPY.compute(job, algorithm=algorithm, out=out)


def cross_entropy_backward(
    dy: Any,
    logits: Any,
    targets: Any,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `cross_entropy` with respect to the logits: dy · (softmax − target).

    Parameters
    ----------
    dy : number, or array of the targets' shape where `reduction` is "none"
        Gradient of what follows with respect to the loss; 1.0 where the loss is the end.
    logits, targets, ignore_index, label_smoothing, reduction
        The forward's.
    algorithm, out
        As `cross_entropy`.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of logits.

    Raises
    ------
    TypeError, ValueError
        As `cross_entropy`.
    """
    x, labels, options = _classes(logits, targets, ignore_index, label_smoothing)
    checks.choice("reduction", reduction, REDUCTIONS)
    count = int((labels != ignore_index).sum()) if reduction == "mean" else 1
    dl = _loss_gradient(dy, labels.shape, x.dtype, reduction, count)
    problem = LossProblem(labels.size, x.shape[1], 1, x.dtype, 32)
    view = _three(x), _two(labels, x)
    job = Job("dx", problem, (dl, *view, *options), x.shape, view[0].shape)
    return CROSS_ENTROPY.compute(job, algorithm=algorithm, out=out)


def mse(
    y: Any,
    target: Any,
    *,
    reduction: str = "mean",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Squared error (y − target)².

    Parameters
    ----------
    y, target : arrays of one shape, float32 or float64
    reduction : {"mean", "sum", "none"}
    algorithm : str
        A rung of ``kernels.ladder("mse")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Of shape (), or of y's where `reduction` is "none".

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or `reduction` do not fit.
    """
    y, target = _pair(y, target)
    checks.choice("reduction", reduction, REDUCTIONS)
    reduced = reduction != "none"
    chunks = max(1, -(-y.size // CHUNK)) if reduced else 0
    problem = LossProblem(y.size, 1, 2, y.dtype)
    job = Job(
        "forward",
        problem,
        (
            y.reshape(-1),
            target.reshape(-1),
            float(y.size) if reduction == "mean" else 1.0,
            memory.empty(chunks, np.float64),
        ),
        () if reduced else y.shape,
        (1,) if reduced else (y.size,),
    )
    return MSE.compute(job, algorithm=algorithm, out=out)


def mse_backward(
    dy: Any,
    y: Any,
    target: Any,
    *,
    reduction: str = "mean",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `mse` with respect to y: 2 · dy · (y − target).

    Parameters
    ----------
    dy : number, or array of y's shape where `reduction` is "none"
    y, target, reduction
        The forward's.
    algorithm, out
        As `mse`.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of y.

    Raises
    ------
    TypeError, ValueError
        As `mse`.
    """
    y, target = _pair(y, target)
    checks.choice("reduction", reduction, REDUCTIONS)
    dl = _loss_gradient(dy, y.shape, y.dtype, reduction, y.size if reduction == "mean" else 1)
    problem = LossProblem(y.size, 1, 2, y.dtype)
    job = Job("dx", problem, (dl, y.reshape(-1), target.reshape(-1)), y.shape, (y.size,))
    return MSE.compute(job, algorithm=algorithm, out=out)


def _classes(logits, labels, ignore_index, label_smoothing) -> tuple[np.ndarray, np.ndarray, tuple]:
    x = targets.to_numpy("logits", logits)
    if x.ndim < 2:
        raise ValueError(f"logits: expected (N, C) or (N, C, d1, …), got shape {x.shape}")
    x = checks.array("logits", x)
    labels = checks.index_array("targets", labels, (x.shape[0], *x.shape[2:]))
    ignore = checks.integer("ignore_index", ignore_index)
    smoothing = checks.real("label_smoothing", label_smoothing, 0, 1)
    bad = ((labels < 0) | (labels >= x.shape[1])) & (labels != ignore)
    if bad.any():
        at = tuple(map(int, np.argwhere(bad)[0]))
        raise ValueError(
            f"targets: expected 0 to {x.shape[1] - 1} or {ignore}, got {labels[at]} at {at}"
        )
    return x, labels.astype(np.int64, copy=False), (ignore, smoothing)


def _three(x: np.ndarray) -> np.ndarray:
    """(N, C, d1, …) as (N, C, d1·…)."""
    return x.reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))


def _two(labels: np.ndarray, x: np.ndarray) -> np.ndarray:
    return labels.reshape(x.shape[0], math.prod(x.shape[2:]))


def _pair(y: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    y = targets.to_numpy("y", y)
    y = checks.array("y", y, empty_axes=tuple(range(y.ndim)))
    return y, checks.array("target", target, y.ndim, y.dtype, y.shape)


def _loss_gradient(dy, shape, dtype, reduction, count) -> np.ndarray:
    """One number for all rows, or one a row, as a flat array."""
    if reduction == "none":
        return checks.array("dy", dy, len(shape), dtype, shape).reshape(-1)
    if isinstance(dy, np.ndarray) and dy.ndim == 0:
        dy = dy.item()
    number = checks.real("dy", dy) if dy == dy else math.nan
    return np.full(1, number / max(count, 1), dtype)
