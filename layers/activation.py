"""Activations: no parameters, and a cache of just what the gradient needs."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.layer import Layer


class ReLU(Layer):
    """y = max(x, 0)."""

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.relu(x)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is y: positive exactly where x is."""
        y = kernels.relu(x)
        return y, y

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.relu_backward(dy, cache)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(−x))."""

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.sigmoid(x)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is y."""
        y = kernels.sigmoid(x)
        return y, y

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.sigmoid_backward(dy, cache)


class Tanh(Layer):
    """y = tanh(x)."""

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.tanh(x)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is y."""
        y = kernels.tanh(x)
        return y, y

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.tanh_backward(dy, cache)


class Softmax(Layer):
    """Positive and of sum one along an axis.

    Parameters
    ----------
    dim : int
        The axis; the last where not given.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = checks.integer("dim", dim)

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.softmax(x, self.dim)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is y."""
        y = kernels.softmax(x, self.dim)
        return y, y

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.softmax_backward(dy, cache, self.dim)

    def _options(self) -> str:
        return f"dim={self.dim}"
