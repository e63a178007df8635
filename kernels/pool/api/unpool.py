"""Each maximum back to where it was, with its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks
from kernels.core.ladder import Job
from kernels.pool.api.adaptive import plane_shape
from kernels.pool.ladder import MAX_UNPOOL2D
from kernels.pool.problem import AdaptiveProblem


def max_unpool2d(
    y: Any,
    indices: Any,
    output_shape: Any,
    *,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Put each value of a max-pooling's output back to its place; the rest is zero.

    Parameters
    ----------
    y : array (N, C, OH, OW), float32 or float64
    indices : array (N, C, OH, OW), int64
        Flat within the plane, as ``max_pool2d(…, return_indices=True)`` gives them.
    output_shape : tuple of int (N, C, H, W), or (H, W)
    algorithm : str
        A rung of ``kernels.ladder("max_unpool2d")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray (N, C, H, W)
        Where two indices of a plane are equal, the later value.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or an index lies outside its plane, before anything is written.
    """
    y = checks.array("y", y, 4)
    shape = _full("output_shape", output_shape, y)
    indices = _places(indices, y.shape, shape)
    problem = _problem(shape, y.shape, y.dtype)
    job = Job("forward", problem, (y, indices), shape)
    return MAX_UNPOOL2D.compute(job, algorithm=algorithm, out=out)


def max_unpool2d_backward(
    dx: Any, indices: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `max_unpool2d`: each value's is that of the place it went to.

    Parameters
    ----------
    dx : array (N, C, H, W), float32 or float64
        Gradient of the loss with respect to the output.
    indices : array (N, C, OH, OW), int64
        The forward's.
    algorithm, out
        As `max_unpool2d`.

    Returns
    -------
    numpy.ndarray (N, C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        As `max_unpool2d`.
    """
    dx = checks.array("dx", dx, 4)
    indices = checks.index_array("indices", indices, ndim=4)
    shape = (*dx.shape[:2], *indices.shape[2:])
    indices = _places(indices, shape, dx.shape)
    problem = _problem(dx.shape, shape, dx.dtype)
    job = Job("dx", problem, (dx, indices), shape)
    return MAX_UNPOOL2D.compute(job, algorithm=algorithm, out=out)


def _problem(large: tuple[int, ...], small: tuple[int, ...], dtype: np.dtype) -> AdaptiveProblem:
    n, c, h, w = large
    return AdaptiveProblem(n, c, h, w, small[2], small[3], dtype)


def _full(name: str, value: Any, y: np.ndarray) -> tuple[int, ...]:
    if isinstance(value, tuple | list) and len(value) == 2:
        value = (*y.shape[:2], *value)
    return plane_shape(name, value, y)


def _places(indices: Any, shape: tuple[int, ...], plane: tuple[int, ...]) -> np.ndarray:
    """Return the indices if each lies in its plane."""
    indices = checks.index_array("indices", indices, shape)
    if indices.dtype != np.int64:
        raise TypeError(f"indices: expected int64, got {indices.dtype}")
    size = plane[2] * plane[3]
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        place = tuple(map(int, np.argwhere((indices < 0) | (indices >= size))[0]))
        raise ValueError(
            f"indices: expected 0 to {size - 1} at position {place}, got {indices[place]}"
        )
    return indices
