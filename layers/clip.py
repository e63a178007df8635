"""Gradient clipping, before an optimiser's step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from kernels.core import checks
from layers.parameter import Parameter

PIECE = 1 << 13  # elements: of more, OpenBLAS would split the product over threads of its own


def clip_grad_norm_(
    parameters: Iterable[Parameter],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients by one factor so that their norm, taken together, is at most `max_norm`.

    Parameters
    ----------
    parameters : iterable of Parameter
        Those without a gradient are passed over.
    max_norm : float
    norm_type : float
        Order of the norm, above 0; ``math.inf`` for the largest magnitude.
    error_if_nonfinite : bool
        Raise where the norm is NaN or infinite, instead of spreading it, as PyTorch does.

    Returns
    -------
    float
        The norm before clipping, summed in float64.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or the norm is not finite and that is an error.

    Notes
    -----
    Source: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, algorithm 1. The factor is max_norm / (norm + 10⁻⁶), as PyTorch's.
    """
    max_norm = checks.real("max_norm", max_norm, 0)
    norm_type = checks.real("norm_type", norm_type, above=0)
    grads = [each.grad for each in parameters if each.grad is not None]
    if norm_type == 2:
        norm = math.sqrt(sum(_square(grad) for grad in grads))
    elif norm_type == math.inf:
        norm = max((float(np.abs(grad).max(initial=0)) for grad in grads), default=0.0)
    else:
        powers = [(np.abs(grad, dtype=np.float64) ** norm_type).sum() for grad in grads]
        norm = float(sum(map(float, powers))) ** (1 / norm_type)
    if error_if_nonfinite and not math.isfinite(norm):
        raise ValueError(f"parameters: expected gradients of finite norm, got {norm}")
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # NaN is spread, not hidden
        with np.errstate(invalid="ignore"):
            for grad in grads:
                grad *= grad.dtype.type(factor)
    return norm


def _square(grad: np.ndarray) -> float:
    """Sum of squares in float64, a piece at a time, so that the wider copy stays in cache."""
    flat, total = grad.reshape(-1), 0.0
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE].astype(np.float64)
        total += float(piece @ piece)
    return total


def clip_grad_value_(parameters: Iterable[Parameter], clip_value: float) -> None:
    """Bound every element of every gradient to [−clip_value, clip_value].

    Parameters
    ----------
    parameters : iterable of Parameter
        Those without a gradient are passed over.
    clip_value : float

    Raises
    ------
    TypeError, ValueError
        If `clip_value` is no number from 0.
    """
    clip_value = checks.real("clip_value", clip_value, 0)
    for each in parameters:
        if each.grad is not None:
            np.clip(each.grad, -clip_value, clip_value, out=each.grad)
