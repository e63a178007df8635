"""Front door of the elementwise activations and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.activation.door import float_array, run
from kernels.core import checks


def relu(x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Clip below at zero: y = max(x, 0). NaN stays NaN.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    algorithm : str
        A rung of ``kernels.ladder("relu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    x = float_array("x", x)
    return run("relu", "forward", (x,), algorithm=algorithm, out=out)


def relu_backward(
    dy: Any, x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `relu`: dx = dy where x > 0, else 0.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    x : array
        The forward's input.
    algorithm : str
        A rung of ``kernels.ladder("relu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    x = float_array("x", x)
    dy = checks.array("dy", dy, x.ndim, x.dtype, x.shape)
    return run("relu", "dx", (dy, x), algorithm=algorithm, out=out)


def leaky_relu(
    x: Any, *, negative_slope: float = 0.01, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Scale what is below zero: y = x where x > 0, else negative_slope · x.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    negative_slope : float
        What x is multiplied by where it is not above zero.
    algorithm : str
        A rung of ``kernels.ladder("leaky_relu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `negative_slope` is no number.
    """
    x, option = float_array("x", x), checks.real("negative_slope", negative_slope)
    return run("leaky_relu", "forward", (x,), option=option, algorithm=algorithm, out=out)


def leaky_relu_backward(
    dy: Any,
    x: Any,
    *,
    negative_slope: float = 0.01,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `leaky_relu`: dx = dy where x > 0, else negative_slope · dy.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    x : array
        The forward's input.
    negative_slope : float
        What x is multiplied by where it is not above zero.
    algorithm : str
        A rung of ``kernels.ladder("leaky_relu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `negative_slope` is no number.
    """
    x = float_array("x", x)
    dy = checks.array("dy", dy, x.ndim, x.dtype, x.shape)
    option = checks.real("negative_slope", negative_slope)
    return run("leaky_relu", "dx", (dy, x), option=option, algorithm=algorithm, out=out)


def exp(x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Exponential: y = e^x, within 1 unit in the last place.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    algorithm : str
        A rung of ``kernels.ladder("exp")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    x = float_array("x", x)
    return run("exp", "forward", (x,), algorithm=algorithm, out=out)


def exp_backward(
    dy: Any, y: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `exp`: dx = dy · y.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    y : array
        The forward's output.
    algorithm : str
        A rung of ``kernels.ladder("exp")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of y.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    y = float_array("y", y)
    dy = checks.array("dy", dy, y.ndim, y.dtype, y.shape)
    return run("exp", "dx", (dy, y), algorithm=algorithm, out=out)


def sigmoid(x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Squash into (0, 1): y = 1 / (1 + exp(−x)).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    algorithm : str
        A rung of ``kernels.ladder("sigmoid")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    x = float_array("x", x)
    return run("sigmoid", "forward", (x,), algorithm=algorithm, out=out)


def sigmoid_backward(
    dy: Any, y: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `sigmoid`: dx = dy · y · (1 − y).

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    y : array
        The forward's output.
    algorithm : str
        A rung of ``kernels.ladder("sigmoid")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of y.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    y = float_array("y", y)
    dy = checks.array("dy", dy, y.ndim, y.dtype, y.shape)
    return run("sigmoid", "dx", (dy, y), algorithm=algorithm, out=out)


def tanh(x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Squash into (−1, 1): the hyperbolic tangent.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    algorithm : str
        A rung of ``kernels.ladder("tanh")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    x = float_array("x", x)
    return run("tanh", "forward", (x,), algorithm=algorithm, out=out)


def tanh_backward(
    dy: Any, y: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `tanh`: dx = dy · (1 − y²).

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    y : array
        The forward's output.
    algorithm : str
        A rung of ``kernels.ladder("tanh")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of y.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    y = float_array("y", y)
    dy = checks.array("dy", dy, y.ndim, y.dtype, y.shape)
    return run("tanh", "dx", (dy, y), algorithm=algorithm, out=out)


def silu(x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Weigh x by its own sigmoid: y = x · σ(x). Also called swish.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    algorithm : str
        A rung of ``kernels.ladder("silu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.

    Notes
    -----
    NaN at −∞, as PyTorch's (−∞·0); its gradient at either infinity too.
    """
    x = float_array("x", x)
    return run("silu", "forward", (x,), algorithm=algorithm, out=out)


def silu_backward(
    dy: Any, x: Any, *, algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Gradient of `silu`: dx = dy · σ(x) · (1 + x · (1 − σ(x))).

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    x : array
        The forward's input.
    algorithm : str
        A rung of ``kernels.ladder("silu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit.
    """
    x = float_array("x", x)
    dy = checks.array("dy", dy, x.ndim, x.dtype, x.shape)
    return run("silu", "dx", (dy, x), algorithm=algorithm, out=out)


def gelu(
    x: Any, *, approximate: str = "none", algorithm: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Weigh x by the share of a normal distribution that lies below it: y = x · Φ(x).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    approximate : {"none", "tanh"}
        Φ itself, or ½·(1 + tanh(√(2/π)·(x + 0.044715·x³))), off by 5e-4 at most.
    algorithm : str
        A rung of ``kernels.ladder("gelu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `approximate` is neither.

    Notes
    -----
    NaN at −∞, as PyTorch's (−∞·0); its gradient at either infinity too.
    """
    x, option = float_array("x", x), _approximate(approximate)
    return run("gelu", "forward", (x,), option=option, algorithm=algorithm, out=out)


def gelu_backward(
    dy: Any,
    x: Any,
    *,
    approximate: str = "none",
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `gelu`: dx = dy · (Φ(x) + x · φ(x)), φ the distribution's density.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the output.
    x : array
        The forward's input.
    approximate : {"none", "tanh"}
        Φ itself, or ½·(1 + tanh(√(2/π)·(x + 0.044715·x³))), off by 5e-4 at most.
    algorithm : str
        A rung of ``kernels.ladder("gelu")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Shape and dtype of x.

    Raises
    ------
    TypeError, ValueError
        If an argument is no float32 or float64 array, or shapes or `out` do not fit, or `approximate` is neither.
    """
    x = float_array("x", x)
    dy = checks.array("dy", dy, x.ndim, x.dtype, x.shape)
    option = _approximate(approximate)
    return run("gelu", "dx", (dy, x), option=option, algorithm=algorithm, out=out)


def _approximate(value: Any) -> np.bool_:
    return np.bool_(checks.choice("approximate", value, ("none", "tanh")) == "tanh")
