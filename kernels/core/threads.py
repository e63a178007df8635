"""How work is split over threads, when it is not worth it, and when it is not safe.

A parallel kernel comes in twins that give the same bits (`kernels.core.jit.parallel`). `run` takes
the parallel one unless

- the work is too small to pay for waking the threads;
- one thread was asked for;
- the process is a child forked from a parent whose OpenMP threads were running: they did not
  survive the fork, and GNU OpenMP would wait for them for ever;
- the threading layer cannot hold two regions at once (`workqueue`) and another is running. Numba
  aborts the whole process there (numba issue 9288), so one lock guards every region of ours. It
  cannot see parallel regions that a caller compiled without us.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numba

# Below this many additions (or eight times as many bytes moved: measured on relu and on conv2d) one
# thread is faster: a region costs 2.4 µs to enter under omp, and tens of µs under workqueue.
GRAIN = 1 << 16

_CONCURRENT_LAYERS = ("omp", "tbb")
_SURVIVES_FORK = ("tbb", "workqueue")

_region = threading.Lock()
_requested: int | None = None
_orphaned = False  # this process was forked while its parent's OpenMP threads ran


def set_num_threads(n: int | None) -> None:
    """Use `n` threads in every parallel kernel of this process; None returns to Numba's own count.

    Numba's thread-local setting is left alone.

    Parameters
    ----------
    n : int or None
        From 1 to the number of threads Numba was started with (``NUMBA_NUM_THREADS``).

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is out of range.
    """
    global _requested
    if n is None:
        _requested = None
        return
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n: expected an integer or None, got {n!r}")
    if not 1 <= int(n) <= most():
        raise ValueError(f"n: expected 1 to {most()} threads (NUMBA_NUM_THREADS), got {n}")
    _requested = int(n)


def get_num_threads() -> int:
    """Return the number of threads that a parallel kernel called now may use."""
    if _orphaned:
        return 1
    return _requested if _requested is not None else numba.get_num_threads()


def most() -> int:
    """Return how many threads a region can have in this process: the pieces that want scratch of their own."""
    return getattr(numba.config, "NUMBA_NUM_THREADS")  # noqa: B009, set at run time


def layer() -> str | None:
    """Name of the threading layer in use; None before the first parallel kernel ran."""
    try:
        return numba.threading_layer()
    except ValueError:
        return None


def run(kernel: Callable, args: tuple[Any, ...], work: float = float("inf")) -> None:
    """Run `kernel(*args)` on as many threads as pay, or its serial twin.

    Parameters
    ----------
    kernel : compiled function
        With a ``.serial`` twin if it is parallel; a kernel without one is simply called.
    args : tuple
        Its arguments, the output among them.
    work : float
        Additions, or an eighth of the bytes moved, whichever is larger: below `GRAIN` the serial
        twin runs.
    """
    serial = getattr(kernel, "serial", None)
    if serial is None:
        kernel(*args)
    elif work < GRAIN or _orphaned or get_num_threads() == 1:
        serial(*args)
    elif layer() in _CONCURRENT_LAYERS:
        _on_threads(kernel, args)
    elif _region.acquire(blocking=False):
        try:
            _on_threads(kernel, args)
        finally:
            _region.release()
    else:
        serial(*args)


def _on_threads(kernel: Callable, args: tuple[Any, ...]) -> None:
    with _numba_threads(_requested):
        kernel(*args)


@contextlib.contextmanager
def _numba_threads(n: int | None) -> Iterator[None]:
    before = numba.get_num_threads()
    if n is None or n == before:
        yield
        return
    numba.set_num_threads(n)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _after_fork_in_child() -> None:
    global _region, _orphaned
    _region = threading.Lock()  # its holder is not in this process
    name = layer()
    _orphaned = _orphaned or (name is not None and name not in _SURVIVES_FORK)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
