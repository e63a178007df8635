"""Aligned arrays for outputs and scratch, and the recycler behind them.

A fresh page costs a fault and a zeroing by the kernel of the operating system, which for a large
output takes longer than many of our loops. So large buffers come from a bounded pool: the array
handed out stands on a lease, and when the last view of it dies the lease puts the buffer back. The
caller sees an ordinary `numpy.ndarray`.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

ALIGNMENT = 64  # one cache line, one AVX-512 register
RECYCLED_FROM = 256 << 10  # bytes; malloc itself keeps what is smaller
POOL_LIMIT = 512 << 20  # bytes held for the next call, at most

_poison = False
_workspace_limit: int | None = None


class _Pool:
    """Idle buffers by size, the least recently used thrown away first when there are too many."""

    def __init__(self) -> None:
        self._limit = (
            POOL_LIMIT  # its own: at exit, buffers come back when this module's names are gone
        )
        self._lock = threading.Lock()
        self._idle: OrderedDict[int, list[np.ndarray]] = OrderedDict()
        self._held = 0

    def take(self, size: int) -> np.ndarray | None:
        with self._lock:
            buffers = self._idle.get(size)
            if not buffers:
                return None
            self._held -= size
            buffer = buffers.pop()
            if not buffers:
                del self._idle[size]
            return buffer

    def give(self, buffer: np.ndarray) -> None:
        # Runs from a destructor, maybe inside `take` on this very thread: never wait for the lock.
        if buffer.size > self._limit or not self._lock.acquire(blocking=False):
            return
        try:
            self._idle.setdefault(buffer.size, []).append(buffer)
            self._idle.move_to_end(buffer.size)
            self._held += buffer.size
            while self._held > self._limit:
                size, buffers = next(iter(self._idle.items()))
                buffers.pop()
                self._held -= size
                if not buffers:
                    del self._idle[size]
        finally:
            self._lock.release()

    def clear(self) -> None:
        with self._lock:
            self._idle.clear()
            self._held = 0

    @property
    def held(self) -> int:
        return self._held


_pool = _Pool()


class _Lease:
    """Owner of one pooled buffer; NumPy keeps it alive as the base of the array and of its views."""

    def __init__(self, buffer: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._buffer = buffer
        self._owner = _pool
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (_aligned_address(buffer), False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._owner.give(self._buffer)


def _aligned_address(buffer: np.ndarray) -> int:
    address = buffer.ctypes.data
    return address + -address % ALIGNMENT


def _rounded(nbytes: int) -> int:
    """Round a size up by at most an eighth, so that nearly equal sizes share a buffer."""
    step = max(4096, 1 << max(0, nbytes.bit_length() - 4))
    return -(-nbytes // step) * step


def empty(shape: int | Sequence[int], dtype: Any) -> np.ndarray:
    """Return an uninitialised C-contiguous array that starts on a 64-byte boundary.

    Parameters
    ----------
    shape : int or tuple of int
    dtype : numpy dtype

    Returns
    -------
    numpy.ndarray
        From `RECYCLED_FROM` bytes on, its memory comes from the recycler and returns there when the
        array and all its views are gone.

    Raises
    ------
    MemoryError
        If the memory cannot be had, naming the size.
    """
    shape = (int(shape),) if isinstance(shape, int | np.integer) else tuple(map(int, shape))
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    try:
        if nbytes >= RECYCLED_FROM:
            size = _rounded(nbytes) + ALIGNMENT
            buffer = _pool.take(size)
            if buffer is None:
                buffer = np.empty(size, np.uint8)
            array = np.asarray(_Lease(buffer, shape, dtype))
        elif nbytes == 0:
            array = np.empty(shape, dtype)
        else:
            raw = np.empty(nbytes + ALIGNMENT, np.uint8)
            start = -raw.ctypes.data % ALIGNMENT
            array = raw[start : start + nbytes].view(dtype).reshape(shape)
    except MemoryError:
        raise MemoryError(f"no room for an array of shape {shape}, {nbytes:,} bytes") from None
    if _poison and array.dtype.kind == "f":
        array.fill(np.nan)
    elif _poison:
        array.view(np.uint8).fill(0xA5)
    return array


@contextlib.contextmanager
def poisoned() -> Iterator[None]:
    """Fill every output and every scratch buffer with NaN first: what tests and the bench run in."""
    global _poison
    before, _poison = _poison, True
    try:
        yield
    finally:
        _poison = before


def beside(like: Any, shape: Sequence[int], dtype: Any) -> Any:
    """Return an uninitialised C-contiguous array where `like` lives, and of its kind."""
    if isinstance(like, np.ndarray):
        return empty(shape, dtype)
    from kernels.core.cuda import arrays

    return arrays.empty(tuple(shape), dtype, like)


def scratch(shape: int | tuple[int, ...], dtype: Any, like: Any) -> Any:
    """Return scratch for one call where `like` lives; on a device it is the same buffer for each call."""
    if isinstance(like, np.ndarray):
        return empty(shape, dtype)
    from kernels.core.cuda import kept

    return kept.scratch(shape, dtype, like)


def zeros(count: int, dtype: Any, like: Any) -> Any:
    """Return `count` zeros where `like` lives, to be read only; on a device they are kept."""
    if isinstance(like, np.ndarray):
        return np.zeros(count, dtype)
    from kernels.core.cuda import kept

    return kept.zeros(count, dtype, like)


def poisons() -> bool:
    """Whether outputs and scratch are to be filled with NaN now."""
    return _poison


def clear_memory() -> None:
    """Give the recycler's idle buffers back to the operating system, and scratch on devices to its driver."""
    _pool.clear()
    kept = sys.modules.get("kernels.core.cuda.kept")
    if kept is not None:
        kept.clear()


def held_memory() -> int:
    """Bytes that the recycler holds idle now; at most 512 MiB."""
    return _pool.held


def set_workspace_limit(limit: int | None) -> None:
    """Bound the scratch memory of one call; a rung that would need more is not chosen.

    Parameters
    ----------
    limit : int or None
        Bytes; None removes the bound.

    Raises
    ------
    TypeError, ValueError
        If `limit` is neither None nor an integer of at least 0.
    """
    global _workspace_limit
    if limit is not None and (isinstance(limit, bool) or not hasattr(limit, "__index__")):
        raise TypeError(f"limit: expected a number of bytes or None, got {limit!r}")
    if limit is not None and int(limit) < 0:
        raise ValueError(f"limit: expected at least 0 bytes, got {limit}")
    _workspace_limit = None if limit is None else int(limit)


def workspace_limit() -> int | None:
    """Return the bound that `set_workspace_limit` set, in bytes; None where there is none."""
    return _workspace_limit


def _after_fork_in_child() -> None:
    global _pool
    _pool = _Pool()  # the old one's lock may be held by a thread that is not in this process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
