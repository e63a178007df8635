"""Front door of the family: matmul, linear and their gradients."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks, memory, targets
from kernels.core.ladder import Job
from kernels.gemm.ladder import LINEAR, MATMUL
from kernels.gemm.problem import GemmProblem


class LinearGradients(NamedTuple):
    """Gradients of `linear`; None where one was not asked for."""

    x: np.ndarray | None
    w: np.ndarray | None
    b: np.ndarray | None


class MatmulGradients(NamedTuple):
    """Gradients of a matrix product; None where one was not asked for."""

    a: np.ndarray | None
    b: np.ndarray | None


def matmul(a: Any, b: Any, *, algorithm: str = "auto", out: np.ndarray | None = None) -> np.ndarray:
    """Multiply matrices, as `numpy.matmul` and `torch.matmul` do.

    Parameters
    ----------
    a, b : array, float32 or float64; on a CUDA device float16 or bfloat16 too
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
    a, b = targets.gather(a=a, b=b)
    p = _product(a, b)
    x, batch, m = p.a, p.batch, p.m
    if len(p.b) == 1 and batch > 1 and not p.transpose_a:  # one B for all: more rows of A
        x, batch, m = p.a.reshape(1, batch * m, p.k), 1, batch * m
    where = targets.capability(x)
    problem = GemmProblem(batch, m, p.n, p.k, p.transpose_a, p.transpose_b, x.dtype, where)
    args = (x, p.b, p.transpose_a, p.transpose_b)
    job = Job("forward", problem, args, p.shape, (batch, m, p.n))
    return targets.owner(MATMUL.compute(job, algorithm=algorithm, out=out))


