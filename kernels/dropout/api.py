"""Front door of the family: dropout and its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.core import checks, targets
from kernels.core.ladder import Job
from kernels.dropout.ladder import DROPOUT
from kernels.dropout.problem import DropoutProblem


def dropout(
    x: Any,
    p: float,
    *,
    seed: int,
    offset: int,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Set elements to zero with probability p, and scale the others by 1 / (1 − p).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    p : float
        From 0 (keep all) to 1 (drop all).
    seed, offset : int
        From 0 to 2⁶⁴ − 1: the key of the generator, and which of its streams: count it up by one from
        call to call. The same pair gives the same mask, whatever the threads or the dtype.
    algorithm : str
        A rung of ``kernels.ladder("dropout")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with `x`.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x. A dropped element is 0, even where x is NaN or infinite.

    Raises
    ------
    TypeError, ValueError
        If `x` is no float array, or a number is out of its range.
    """
    return _run("forward", "x", x, p, seed, offset, algorithm, out)


def dropout_backward(
    dy: Any,
    p: float,
    *,
    seed: int,
    offset: int,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `dropout`: the same mask, made again, on dy.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    p, seed, offset
        The forward's.
    algorithm, out
        As `dropout`.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of dy.

    Raises
    ------
    TypeError, ValueError
        As `dropout`.
    """
    return _run("dx", "dy", dy, p, seed, offset, algorithm, out)


def _run(direction, name, value, p, seed, offset, algorithm, out) -> np.ndarray:
    x = targets.to_numpy(name, value)
    x = checks.array(name, x, empty_axes=tuple(range(x.ndim)))
    p = checks.real("p", p, 0, 1)
    numbers = []
    for word, number in (("seed", seed), ("offset", offset)):
        number = checks.integer(word, number, 0)
        if number >= 1 << 64:
            raise ValueError(f"{word}: expected below 2**64, got {number}")
        numbers.append(np.uint64(number))
    threshold = np.uint64(math.ceil(p * 2**32))
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)
    view = (x.size,)
    job = Job(
        direction,
        DropoutProblem(x.size, x.dtype),
        (x.reshape(view), *numbers, threshold, scale),
        x.shape,
        view,
    )
    return DROPOUT.compute(job, algorithm=algorithm, out=out)
