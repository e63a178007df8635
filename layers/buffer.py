"""An array that a layer keeps beside its parameters."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from kernels.core import checks


class Buffer:
    """State that goes with the weights, in `state_dict` and on disk, and that no optimiser trains.

    Parameters
    ----------
    data : numpy.ndarray
        float32, float64 or int64; changed in place.

    Attributes
    ----------
    lock : threading.Lock
        Held by whoever changes the data while others may.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.lock = threading.Lock()

    def fit(self, name: str, value: Any) -> np.ndarray:
        """Return `value` as an array that can be copied into the data, else TypeError or ValueError."""
        if self.data.dtype.kind == "f":
            return checks.array(name, value, shape=self.data.shape)
        return checks.index_array(name, value, self.data.shape)

    def writable(self) -> np.ndarray:
        """Return the data, to be changed in place."""
        return self.data

    def __repr__(self) -> str:
        return f"Buffer(shape={self.data.shape}, dtype={self.data.dtype})"

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data.copy()}  # the lock is not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, lock=threading.Lock())
