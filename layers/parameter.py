"""A trainable array and its gradient."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

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
        self._kept: _Kept | None = None
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
        return packed((self,), op, **options)

    def writable(self) -> np.ndarray:
        """Forget packed weights and return the data, to be changed in place."""
        with _packing:
            if self._kept is not None:
                self._kept = None
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
        self.__dict__.update(state, _kept=None, _lock=threading.Lock())


class _Kept(NamedTuple):
    """Packed weights, and of what they were made."""

    packed: kernels.Packed
    options: dict[str, Any]
    parameters: tuple[int, ...]  # their ids: a parameter would hold itself


_packing = threading.Lock()  # held by whoever packs, or forgets what was packed


def packed(parameters: Sequence[Parameter], op: str, **options: Any) -> kernels.Packed:
    """Return what `kernels.pack` makes of several parameters' data together, kept until one of them changes.

    Each of them remembers it, and the data of all are read-only meanwhile. One that may be written forgets it, and
    what not all of them remember is packed anew: so no part of it can be out of date.
    """
    with _packing:
        kept = parameters[0]._kept
        asked = op, options, tuple(map(id, parameters))
        if (
            kept is None
            or (kept.packed.op, kept.options, kept.parameters) != asked
            or any(each._kept is not kept for each in parameters)
        ):
            data = tuple(each._data for each in parameters)
            made = kernels.pack(op, data if len(data) > 1 else data[0], **options)
            kept = _Kept(made, options, asked[2])
            for each in parameters:
                each._kept = kept
                each._data.flags.writeable = False
        return kept.packed


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: np.dtype
) -> Parameter:
    """Draw from U(−1/√fan_in, 1/√fan_in), PyTorch's default for weights and biases alike.

    Drawn in float64 and rounded, so that one seed means the same weights in both dtypes.
    Source: LeCun et al., "Efficient BackProp", 1998, section 4.6 (variance 1 / (3·fan_in)).
    """
    bound = fan_in**-0.5
    return Parameter(rng.uniform(-bound, bound, shape).astype(dtype))