def matmul_backward(
    dy: Any,
    a: Any,
    b: Any,
    *,
    needs: tuple[str, ...] = ("a", "b"),
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Gradients of `matmul`: da = dy · bᵀ, db = aᵀ · dy, summed over the axes that were broadcast.

    Parameters
    ----------
    dy : array
        Gradient of the loss with respect to the product, of its shape.
    a, b : arrays
        The forward's inputs.
    needs : sequence drawn from ("a", "b")
        The gradients wanted.
    algorithm : str
        A rung of ``kernels.ladder("matmul")``, or "auto".
    out : numpy.ndarray or sequence of them, optional
        One for each of `needs`, in that order.

    Returns
    -------
    MatmulGradients, or numpy.ndarray
        Fields a, b; the array itself where one gradient is wanted.

    Raises
    ------
    TypeError, ValueError
        As `matmul`; also if `dy` has not the product's shape.

    Notes
    -----
    Each gradient takes as many FLOPs as the forward. A matrix that served a whole batch is one product
    over all of it (`b`), or a product each and a sum over them (`a`).
    """
    dy, a, b = targets.gather(dy=dy, a=a, b=b)
    p = _product(a, b)
    empty = tuple(range(len(p.shape)))
    dy = checks.array("dy", dy, len(p.shape), p.a.dtype, p.shape, empty).reshape(p.batch, p.m, p.n)
    needs = checks.needs(needs, ("a", "b"))
    given = checks.outs(out, needs)
    shapes = {"a": p.a_shape, "b": p.b_shape}
    taken = [dy, p.a, p.b]
    for name, value in given.items():
        if value is not None:
            given[name] = checks.out(value, shapes[name], dy.dtype, taken)
            taken.append(given[name])
    results: dict[str, np.ndarray | None] = {"a": None, "b": None}
    jobs = {}
    for name in needs:
        jobs[name] = _product_gradient(name, dy, p)
        MATMUL.choose(jobs[name].problem, f"d{name}", algorithm)  # all are chosen before one is run
    for name in needs:
        job, leading = jobs[name], (p.a_leading if name == "a" else p.b_leading)
        target = given[name]
        if target is None:
            target = memory.beside(dy, shapes[name], dy.dtype)
        results[name] = targets.owner(target)
        if math.prod(job.shape) == math.prod(shapes[name]):
            MATMUL.compute(job, algorithm=algorithm, out=target.reshape(job.shape))
            continue
        if dy.dtype.itemsize < 4:  # rounded to 16 bits once, when all are summed
            job = replace(job, dtype=np.dtype(np.float32))
        each = MATMUL.compute(job, algorithm=algorithm).reshape(*p.leading, *job.shape[1:])
        padded = (1,) * (len(p.leading) - len(leading)) + leading
        axes = tuple(i for i, (n, whole) in enumerate(zip(padded, p.leading)) if n != whole)
        _sum(each, axes, target.reshape(*padded, *job.shape[1:]))
    return results[needs[0]] if len(needs) == 1 else MatmulGradients(**results)


def _sum(each: Any, axes: tuple[int, ...], out: Any) -> None:
    """Sum over `axes`, which keep extent 1, into `out`."""
    if isinstance(each, np.ndarray):
        np.sum(each, axis=axes, keepdims=True, out=out)
        return
    from kernels.core.cuda import gathering

    gathering.sum_over(each, axes, out)


def _product_gradient(name: str, dy: np.ndarray, p: _Product) -> Job:
    """Describe da = dy · op(b)ᵀ or db = op(a)ᵀ · dy, a matrix for each of the batch."""
    a, batch, m, where = p.a, p.batch, p.m, targets.capability(dy)
    if len(p.b) == 1 and batch > 1 and (name == "a" or not p.transpose_a):  # as in the forward
        dy, batch, m = dy.reshape(1, batch * m, p.n), 1, batch * m
        a = a.reshape(1, m, p.k) if name == "b" else a
    if name == "a":
        problem = GemmProblem(batch, m, p.k, p.n, False, not p.transpose_b, dy.dtype, where)
        return Job("da", problem, (dy, p.b, False, not p.transpose_b), (batch, m, p.k))
    problem = GemmProblem(batch, p.k, p.n, m, not p.transpose_a, False, dy.dtype, where)
    return Job("db", problem, (a, dy, not p.transpose_a, False), (batch, p.k, p.n))


class _Product(NamedTuple):
    """What `matmul` was asked for: operands (1 or batch, rows, columns) as they lie, and the shapes."""

    a: np.ndarray
    b: np.ndarray
    transpose_a: bool
    transpose_b: bool
    m: int
    n: int
    k: int
    batch: int
    leading: tuple[int, ...]
    shape: tuple[int, ...]
    a_shape: tuple[int, ...]
    b_shape: tuple[int, ...]

    @property
    def a_leading(self) -> tuple[int, ...]:
        """Leading axes of a as it was given."""
        return self.a_shape[:-2]

    @property
    def b_leading(self) -> tuple[int, ...]:
        """Leading axes of b as it was given."""
        return self.b_shape[:-2]


def _product(a: Any, b: Any) -> _Product:
    """Validate what matmul and its gradients share."""
    a, transpose_a = _operand("a", a)
    b, transpose_b = _operand("b", b)
    if b.dtype != a.dtype:
        raise TypeError(f"b: expected {a.dtype} like a, got {b.dtype}")
    row, column = a.ndim == 1, b.ndim == 1
    a = a.reshape(1, -1) if row else a
    b = b.reshape(-1, 1) if column else b
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
    return _Product(
        a=_batched(a, leading),
        b=_batched(b, leading),
        transpose_a=transpose_a,
        transpose_b=transpose_b,
        m=m,
        n=n,
        k=k,
        batch=math.prod(leading),
        leading=leading,
        shape=leading + (() if row else (m,)) + (() if column else (n,)),
        a_shape=(k,) if row else (*a.shape[:-2], m, k),
        b_shape=(k,) if column else (*b.shape[:-2], k, n),
    )


def _operand(name: str, value: Any) -> tuple[np.ndarray, bool]:
    """Return a C-contiguous array and whether it is to be read transposed."""
    x = value if targets.on_cuda(value) else targets.to_numpy(name, value)
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
    whole = checks.broadcast(x, leading + x.shape[-2:])
    return whole.reshape(math.prod(leading), *x.shape[-2:])


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
    x : array (…, D), float32 or float64; on a CUDA device float16 or bfloat16 too
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
    x, w, b = targets.gather(x=x, w=w, b=b)
    x, w, rows = _linear_inputs(x, w)
    relu = checks.choice("activation", activation, (None, "relu")) == "relu"
    h, d = w.shape
    bias = memory.zeros(h, x.dtype, x) if b is None else checks.array("b", b, 1, x.dtype, (h,))
    problem = GemmProblem(1, rows, h, d, False, True, x.dtype, targets.capability(x))
    job = Job(
        "forward", problem, (x.reshape(rows, d), w, bias, relu), (*x.shape[:-1], h), (rows, h)
    )
    return targets.owner(LINEAR.compute(job, algorithm=algorithm, out=out))


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
    dy, x, w = targets.gather(dy=dy, x=x, w=w)
    x, w, rows = _linear_inputs(x, w)
    h, d = w.shape
    kind = {"dtype": x.dtype, "capability": targets.capability(x)}
    dy = checks.array("dy", dy, x.ndim, x.dtype, (*x.shape[:-1], h))
    dy2, x2 = dy.reshape(rows, h), x.reshape(rows, d)
    jobs = {
        "x": Job("dx", GemmProblem(1, rows, d, h, **kind), (dy2, w), x.shape, (rows, d)),
        "w": Job("dw", GemmProblem(1, h, d, rows, True, **kind), (dy2, x2), w.shape),
        "b": Job("db", GemmProblem(1, 1, h, rows, **kind), (dy2,), (h,)),
    }
    results = LINEAR.gradients(jobs, needs, algorithm=algorithm, out=out)
    return results[needs[0]] if len(needs) == 1 else LinearGradients(**results)


def _linear_inputs(x: Any, w: Any) -> tuple[np.ndarray, np.ndarray, int]:
    x = x if targets.on_cuda(x) else targets.to_numpy("x", x)
    if x.ndim == 0:
        raise ValueError("x: expected at least 1 dimension, got a number")
    x = checks.array("x", x, empty_axes=tuple(range(x.ndim - 1)))
    w = checks.array("w", w, 2, x.dtype, empty_axes=())
    if x.shape[-1] != w.shape[1]:
        raise ValueError(f"x: expected {w.shape[1]} features, as w has columns, got {x.shape[-1]}")
    return x, w, math.prod(x.shape[:-1])
