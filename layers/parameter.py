"""A trainable array and its gradient."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

import kernels
from kernels.core import checks


class Parameter:
    """An array that training changes, with the gradient gathered for it.

    Parameters
    ----------
    data : numpy.ndarray
        float32 or float64, C-contiguous. Optimisers update it in place. It is read-only for as long as
        weights packed from it are kept (`packed`), so that these are never out of date.

    Attributes
    ----------
    grad : numpy.ndarray or None
        Sum of the gradients that `accumulate` was given since `zero_grad`; None where there was none.
    """

    def __init__(self, data: np.ndarray) -> None:
        self._data = data
        self._packed: kernels.Packed | None = None
        self._asked: dict[str, Any] = {}
        self.grad: np.ndarray | None = None
        self._lock = threading.Lock()

    @property
    def data(self) -> np.ndarray:
        """The array; another may be put in its place."""
        return self._data

    @data.setter
    def data(self, value: np.ndarray) -> None:
        self.writable()
        self._data = value

    def packed(self, op: str, **options: Any) -> kernels.Packed:
        """Return what `kernels.pack` makes of the data, kept until it changes; the data is read-only meanwhile."""
        with self._lock:
            if self._packed is None or (self._packed.op, self._asked) != (op, options):
                self._packed, self._asked = kernels.pack(op, self._data, **options), options
                self._data.flags.writeable = False
            return self._packed

    def writable(self) -> np.ndarray:
        """Forget packed weights and return the data, to be changed in place."""
        with self._lock:
            if self._packed is not None:
                self._packed = None
                self._data.flags.writeable = True
            return self._data

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

    def fit(self, name: str, value: Any) -> np.ndarray:
        """Return `value` as an array that can be copied into the data, else TypeError or ValueError."""
        return checks.array(name, value, shape=self.shape)

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
        return {
            "_data": self.data.copy(),
            "grad": self.grad,
        }  # neither lock nor packed weights are copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _packed=None, _lock=threading.Lock())


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: np.dtype
) -> Parameter:
    """Draw from U(−1/√fan_in, 1/√fan_in), PyTorch's default for weights and biases alike.

    Drawn in float64 and rounded, so that one seed means the same weights in both dtypes.
    Source: LeCun et al., "Efficient BackProp", 1998, section 4.6 (variance 1 / (3·fan_in)).
    """
    bound = fan_in**-0.5
    return Parameter(rng.uniform(-bound, bound, shape).astype(dtype))
