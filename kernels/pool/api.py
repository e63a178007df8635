"""Front door of the family: max and average pooling with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks, geometry, memory, threads
from kernels.core.ladder import Job
from kernels.pool import indices as taps
from kernels.pool import register
from kernels.pool.ladder import AVG_POOL2D, MAX_POOL2D
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
    _check_taps(indices, problem, window)
    shape = (problem.n, problem.c, problem.h, problem.w)
    job = Job("dx", problem, (dy, indices, *problem.options, window), shape)
    return MAX_POOL2D.compute(job, algorithm=algorithm, out=out)


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


def _check_taps(values: np.ndarray, problem: PoolProblem, window: bool) -> None:
    """Raise ValueError if an index is no tap of its window."""
    if window and problem.whole and values.max(initial=0) < problem.kernel[0] * problem.kernel[1]:
        return
    args = (values, *problem.options, problem.h, problem.w, window)
    found = np.empty(max(1, min(problem.n * problem.c, values.size // register.BLOCK)), np.int64)
    threads.run(taps.count_bad, (*args, found), values.size)
    if found.any():
        bad = taps.first_bad(*args)
        raise ValueError(
            f"indices: expected a tap of its own window at position "
            f"{tuple(map(int, np.unravel_index(bad, values.shape)))}, got {values.flat[bad]}"
        )


def _problem(
    x, kernel_size, stride, padding, dilation, ceil_mode
) -> tuple[np.ndarray, PoolProblem]:
    x = checks.array("x", x, 4)
    return x, _windows(x.shape, x.dtype, kernel_size, stride, padding, dilation, ceil_mode)


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
    shape: Any, dtype: Any, kernel_size, stride, padding, dilation, ceil_mode
) -> PoolProblem:
    """Validate what all four functions share."""
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
    return PoolProblem(n, c, h, w, oh, ow, kernel, stride, pads, dilation, dtype)


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
