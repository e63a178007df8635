"""Maxima, means and roots under sliding windows, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks, geometry, memory
from kernels.core.ladder import Job
from kernels.pool import naive
from kernels.pool.ladder import AVG_POOL2D, LP_POOL2D, MAX_POOL2D
from kernels.pool.problem import PoolProblem


def max_pool2d(
    x: Any,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool | str = False,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Take the largest value under each window.

    Parameters
    ----------
    x : array (N, C, H, W), float32 or float64
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The kernel's size where not given.
    padding : int, pair of int, ((top, bottom), (left, right)), or str
        As in `conv2d`; at most half of the window's span. Padding takes no part in the maximum.
    dilation : int or pair of int
    ceil_mode : bool
        Let a last window hang over the end, if it starts inside the input or its leading padding.
    return_indices : {False, True, "window"}
        True: also return where each maximum was, int64, flat within its plane, as PyTorch; "window":
        uint8, the tap r·S + s of its window (kernels of at most 256 taps).
    algorithm : str
        A rung of ``kernels.ladder("max_pool2d")``, or "auto".
    out : numpy.ndarray, optional
        Where to write the values: exact shape and dtype, C-contiguous, no memory shared with `x`.

    Returns
    -------
    y : numpy.ndarray (N, C, OH, OW), or (y, indices)
        The first of equal values wins. A NaN wins over every number.

    Raises
    ------
    TypeError, ValueError
        If dtypes, shapes or options do not fit, or a window would see nothing but padding.

    Notes
    -----
    R·S comparisons a window; x read and y written once at the least.
    """
    x, problem = _problem(x, kernel_size, stride, padding, dilation, ceil_mode)
    checks.choice("return_indices", return_indices, (False, True, "window"))
    window = return_indices == "window"
    taps = problem.kernel[0] * problem.kernel[1]
    if window and taps > 256:
        raise ValueError(f'return_indices: expected at most 256 taps for "window", got {taps}')
    shape = (problem.n, problem.c, problem.oh, problem.ow)
    MAX_POOL2D.choose(problem, "forward", algorithm)
    if out is not None:
        checks.out(out, shape, x.dtype, (x,))
    kind = np.uint8 if window else np.int64
    indices = memory.empty(shape if return_indices else (0, 0, 0, 0), kind)
    job = Job("forward", problem, (x, *problem.options, indices, window), shape)
    y = MAX_POOL2D.compute(job, algorithm=algorithm, out=out)
    return (y, indices) if return_indices else y


