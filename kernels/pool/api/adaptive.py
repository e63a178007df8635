"""Pooling to a given size, with its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks, memory
from kernels.core.ladder import Job
from kernels.pool import adaptive
from kernels.pool.ladder import ADAPTIVE_AVG_POOL2D, ADAPTIVE_MAX_POOL2D
from kernels.pool.problem import AdaptiveProblem


def adaptive_avg_pool2d(
    x: Any, output_size: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Take means so that the output has a given size.

    Output (oh, ow) is the mean of the rows ⌊oh·H / OH⌋ to ⌈(oh + 1)·H / OH⌉ − 1 and of the columns likewise.

    Parameters
    ----------
    x : array (N, C, H, W), float32 or float64
    output_size : int or pair of int or None
        OH and OW; None keeps the input's.
    algorithm : str
        A rung of ``kernels.ladder("adaptive_avg_pool2d")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with `x`.

    Returns
    -------
    numpy.ndarray (N, C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit.

    Notes
    -----
    One addition an element, more where windows overlap; x read and y written once at the least.
    """
    x = checks.array("x", x, 4)
    problem = _problem(x.shape, output_size, x.dtype)
    shape = (problem.n, problem.c, problem.oh, problem.ow)
    job = Job("forward", problem, (x,), shape)
    return ADAPTIVE_AVG_POOL2D.compute(job, algorithm=algorithm, out=out)


def adaptive_avg_pool2d_backward(
    dy: Any, input_shape: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `adaptive_avg_pool2d`: each dy spread evenly over its window.

    Parameters
    ----------
    dy : array (N, C, OH, OW), float32 or float64
    input_shape : tuple of int (N, C, H, W)
    algorithm, out
        As `adaptive_avg_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`; also if N or C differ.
    """
    dy, problem = _backward_problem(dy, input_shape)
    job = Job("dx", problem, (dy,), (problem.n, problem.c, problem.h, problem.w))
    return ADAPTIVE_AVG_POOL2D.compute(job, algorithm=algorithm, out=out)


def adaptive_max_pool2d(
    x: Any,
    output_size: Any,
    *,
    return_indices: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Take maxima so that the output has a given size; the windows are those of `adaptive_avg_pool2d`.

    Parameters
    ----------
    x, output_size, algorithm, out
        As `adaptive_avg_pool2d`.
    return_indices : bool
        Also return where each maximum was, int64, flat within its plane.

    Returns
    -------
    y : numpy.ndarray (N, C, OH, OW), or (y, indices)
        The first of equal values wins. A NaN wins over every number.

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`.
    """
    x = checks.array("x", x, 4)
    problem = _problem(x.shape, output_size, x.dtype)
    keep = checks.flag("return_indices", return_indices)
    shape = (problem.n, problem.c, problem.oh, problem.ow)
    ADAPTIVE_MAX_POOL2D.choose(problem, "forward", algorithm)
    if out is not None:
        checks.out(out, shape, x.dtype, (x,))
    indices = memory.empty(shape if keep else (0, 0, 0, 0), np.int64)
    job = Job("forward", problem, (x, indices), shape)
    y = ADAPTIVE_MAX_POOL2D.compute(job, algorithm=algorithm, out=out)
    return (y, indices) if keep else y


def adaptive_max_pool2d_backward(
    dy: Any,
    indices: Any,
    input_shape: Any,
    *,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `adaptive_max_pool2d`: each dy to the input that won its window.

    Parameters
    ----------
    dy : array (N, C, OH, OW), float32 or float64
    indices : array (N, C, OH, OW), int64
        What the forward returned.
    input_shape : tuple of int (N, C, H, W)
    algorithm, out
        As `adaptive_avg_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`; also if an index lies outside its window, before anything is written.
    """
    dy, problem = _backward_problem(dy, input_shape)
    indices = checks.index_array("indices", indices, dy.shape)
    if indices.dtype != np.int64:
        raise TypeError(f"indices: expected int64, got {indices.dtype}")
    place = adaptive.first_outside(indices, problem.h, problem.w)
    if place[0] >= 0:
        raise ValueError(
            f"indices: expected one inside its own window at position {place}, got {indices[place]}"
        )
    job = Job("dx", problem, (dy, indices), (problem.n, problem.c, problem.h, problem.w))
    return ADAPTIVE_MAX_POOL2D.compute(job, algorithm=algorithm, out=out)


def global_avg_pool2d(
    x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Take the mean of each plane: `adaptive_avg_pool2d` to 1 × 1, whose gradient is its.

    Parameters
    ----------
    x, algorithm, out
        As `adaptive_avg_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, 1, 1)

    Raises
    ------
    TypeError, ValueError
        As `adaptive_avg_pool2d`.
    """
    return adaptive_avg_pool2d(x, 1, algorithm=algorithm, out=out)


def global_max_pool2d(
    x: Any,
    *,
    return_indices: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> Any:
    """Take the maximum of each plane: `adaptive_max_pool2d` to 1 × 1, whose gradient is its.

    Parameters
    ----------
    x, return_indices, algorithm, out
        As `adaptive_max_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, 1, 1), or (y, indices)

    Raises
    ------
    TypeError, ValueError
        As `adaptive_max_pool2d`.
    """
    return adaptive_max_pool2d(x, 1, return_indices=return_indices, algorithm=algorithm, out=out)


def _problem(shape: Any, output_size: Any, dtype: np.dtype) -> AdaptiveProblem:
    if isinstance(output_size, tuple | list) and len(output_size) == 2:
        output_size = [n if o is None else o for n, o in zip(shape[2:], output_size)]
    elif output_size is None:
        output_size = shape[2:]
    oh, ow = checks.integers("output_size", output_size, 2, 1)
    n, c, h, w = shape
    return AdaptiveProblem(n, c, h, w, oh, ow, dtype)


def _backward_problem(dy: Any, input_shape: Any) -> tuple[np.ndarray, AdaptiveProblem]:
    dy = checks.array("dy", dy, 4)
    shape = plane_shape("input_shape", input_shape, dy)
    return dy, _problem(shape, dy.shape[2:], dy.dtype)


def plane_shape(name: str, value: Any, like: np.ndarray) -> tuple[int, ...]:
    """Return (N, C, H, W) whose N and C are those of `like`."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}: expected a tuple (N, C, H, W), got {value!r}")
    shape = checks.integers(name, tuple(value), 4, 0)
    if 0 in shape[1:] or shape[:2] != like.shape[:2]:
        raise ValueError(
            f"{name}: expected (N, C, H, W) with N and C {like.shape[:2]} and at least 1 by 1, got {shape}"
        )
    return shape
