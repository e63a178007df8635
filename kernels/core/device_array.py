"""An array on a CUDA device as the front doors see it: where it lies and in what shape, never what is in it.

No CUDA package is needed to describe one. It owns nothing: `owner` is the array that the caller gave (CuPy's,
PyTorch's, Numba's), or that was made for the caller in the same kind, and keeps the memory alive.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


@functools.lru_cache(maxsize=4096)
def _packed_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Strides of a C-contiguous array, in bytes."""
    strides, step = [], itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


class Flags(NamedTuple):
    """What the front doors ask of an array's layout."""

    c_contiguous: bool


@dataclass(eq=False)
class DeviceArray:
    """A view of memory on a CUDA device.

    Parameters
    ----------
    pointer : int
        Address of the first element.
    shape, strides : tuple of int
        Strides in bytes.
    dtype : numpy.dtype
        bfloat16 is `ml_dtypes.bfloat16`.
    owner : object
        What holds the memory.
    device : int
        Ordinal of the device.
    stream : int
        Handle of the stream on which work with it is queued; 0 is the default stream.
    native : object, optional
        The same view as an argument of a kernel, where it is at hand already.
    home : int, optional
        Handle of the stream on which its library goes on working with it, where that is another: it has to wait
        for ours before it reads what we wrote, or hands out again what we read.
    writeable : bool
        Whether its library lets others write to it.
    """

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype
    owner: Any
    device: int = 0
    stream: int = 0
    native: Any = field(default=None, repr=False)
    home: int | None = None
    writeable: bool = True

    @classmethod
    def packed(
        cls, pointer: int, shape: tuple[int, ...], dtype: Any, owner: Any, **where: Any
    ) -> DeviceArray:
        """Describe a C-contiguous array."""
        dtype, shape = np.dtype(dtype), tuple(map(int, shape))
        return cls(pointer, shape, _packed_strides(shape, dtype.itemsize), dtype, owner, **where)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def flags(self) -> Flags:
        """What the front doors ask of an array's layout."""
        return Flags(self._is_packed())

    def _is_packed(self) -> bool:
        want = _packed_strides(self.shape, self.dtype.itemsize)
        if self.strides == want or 0 in self.shape:
            return True
        return all(n == 1 or s == w for n, s, w in zip(self.shape, self.strides, want))

    def _seen(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> DeviceArray:
        """View the same memory in another shape."""
        return DeviceArray(
            self.pointer, shape, strides, self.dtype, self.owner, self.device, self.stream,
            home=self.home, writeable=self.writeable,
        )  # fmt: skip

    def __len__(self) -> int:
        return self.shape[0]

    def reshape(self, *shape: Any) -> DeviceArray:
        """View a C-contiguous array in another shape; one extent may be −1."""
        if len(shape) == 1 and not isinstance(shape[0], int | np.integer):
            shape = tuple(shape[0])
        assert self._is_packed(), "only a C-contiguous array is reshaped"
        if -1 in shape:
            rest = -math.prod(shape)
            shape = tuple(self.size // rest if n == -1 else n for n in shape)
        assert math.prod(shape) == self.size
        shape = tuple(map(int, shape))
        if shape == self.shape:
            return self
        return self._seen(shape, _packed_strides(shape, self.dtype.itemsize))

    def swapaxes(self, i: int, j: int) -> DeviceArray:
        """View with two axes exchanged."""
        order = list(range(self.ndim))
        order[i], order[j] = order[j], order[i]
        return self._seen(
            tuple(self.shape[a] for a in order), tuple(self.strides[a] for a in order)
        )

    def broadcast_to(self, shape: tuple[int, ...]) -> DeviceArray:
        """View repeated along new axes and along those of extent 1, by strides of 0."""
        lead = len(shape) - self.ndim
        strides = [0] * lead + [
            s if n == m else 0 for n, m, s in zip(self.shape, shape[lead:], self.strides)
        ]
        return self._seen(tuple(shape), tuple(strides))

    def span(self) -> tuple[int, int]:
        """First address, and the one past the last, of the bytes that it touches."""
        if self.size == 0:
            return self.pointer, self.pointer
        steps = [(n - 1) * s for n, s in zip(self.shape, self.strides)]
        low = sum(min(step, 0) for step in steps)
        high = sum(max(step, 0) for step in steps)
        return self.pointer + low, self.pointer + high + self.dtype.itemsize