def max_pool2d_backward(
    dy: Any,
    indices: Any,
    input_shape: Any,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `max_pool2d`: each dy goes to the input that won its window.

    Parameters
    ----------
    dy : array (N, C, OH, OW), float32 or float64
    indices : array (N, C, OH, OW), int64 or uint8
        What the forward returned, of either kind.
    input_shape : tuple of int (N, C, H, W)
    kernel_size, stride, padding, dilation, ceil_mode
        The forward's options.
    algorithm, out
        As `max_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; also if an index is no tap of its window, before anything is written.
    """
    dy, problem = _backward_problem(
        dy, input_shape, kernel_size, stride, padding, dilation, ceil_mode
    )
    indices = checks.index_array("indices", indices, dy.shape)
    if indices.dtype not in (np.int64, np.uint8):
        raise TypeError(f"indices: expected int64 or uint8, got {indices.dtype}")
    window = indices.dtype == np.uint8
    shape = (problem.n, problem.c, problem.h, problem.w)
    MAX_POOL2D.choose(problem, "dx", algorithm)
    if out is not None:
        checks.out(out, shape, dy.dtype, (dy, indices))
    lost = memory.empty(shape[:2], np.int64)
    job = Job("dx", problem, (dy, indices, *problem.options, window, lost), shape)
    dx = MAX_POOL2D.compute(job, algorithm=algorithm)
    if lost.any():
        place = naive.first_bad(indices, *problem.options, problem.h, problem.w, window)
        raise ValueError(
            f"indices: expected a tap of its own window at position {place}, got {indices[place]}"
        )
    if out is None:
        return dx
    out[...] = dx  # nothing of the caller's is touched before every index is known to be good
    return out


def avg_pool2d(
    x: Any,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Take the mean under each window.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, algorithm, out
        As `max_pool2d`.
    count_include_pad : bool
        Whether taps on padding count in the divisor. Taps beyond the padding, under a window that
        `ceil_mode` lets hang over, never do.

    Returns
    -------
    numpy.ndarray (N, C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`.

    Notes
    -----
    R·S additions and a division a window.
    """
    x, problem = _problem(x, kernel_size, stride, padding, dilation, ceil_mode)
    include = checks.flag("count_include_pad", count_include_pad)
    shape = (problem.n, problem.c, problem.oh, problem.ow)
    job = Job("forward", problem, (x, *problem.options, problem.limits, include), shape)
    return AVG_POOL2D.compute(job, algorithm=algorithm, out=out)


def avg_pool2d_backward(
    dy: Any,
    input_shape: Any,
    kernel_size: Any,
    *,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `avg_pool2d`: each dy is spread evenly over its window.

    Parameters
    ----------
    dy : array (N, C, OH, OW), float32 or float64
    input_shape : tuple of int (N, C, H, W)
    kernel_size, stride, padding, dilation, ceil_mode, count_include_pad
        The forward's options.
    algorithm, out
        As `avg_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        As `avg_pool2d`; also if `dy` has not the output's shape.
    """
    dy, problem = _backward_problem(
        dy, input_shape, kernel_size, stride, padding, dilation, ceil_mode
    )
    include = checks.flag("count_include_pad", count_include_pad)
    shape = (problem.n, problem.c, problem.h, problem.w)
    job = Job("dx", problem, (dy, *problem.options, problem.limits, include), shape)
    return AVG_POOL2D.compute(job, algorithm=algorithm, out=out)


def lp_pool2d(
    x: Any,
    kernel_size: Any,
    *,
    p: float = 2,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Take the p-norm under each window: y = (Σ xᵖ)^(1/p).

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, algorithm, out
        As `max_pool2d`.
    p : float
        At least 1. 1 is sum pooling; the larger, the nearer to the maximum.

    Returns
    -------
    numpy.ndarray (N, C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; also if `p` is less than 1.

    Notes
    -----
    As PyTorch, whose function this is: xᵖ keeps its sign where p is odd, the root of a negative sum is NaN
    unless p is 1, and a window that `ceil_mode` lets hang over counts as if it were whole, with the mean of
    the taps that it has.
    """
    x, problem = _problem(x, kernel_size, stride, padding, dilation, ceil_mode, _power(p))
    shape = (problem.n, problem.c, problem.oh, problem.ow)
    job = Job("forward", problem, (x, *problem.options, problem.limits, problem.power), shape)
    return LP_POOL2D.compute(job, algorithm=algorithm, out=out)


def lp_pool2d_backward(
    dy: Any,
    x: Any,
    y: Any,
    kernel_size: Any,
    *,
    p: float = 2,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `lp_pool2d`: dx = x^(p − 1) · Σ dy · y^(1 − p) over the windows that hold x.

    Where y is 0 there is no derivative, and 0 is taken, as PyTorch does.

    Parameters
    ----------
    dy : array (N, C, OH, OW), float32 or float64
    x : array (N, C, H, W)
        The forward's input.
    y : array (N, C, OH, OW)
        The forward's output.
    kernel_size, p, stride, padding, dilation, ceil_mode
        The forward's options.
    algorithm, out
        As `lp_pool2d`.

    Returns
    -------
    numpy.ndarray (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        As `lp_pool2d`; also if `dy` or `y` has not the output's shape.
    """
    x, problem = _problem(x, kernel_size, stride, padding, dilation, ceil_mode, _power(p))
    shape = (problem.n, problem.c, problem.oh, problem.ow)
    dy = checks.array("dy", dy, 4, x.dtype, shape)
    y = checks.array("y", y, 4, x.dtype, shape)
    args = (dy, x, y, *problem.options, problem.limits, problem.power)
    return LP_POOL2D.compute(Job("dx", problem, args, x.shape), algorithm=algorithm, out=out)


def _power(p: Any) -> float:
    return checks.real("p", p, 1.0, float(np.finfo(np.float32).max))


def _problem(
    x, kernel_size, stride, padding, dilation, ceil_mode, power=None
) -> tuple[np.ndarray, PoolProblem]:
    x = checks.array("x", x, 4)
    return x, _windows(x.shape, x.dtype, kernel_size, stride, padding, dilation, ceil_mode, power)


def _backward_problem(
    dy, input_shape, kernel_size, stride, padding, dilation, ceil_mode
) -> tuple[np.ndarray, PoolProblem]:
    dy = checks.array("dy", dy, 4)
    shape = checks.integers("input_shape", tuple(input_shape), 4, 0)
    if 0 in shape[1:]:
        raise ValueError(f"input_shape: expected at least 1 along axes 1 to 3, got {shape}")
    problem = _windows(shape, dy.dtype, kernel_size, stride, padding, dilation, ceil_mode)
    return checks.array("dy", dy, 4, dy.dtype, (*shape[:2], problem.oh, problem.ow)), problem


def _windows(
    shape: Any, dtype: Any, kernel_size, stride, padding, dilation, ceil_mode, power=None
) -> PoolProblem:
    """Validate what all of them share."""
    kernel: Any = checks.integers("kernel_size", kernel_size, 2, 1)
    stride = kernel if stride is None else checks.integers("stride", stride, 2, 1)
    dilation = checks.integers("dilation", dilation, 2, 1)
    ceil_mode = checks.flag("ceil_mode", ceil_mode)
    pads = geometry.padding(padding, shape[2:], kernel, stride, dilation)
    outputs = []
    for n, k, s, pad, d in zip(shape[2:], kernel, stride, pads, dilation):
        if max(pad) > geometry.span(k, d) // 2:
            raise ValueError(
                f"padding: expected at most half of the window's span of {geometry.span(k, d)}, "
                f"got {padding!r}"
            )
        count = geometry.output_size(n, k, s, pad, d, ceil_mode)
        empty = _first_empty(n, k, s, pad[0], d, count)
        if empty is not None:
            raise ValueError(
                f"padding: expected every window to see some of the input, but number {empty} along "
                f"an axis of {n} sees only padding (kernel {k}, dilation {d}, padding {padding!r})"
            )
        outputs.append(count)
    n, c, h, w = shape
    oh, ow = outputs
    return PoolProblem(n, c, h, w, oh, ow, kernel, stride, pads, dilation, dtype, power)


def _first_empty(n: int, k: int, s: int, before: int, d: int, count: int) -> int | None:
    """Number of the first window with no tap inside the input; None if there is none."""
    last = (count - 1) * s - before
    if d == 1 and before < k and last < n:
        return None
    for o in range(count):
        start = o * s - before
        if all(not 0 <= start + t * d < n for t in range(k)):
            return o
    return None
