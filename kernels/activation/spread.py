"""What the ladder runs: the functions of `vectorised` on a whole array, and on threads.

To the ladder all rungs take the same arguments: arrays, the option where there is one, the array to fill.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.activation import parallel, vectorised
from kernels.core import rows
from kernels.core.simd import lanes

FORWARD = ("relu", "leaky_relu", "exp", "sigmoid", "tanh", "silu", "gelu")
BACKWARD = tuple(f"{name}_dx" for name in FORWARD)
ALONG = ("softmax", "softmax_dx", "log_softmax", "log_softmax_dx")


def groups(y: np.ndarray) -> int:
    """How many groups there are to fill: elements, rows, or panels of neighbouring rows that lie across."""
    if y.ndim == 1:
        return y.shape[0]
    return y.shape[0] * (-(-y.shape[2] // (rows.PANEL * lanes(y))) if y.shape[2] > 1 else 1)


class Whole:
    """A function of `vectorised`, for all of its output."""

    def __init__(self, name: str) -> None:
        self._loop = getattr(vectorised, name)
        self.py_func = self._loop.py_func  # its source

    def __call__(self, *args: Any) -> None:
        """Fill the last of the arguments."""
        self._loop(*args, 0, groups(args[-1]))


class Spread:
    """The same by a loop over threads."""

    def __init__(self, name: str) -> None:
        self.py_func = getattr(vectorised, name).py_func
        names, self._loop = next(
            pair
            for pair in (
                (FORWARD, parallel.forward),
                (BACKWARD, parallel.backward),
                (ALONG, parallel.along),
            )
            if name in pair[0]
        )
        self._kind, self._along = names.index(name), names is ALONG

    def __call__(self, *args: Any) -> None:
        """Fill the last of the arguments, on threads."""
        self._loop(*self._arranged(args))

    def serial(self, *args: Any) -> None:
        """Fill it on one."""
        self._loop.serial(*self._arranged(args))

    def _arranged(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        y = args[-1]
        if self._along:  # two arrays in any case
            count = groups(y)
            size = max(1, parallel.SHARE * count // max(1, y.size))
            return self._kind, args[0], args[-2], y, count, size
        arrays = [each for each in args if isinstance(each, np.ndarray)]
        options = [each for each in args if not isinstance(each, np.ndarray)]
        return self._kind, *arrays[:-1], float(options[0]) if options else 0.0, y
