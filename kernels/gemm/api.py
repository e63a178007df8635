"""Front door of the family: matmul, linear and its gradients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks, targets
from kernels.core.ladder import Job
from kernels.gemm.ladder import LINEAR, MATMUL
from kernels.gemm.problem import GemmProblem


class LinearGradients(NamedTuple):
    """Gradients of `linear`; None where one was not asked for."""

    x: np.ndarray | None
    w: np.ndarray | None
    b: np.ndarray | None


def matmul(a: Any, b: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Multiply matrices, as `numpy.matmul` and `torch.matmul` do.

    Parameters
    ----------
    a, b : array, float32 or float64
        (…, M, K) and (…, K, N); the leading axes broadcast. A one-dimensional `a` is a row, a
        one-dimensional `b` a column, and that axis is dropped from the result. A transposed view is
        read as it lies, without a copy.
    algorithm : str
        A rung of ``kernels.ladder("matmul")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        (…, M, N).

    Raises
    ------
    TypeError
        If an argument is no array, or the dtypes differ or are not float32 or float64.
    ValueError
        If the shapes do not fit, or `out` or `algorithm` does not.

    Notes
    -----
    2·M·N·K FLOPs for each matrix of the batch.
    """
    a, transpose_a = _operand("a", a)
    b, transpose_b = _operand("b", b)
    if b.dtype != a.dtype:
        raise TypeError(f"b: expected {a.dtype} like a, got {b.dtype}")
    row, column = a.ndim == 1, b.ndim == 1
    a = a[None] if row else a
    b = b[:, None] if column else b
    m, k = a.shape[-2:][:: -1 if transpose_a else 1]
    inner, n = b.shape[-2:][:: -1 if transpose_b else 1]
    if inner != k:
        raise ValueError(f"b: expected {k} rows, as many as a has columns, got {inner}")
    try:
        leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"b: expected leading axes that broadcast with a's {a.shape[:-2]}, got {b.shape[:-2]}"
        ) from None
    shape = leading + (() if row else (m,)) + (() if column else (n,))

    a, b = _batched(a, leading), _batched(b, leading)
    batch = math.prod(leading)
    if len(b) == 1 and batch > 1 and not transpose_a:  # one B for all: the batch is more rows of A
        a, batch, m = a.reshape(1, batch * m, k), 1, batch * m
    problem = GemmProblem(batch, m, n, k, transpose_a, transpose_b, a.dtype)
    job = Job("forward", problem, (a, b, transpose_a, transpose_b), shape, (batch, m, n))
    return MATMUL.compute(job, algorithm=algorithm, out=out)


def _operand(name: str, value: Any) -> tuple[np.ndarray, bool]:
    """Return a C-contiguous array and whether it is to be read transposed."""
    x = targets.to_numpy(name, value)
    if x.ndim == 0:
        raise ValueError(f"{name}: expected at least 1 dimension, got a number")
    axes = tuple(range(x.ndim))
    if x.ndim > 1 and not x.flags.c_contiguous and x.swapaxes(-1, -2).flags.c_contiguous:
        return checks.array(name, x.swapaxes(-1, -2), empty_axes=axes), True
    return checks.array(name, x, empty_axes=axes), False


def _batched(x: np.ndarray, leading: tuple[int, ...]) -> np.ndarray:
    """Reshape to (1, …) where one matrix serves the whole batch, to (batch, …) where each has its own."""
    if math.prod(x.shape[:-2]) == 1:
        return x.reshape(1, *x.shape[-2:])
    return checks.native_contiguous(np.broadcast_to(x, leading + x.shape[-2:])).reshape(
        -1, *x.shape[-2:]
    )


def linear(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    activation: str | None = None,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Apply an affine map: y = x · wᵀ + b.

    Parameters
    ----------
    x : array (…, D), float32 or float64
    w : array (H, D)
    b : array (H,), optional
    activation : {None, "relu"}
        Applied to y before it is returned. Its gradient is the caller's: `kernels.relu_backward`.
    algorithm : str
        A rung of ``kernels.ladder("linear")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray (…, H)

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes, `activation`, `algorithm` or `out` do not fit.

    Notes
    -----
    2·rows·D·H FLOPs.
    """
    x, w, rows = _linear_inputs(x, w)
    relu = checks.choice("activation", activation, (None, "relu")) == "relu"
    h, d = w.shape
    bias = np.zeros(h, x.dtype) if b is None else checks.array("b", b, 1, x.dtype, (h,))
    problem = GemmProblem(1, rows, h, d, False, True, x.dtype)
    job = Job(
        "forward", problem, (x.reshape(rows, d), w, bias, relu), (*x.shape[:-1], h), (rows, h)
    )
    return LINEAR.compute(job, algorithm=algorithm, out=out)


def linear_backward(
    dy: Any,
    x: Any,
    w: Any,
    *,
    needs: tuple[str, ...] = ("x", "w", "b"),
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `linear`: dx = dy · w, dw = dyᵀ · x, db = Σ dy.

    Parameters
    ----------
    dy : array (…, H)
        Gradient of the loss with respect to the output.
    x, w : arrays
        The forward's inputs.
    needs : sequence drawn from ("x", "w", "b")
        The gradients wanted.
    algorithm : str
        A rung of ``kernels.ladder("linear")``, or "auto".
    out : numpy.ndarray or sequence of them, optional
        One for each of `needs`, in that order.

    Returns
    -------
    LinearGradients, or numpy.ndarray
        Fields x, w, b; the array itself where one gradient is wanted.

    Raises
    ------
    TypeError, ValueError
        As `linear`.
    """
    x, w, rows = _linear_inputs(x, w)
    h, d = w.shape
    dy = checks.array("dy", dy, x.ndim, x.dtype, (*x.shape[:-1], h))
    dy2, x2 = dy.reshape(rows, h), x.reshape(rows, d)
    jobs = {
        "x": Job("dx", GemmProblem(1, rows, d, h, dtype=x.dtype), (dy2, w), x.shape, (rows, d)),
        "w": Job("dw", GemmProblem(1, h, d, rows, True, dtype=x.dtype), (dy2, x2), w.shape),
        "b": Job("db", GemmProblem(1, 1, h, rows, dtype=x.dtype), (dy2,), (h,)),
    }
    results = LINEAR.gradients(jobs, needs, algorithm=algorithm, out=out)
    return results[needs[0]] if len(needs) == 1 else LinearGradients(**results)


def _linear_inputs(x: Any, w: Any) -> tuple[np.ndarray, np.ndarray, int]:
    x = targets.to_numpy("x", x)
    if x.ndim == 0:
        raise ValueError("x: expected at least 1 dimension, got a number")
    x = checks.array("x", x, empty_axes=tuple(range(x.ndim - 1)))
    w = checks.array("w", w, 2, x.dtype, empty_axes=())
    if x.shape[-1] != w.shape[1]:
        raise ValueError(f"x: expected {w.shape[1]} features, as w has columns, got {x.shape[-1]}")
    return x, w, math.prod(x.shape[:-1])
