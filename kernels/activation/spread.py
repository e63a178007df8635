"""What the ladder runs: the functions of `vectorised` on a whole array, and on threads.

To the ladder all rungs take the same arguments: arrays, the option where there is one, the array to fill.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.activation import parallel, vectorised
from kernels.core import panels
from kernels.core.simd import lanes

FORWARD = ("relu", "leaky_relu", "exp", "sigmoid", "tanh", "silu", "gelu")
BACKWARD = tuple(f"{name}_dx" for name in FORWARD)


def groups(y: np.ndarray) -> int:
    """How many groups there are to fill: elements, rows, or panels of neighbouring rows that lie across."""
    if y.ndim == 1:
        return y.shape[0]
    return y.shape[0] * (-(-y.shape[2] // (panels.PANEL * lanes(y))) if y.shape[2] > 1 else 1)


class Whole:
    """A function of `vectorised`, for all of its output."""

    def __init__(self, name: str) -> None:
        self._loop = getattr(vectorised, name)
        self.py_func = getattr(self._loop, "py_func", self._loop)  # its source

    def __call__(self, *args: Any) -> None:
        """Fill the last of the arguments."""
        self._loop(*args, 0, groups(args[-1]))


class Spread:
    """The same by a loop over threads; the elementwise functions share two, and a number says which it is."""

    def __init__(self, name: str) -> None:
        loop = getattr(vectorised, name)
        self.py_func = getattr(loop, "py_func", loop)
        self._kind: int | None = None
        if name in FORWARD:
            self._loop, self._kind = parallel.forward, FORWARD.index(name)
        elif name in BACKWARD:
            self._loop, self._kind = parallel.backward, BACKWARD.index(name)
        else:
            self._loop = getattr(parallel, name)

    def __call__(self, *args: Any) -> None:
        """Fill the last of the arguments, on threads."""
        self._loop(*self._arranged(args))

    def serial(self, *args: Any) -> None:
        """Fill it on one."""
        self._loop.serial(*self._arranged(args))

    def _arranged(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        y = args[-1]
        if self._kind is None:
            count = groups(y)
            return *args, count, max(1, parallel.SHARE * count // max(1, y.size))
        arrays = [each for each in args if isinstance(each, np.ndarray)]
        options = [each for each in args if not isinstance(each, np.ndarray)]
        return self._kind, *arrays[:-1], float(options[0]) if options else 0.0, y
