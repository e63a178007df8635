"""Between images and vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.core import checks
from layers.layer import Layer


class Flatten(Layer):
    """Make one axis of the axes from `start_dim` to `end_dim`.

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last axis to join; negative ones count from the end.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = checks.integer("start_dim", start_dim)
        self.end_dim = checks.integer("end_dim", end_dim)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return x in its new shape, and its old shape."""
        x = checks.array("x", x)
        axes = []
        for name, axis in (("start_dim", self.start_dim), ("end_dim", self.end_dim)):
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"{name}: expected an axis of x, of shape {x.shape}, got {axis}")
            axes.append(axis % x.ndim)
        start, end = axes
        if start > end:
            raise ValueError(
                f"start_dim: expected at most end_dim {self.end_dim}, got {self.start_dim}"
            )
        joined = math.prod(x.shape[start : end + 1])
        return x.reshape(*x.shape[:start], joined, *x.shape[end + 1 :]), x.shape

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dy in the old shape."""
        return dy.reshape(cache)

    def _options(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
