"""Front door of softmax and its logarithm, along an axis, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.activation.door import float_array, run
from kernels.core import checks


def softmax(
    x: Any, axis: int = -1, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Turn scores along an axis into shares: y = exp(x) / Σ exp(x).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    axis : int
        The axis along which the shares add up to one.
    algorithm : str
        A rung of ``kernels.ladder("softmax")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `axis` is none of x.

    Notes
    -----
    A row that is all −inf, or holds +inf, gives NaN.
    """
    x = float_array("x", x)
    return run("softmax", "forward", (x,), axis, algorithm=algorithm, out=out)


def softmax_backward(
    dy: Any, y: Any, axis: int = -1, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `softmax`: dx = y · (dy − Σ dy·y).

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    y : array
        The forward's output.
    axis : int
        The axis along which the shares add up to one.
    algorithm : str
        A rung of ``kernels.ladder("softmax")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of y.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `axis` is none of y.
    """
    y = float_array("y", y)
    dy = checks.array("dy", dy, y.ndim, y.dtype, y.shape)
    return run("softmax", "dx", (dy, y), axis, algorithm=algorithm, out=out)


def log_softmax(
    x: Any, axis: int = -1, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Logarithm of `softmax`: y = x − log Σ exp(x).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    axis : int
        The axis along which the shares add up to one.
    algorithm : str
        A rung of ``kernels.ladder("log_softmax")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `axis` is none of x.

    Notes
    -----
    A row that is all −inf, or holds +inf, gives NaN.
    """
    x = float_array("x", x)
    return run("log_softmax", "forward", (x,), axis, algorithm=algorithm, out=out)


def log_softmax_backward(
    dy: Any, y: Any, axis: int = -1, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `log_softmax`: dx = dy − exp(y) · Σ dy.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    y : array
        The forward's output.
    axis : int
        The axis along which the shares add up to one.
    algorithm : str
        A rung of ``kernels.ladder("log_softmax")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of y.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `axis` is none of y.
    """
    y = float_array("y", y)
    dy = checks.array("dy", dy, y.ndim, y.dtype, y.shape)
    return run("log_softmax", "dx", (dy, y), axis, algorithm=algorithm, out=out)
