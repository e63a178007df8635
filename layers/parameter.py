"""A trainable array and its gradient."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np


class Parameter:
    """An array that training changes, with the gradient gathered for it.

    Parameters
    ----------
    data : numpy.ndarray
        float32 or float64, C-contiguous. Optimisers update it in place.

    Attributes
    ----------
    grad : numpy.ndarray or None
        Sum of the gradients that `accumulate` was given since `zero_grad`; None where there was none.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.grad: np.ndarray | None = None
        self._lock = threading.Lock()

    def accumulate(self, grad: np.ndarray) -> None:
        """Add a gradient; safe from several threads. The array handed over becomes the parameter's own."""
        with self._lock:
            if self.grad is None:
                self.grad = grad
            else:
                self.grad += grad

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self.data.shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the data."""
        return self.data.dtype

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype})"

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "grad": self.grad}  # a lock is not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: np.dtype
) -> Parameter:
    """Draw from U(−1/√fan_in, 1/√fan_in), PyTorch's default for weights and biases alike.

    Drawn in float64 and rounded, so that one seed means the same weights in both dtypes.
    Source: LeCun et al., "Efficient BackProp", 1998, section 4.6 (variance 1 / (3·fan_in)).
    """
    bound = fan_in**-0.5
    return Parameter(rng.uniform(-bound, bound, shape).astype(dtype))
