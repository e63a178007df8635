"""Rung 2: chunks of elements, or groups of rows, over threads.

A chunk is `CHUNK` elements whatever the number of threads; each is filled by a loop of `vectorised`. Three
loops over threads serve all functions, told by a number which: entering one costs the compiler as much
as all the loops inside.

MEASURED
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from kernels.activation import vectorised as loops
from kernels.core import jit

CHUNK = 8192

FORWARD = ("relu", "leaky_relu", "exp", "sigmoid", "tanh", "silu", "gelu")
BACKWARD = tuple(f"{name}_dx" for name in FORWARD)
ALONG = ("softmax", "softmax_dx", "log_softmax", "log_softmax_dx")


@jit.exact
def forward_share(kind, x, option, y, chunk):
    """Fill one chunk of y."""
    low = chunk * CHUNK
    a, b = x[low : low + CHUNK], y[low : low + CHUNK]
    if kind == 0:
        loops.relu(a, b)
    elif kind == 1:
        loops.leaky_relu(a, option, b)
    elif kind == 2:
        loops.exp(a, b)
    elif kind == 3:
        loops.sigmoid(a, b)
    elif kind == 4:
        loops.tanh(a, b)
    elif kind == 5:
        loops.silu(a, b)
    else:
        loops.gelu(a, option > 0, b)


@jit.exact
def backward_share(kind, dy, kept, option, dx, chunk):
    """Fill one chunk of dx."""
    low = chunk * CHUNK
    a, b, c = dy[low : low + CHUNK], kept[low : low + CHUNK], dx[low : low + CHUNK]
    if kind == 0:
        loops.relu_dx(a, b, c)
    elif kind == 1:
        loops.leaky_relu_dx(a, b, option, c)
    elif kind == 2:
        loops.exp_dx(a, b, c)
    elif kind == 3:
        loops.sigmoid_dx(a, b, c)
    elif kind == 4:
        loops.tanh_dx(a, b, c)
    elif kind == 5:
        loops.silu_dx(a, b, c)
    else:
        loops.gelu_dx(a, b, option > 0, c)


@jit.exact
def along_share(kind, a, b, y, first, last):
    """Fill some groups of y: from a, or from a and b."""
    last = min(last, loops.groups(y))
    if kind == 0:
        loops.softmax_groups(a, y, first, last)
    elif kind == 1:
        loops.softmax_dx_groups(a, b, y, first, last)
    elif kind == 2:
        loops.log_softmax_groups(a, y, first, last)
    else:
        loops.log_softmax_dx_groups(a, b, y, first, last)


@jit.parallel
def forward(kind, x, option, y):
    """Fill y, its chunks over threads."""
    for chunk in prange((y.shape[0] + CHUNK - 1) // CHUNK):
        forward_share(kind, x, option, y, np.int64(chunk))


@jit.parallel
def backward(kind, dy, kept, option, dx):
    """Fill dx, its chunks over threads."""
    for chunk in prange((dx.shape[0] + CHUNK - 1) // CHUNK):
        backward_share(kind, dy, kept, option, dx, np.int64(chunk))


@jit.parallel
def along(kind, a, b, y, size, count):
    """Fill y, `count` times `size` groups of rows over threads."""
    for part in prange(count):
        first = np.int64(part) * size
        along_share(kind, a, b, y, first, first + size)


class Spread:
    """One function's turn of a loop over threads, called as the function is on the other rungs.

    Parameters
    ----------
    name : str
        Of `FORWARD`, `BACKWARD` or `ALONG`.
    """

    def __init__(self, name: str) -> None:
        self.py_func = getattr(loops, name).py_func  # its source
        family, loop = next(
            pair
            for pair in ((FORWARD, forward), (BACKWARD, backward), (ALONG, along))
            if name in pair[0]
        )
        self._loop, self._kind = loop, family.index(name)
        self._arrange = _along if family is ALONG else _chunks

    def __call__(self, *args: Any) -> None:
        """Run over threads."""
        self._loop(self._kind, *self._arrange(args))

    def serial(self, *args: Any) -> None:
        """Run on one."""
        self._loop.serial(self._kind, *self._arrange(args))


def _chunks(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays in, the option if there is one (a number in any case), the array to fill."""
    arrays = [each for each in args if isinstance(each, np.ndarray)]
    options = [each for each in args if not isinstance(each, np.ndarray)]
    return (*arrays[:-1], float(options[0]) if options else 0.0, arrays[-1])


def _along(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Two arrays in any case; then how many groups a thread takes at a time, and how often."""
    y = args[-1]
    lanes = 1 if y.shape[2] == 1 else min(loops.simd.lanes(y), y.shape[2])
    size = max(1, CHUNK // (y.shape[1] * lanes))
    count = y.shape[0] * -(-y.shape[2] // loops.simd.lanes(y)) if y.shape[2] > 1 else y.shape[0]
    return args[0], args[-2], y, size, -(-count // size)
