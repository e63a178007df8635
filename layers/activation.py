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


class LeakyReLU(Layer):
    """y = x where x > 0, else negative_slope · x.

    Parameters
    ----------
    negative_slope : float
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = checks.real("negative_slope", negative_slope)

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.leaky_relu(x, negative_slope=self.negative_slope)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x."""
        return kernels.leaky_relu(x, negative_slope=self.negative_slope), x

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.leaky_relu_backward(dy, cache, negative_slope=self.negative_slope)

    def _options(self) -> str:
        return f"negative_slope={self.negative_slope}"


class GELU(Layer):
    """y = x · Φ(x), Φ being the distribution function of the normal distribution.

    Parameters
    ----------
    approximate : {"none", "tanh"}
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = checks.choice("approximate", approximate, ("none", "tanh"))

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.gelu(x, approximate=self.approximate)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x."""
        return kernels.gelu(x, approximate=self.approximate), x

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.gelu_backward(dy, cache, approximate=self.approximate)

    def _options(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Layer):
    """y = x / (1 + exp(−x))."""

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return kernels.silu(x)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x."""
        return kernels.silu(x), x

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx."""
        return kernels.silu_backward(dy, cache)


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
